//! What daemons say of their own life.

use std::io::{BufRead as _, BufReader, Lines, Read};
use std::process::{Command, Stdio};

use crate::world::{Process, STAYS, World, request};

/// What somebody says, line by line.
struct Heard<R>(Lines<BufReader<R>>, Vec<String>);

impl<R: Read> Heard<R> {
    fn by(source: R) -> Self {
        Self(BufReader::new(source).lines(), Vec::new())
    }

    /// Listens until a line has these words.
    fn until(&mut self, words: &str) -> &str {
        loop {
            let line = self.0.next().unwrap_or_else(|| panic!("{words:?} was not said: {:?}", self.1)).unwrap();
            self.1.push(line);
            if self.1.last().unwrap().contains(words) {
                return self.1.last().unwrap();
            }
        }
    }
}

fn start(mut command: Command) -> Process {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Process { child: command.spawn().unwrap() }
}

fn terminate(process: &Process) {
    assert!(Command::new("kill").args(["-TERM", &process.child.id().to_string()]).status().unwrap().success());
}

/// A world with three live calls, whose worker was started like this.
fn busy(args: &[&str], settings: &[(&'static str, &str)]) -> (World, Process) {
    let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let world = World::without_worker("20").with(settings);
    let worker = start(world.program(&[&["worker", "--id", "w1"], args].concat()));
    world.submit(&request("r1", &STAYS));
    world.wait_for("r1", "call.answered", 3);
    (world, worker)
}

#[test]
fn a_worker_that_is_told_twice_says_that_it_ends_at_once() {
    let (_world, mut worker) = busy(&[], &[]);
    let mut said = Heard::by(worker.child.stderr.take().unwrap());
    said.until("Worker w1 has started.");
    terminate(&worker);
    said.until("Worker w1 drains: it begins no more calls.");
    terminate(&worker);
    said.until("Worker w1 ends at once: other workers take its live calls over");
    assert_eq!(worker.child.wait().unwrap().code(), Some(0));

    let (_world, mut worker) = busy(&["--json"], &[]);
    let mut said = Heard::by(worker.child.stdout.take().unwrap());
    said.until(r#""started""#);
    for status in [r#"{"status":"draining","worker":"w1"}"#, r#"{"status":"stopping","worker":"w1"}"#] {
        terminate(&worker);
        assert_eq!(said.until("status"), status);
    }
    assert_eq!(worker.child.wait().unwrap().code(), Some(0));
}
