//! Whether somebody watches, and in which colours they are spoken to.

use std::io::IsTerminal as _;

/// What the process was started with, besides its arguments.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `ROBOCALL_LOG`.
    pub log: Option<String>,
    /// `NO_COLOR` is set to something.
    pub no_colour: bool,
}

impl Surroundings {
    /// From environment variables, as `lookup` finds them.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| lookup(name).filter(|value| !value.is_empty());
        Self { log: set("ROBOCALL_LOG"), no_colour: set("NO_COLOR").is_some() }
    }

    /// Whether the log may be coloured.
    pub fn colours_on_stderr(&self) -> bool {
        !self.no_colour && std::io::stderr().is_terminal()
    }
}

/// The two streams that people read.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Colours for stdout.
    pub on_stdout: Paint,
    /// Colours for stderr.
    pub on_stderr: Paint,
    /// Somebody watches stderr: progress may be drawn over.
    pub watched: bool,
}

impl Terminal {
    /// As the process was started.
    pub fn of(surroundings: &Surroundings) -> Self {
        let colours = !surroundings.no_colour;
        let watched = std::io::stderr().is_terminal();
        Self {
            on_stdout: Paint(colours && std::io::stdout().is_terminal()),
            on_stderr: Paint(colours && watched),
            watched,
        }
    }
}

/// Colours text, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub struct Paint(pub bool);

impl Paint {
    /// What matters.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// What went wrong.
    pub fn red(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// What went well.
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_no_variable() {
        let given = |name: &str| Some(if name == "ROBOCALL_LOG" { "debug".to_owned() } else { String::new() });
        let surroundings = Surroundings::from_environment(given);
        assert_eq!((surroundings.log.as_deref(), surroundings.no_colour), (Some("debug"), false));
    }

    #[test]
    fn nothing_is_coloured_where_nobody_watches() {
        assert_eq!(Paint(false).red("error"), "error");
        assert_eq!(Paint(true).red("error"), "\x1b[1;31merror\x1b[0m");
    }
}
