//! Child processes of the tests: the simulated phone network, and workers. All end with the test, however it ends.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Ends what is left when this process has ended: then its input does.
const KEEPER: &str = r#"
P=" "
while read -r word pid; do
  case "$word" in
    add) P="$P$pid " ;;
    gone) P="${P% "$pid" *} ${P#* "$pid" }" ;;
  esac
done
for pid in $P; do kill -9 "$pid"; done
"#;

fn tell_keeper(word: &str, pid: u32) {
    static KEEPERS: OnceLock<Mutex<(Child, ChildStdin)>> = OnceLock::new();
    let keeper = KEEPERS.get_or_init(|| {
        let mut shell = Command::new("sh");
        shell.args(["-c", KEEPER]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = shell.spawn().unwrap();
        let words = child.stdin.take().unwrap();
        Mutex::new((child, words))
    });
    let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(keeper.1, "{word} {pid}").unwrap();
}

/// A process that says what it does in a file.
pub struct Process {
    child: Child,
    ended: bool,
    log: PathBuf,
}

impl Process {
    /// Starts the program.
    pub fn start(arguments: &[&str], variables: &[(&str, String)], log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_robocall"));
        command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(file);
        // What the surroundings say to a daemon is not for these.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ROBOCALL_")) {
            command.env_remove(name);
        }
        command.envs(variables.iter().map(|(name, value)| (*name, value))).env("NO_COLOR", "1");
        let child = command.spawn().unwrap();
        tell_keeper("add", child.id());
        Self { child, ended: false, log: log.to_owned() }
    }

    /// The first line it says on its output.
    pub fn first_line(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{}", self.said());
        line
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let told = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(told.success(), "kill -{name}");
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        if !self.ended {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
            self.gone();
        }
    }

    /// Its exit code, if it has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        let status = self.child.try_wait().unwrap()?;
        if !self.ended {
            self.gone();
        }
        Some(status.code().unwrap_or(-1))
    }

    /// The end of what it wrote.
    pub fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn gone(&mut self) {
        self.ended = true;
        tell_keeper("gone", self.child.id());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
