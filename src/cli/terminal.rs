//! Whether somebody watches, and in which colours they are spoken to.

use std::fs::Metadata;
use std::io::IsTerminal as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::exit::say;
use crate::telemetry;

/// What the process was started with, besides its arguments.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `ROBOCALL_LOG`.
    pub log: Option<String>,
    /// `ROBOCALL_LOG_FORMAT`.
    pub log_format: Option<String>,
    /// `NO_COLOR` is set to something.
    pub no_colour: bool,
    /// `PATH`.
    pub path: Option<String>,
}

impl Surroundings {
    /// From environment variables, as `lookup` finds them.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| lookup(name).filter(|value| !value.is_empty());
        let (log, log_format) = (set("ROBOCALL_LOG"), set("ROBOCALL_LOG_FORMAT"));
        Self { log, log_format, no_colour: set("NO_COLOR").is_some(), path: set("PATH") }
    }

    /// How this program is called from a shell: by the name that finds it, or else as it was called now.
    pub fn called(&self) -> String {
        let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
        called_as(&called, self.path.as_deref())
    }

    /// Whether the log may be coloured.
    pub fn colours_on_stderr(&self) -> bool {
        !self.no_colour && std::io::stderr().is_terminal()
    }
}

/// What one types for the program that was called so, where `path` lists the folders that a shell looks into.
fn called_as(called: &Path, path: Option<&str>) -> String {
    const NAME: &str = "robocall";
    let text = called.to_string_lossy();
    if !text.contains('/') {
        return if text.is_empty() { NAME.to_owned() } else { text.into_owned() };
    }
    let identity = |file: &Path| file.metadata().ok().filter(Metadata::is_file).map(|there| (there.dev(), there.ino()));
    let mut named = std::env::split_paths(path.unwrap_or_default()).map(|folder| folder.join(NAME));
    // Only the first that there is would be started.
    if let Some(found) = named.find_map(|file| identity(&file))
        && identity(called) == Some(found)
    {
        return NAME.to_owned();
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%,:=".contains(c);
    if text.chars().all(plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
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
    /// Stderr is a log of JSON: what is said there is a line of it, whatever its filter leaves out.
    pub is_log: bool,
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
            is_log: false,
        }
    }

    /// The same where stderr is read by what collects logs, and by nobody in colours.
    pub fn of_log(self) -> Self {
        Self { on_stderr: Paint(false), is_log: true, ..self }
    }

    /// Says something on stderr.
    pub fn say(&self, text: &str) {
        if self.is_log { telemetry::say(text.trim()) } else { say(text) }
    }

    /// Says on stderr why something is not done.
    pub fn complain(&self, text: &str) {
        if self.is_log { telemetry::complain(text.trim()) } else { say(text) }
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
    fn the_program_is_called_by_its_name_only_where_that_finds_it() {
        let base = std::env::temp_dir().join(format!("robocall-called-{}", std::process::id()));
        let (ours, other) = (base.join("our own"), base.join("other"));
        for folder in [&ours, &other] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join("robocall"), "").unwrap();
        }
        let (program, listed) = (ours.join("robocall"), |folders: &[&PathBuf]| {
            std::env::join_paths(folders).unwrap().into_string().unwrap()
        });
        let by_path = format!("'{}'", program.display());
        assert_eq!(called_as(&program, Some(&listed(&[&base, &ours, &other]))), "robocall");
        assert_eq!(called_as(&program, Some(&listed(&[&other, &ours]))), by_path, "another would be started");
        assert_eq!(called_as(&program, None), by_path);
        assert_eq!(called_as(Path::new("target/debug/robocall"), None), "target/debug/robocall");
        assert_eq!(called_as(Path::new("robocall"), None), "robocall", "a shell has found it");
        std::fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn nothing_is_coloured_where_nobody_watches() {
        assert_eq!(Paint(false).red("error"), "error");
        assert_eq!(Paint(true).red("error"), "\x1b[1;31merror\x1b[0m");
    }
}
