//! A run that is watched and interrupted, seen from outside: what is said at once, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::{Value, json};
use support::{Said, Scratch};

fn request(phones: u32, more: Value) -> String {
    let destinations: Vec<Value> = (0..phones).map(|number| json!({"phone": format!("+99910{number:05}")})).collect();
    let flow = json!({"steps": [{"name": "play", "message": {"msg": "A long story. ".repeat(70)}}]});
    let mut request = json!({"requestId": "r1", "destinations": destinations, "callFlow": flow});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request.to_string()
}

/// A run on which somebody listens.
struct Running {
    child: Child,
    err: BufReader<ChildStderr>,
    heard: String,
}

impl Running {
    fn start(file: &Scratch, args: &[&str]) -> Self {
        let mut command = support::program(&[&["run", file.name(), "--log", "warn,robocall=info"], args].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let err = BufReader::new(child.stderr.take().unwrap());
        Self { child, err, heard: String::new() }
    }

    /// Listens until something is said on stderr, and answers with the whole line.
    fn hear(&mut self, what: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.err.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "it ended without saying `{what}`: {}", self.heard);
            self.heard.push_str(&line);
            if line.contains(what) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let told = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    fn end(mut self) -> Said {
        std::io::Read::read_to_string(&mut self.err, &mut self.heard).unwrap();
        let mut said = support::said(self.child.wait_with_output().unwrap());
        said.err = self.heard;
        said
    }
}

/// A run of which every slot is taken by a live call; its events come through a pipe, as they happen.
fn with_live_calls(name: &str, args: &[&str]) -> (Running, Scratch, Scratch) {
    let file = Scratch::with(name, &request(50, json!({})));
    let pipe = Scratch::with(&format!("{name}-events"), "");
    std::fs::remove_file(pipe.name()).unwrap();
    assert!(Command::new("mkfifo").arg(pipe.name()).status().unwrap().success());
    let running = Running::start(&file, &[args, &["--events", pipe.name()]].concat());
    let mut events = BufReader::new(std::fs::File::open(pipe.name()).unwrap()).lines();
    let dialled = events.by_ref().map(Result::unwrap).filter(|event| event.contains("robocall.call.dialing"));
    assert_eq!(dialled.take(6).count(), 6);
    // Somebody must go on reading, or the run would find its output closed.
    std::thread::spawn(move || events.count());
    (running, file, pipe)
}

#[test]
fn the_first_signal_lets_live_calls_end_and_the_second_ends_at_once() {
    for (signal, args) in [("-INT", &[][..]), ("-TERM", &["--json"])] {
        // At the pace of the wall, no call comes to its end while somebody watches.
        let (mut running, _file, _pipe) = with_live_calls(&format!("stopped{signal}"), args);
        running.signal(signal);
        let said = running.hear("interrupted");
        assert!(said.contains("6 live calls go on to their end; interrupt again to end at once"), "{said}");
        running.signal(signal);
        let said = running.hear("interrupted again");
        assert!(said.contains("of 50 calls 44 had ended") && said.contains("6 live calls were cut off"), "{said}");
        let said = running.end();
        assert_eq!((said.code, said.out.as_str()), (130, ""), "{}", said.err);
    }
}

#[test]
fn a_run_that_was_interrupted_once_ends_with_its_report() {
    let (mut running, _file, _pipe) = with_live_calls("once", &["--speed", "50"]);
    running.signal("-TERM");
    running.hear("interrupted");
    let said = running.end();
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.out.starts_with("r1 cancelled: 50 calls"), "{}", said.out);
}

#[test]
fn a_run_outside_its_window_says_when_that_opens() {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let today = support::said(Command::new("date").args(["-u", "+%u"]).output().unwrap()).out;
    // The day after tomorrow, so that no midnight comes between.
    let day = DAYS[(today.trim().parse::<usize>().unwrap() + 1) % 7];
    for (zone, json) in [("UTC", false), ("recipient", true)] {
        let window = json!({"callingWindow": {"timeZone": zone, "days": [day], "from": "06:00", "to": "20:00"},
            "destinations": [{"phone": "+6581234567", "timeZone": "UTC"}]});
        let file = Scratch::with(&format!("window-{zone}"), &request(1, window));
        let mut running = Running::start(&file, if json { &["--json"] } else { &[] });
        let said = running.hear("waiting");
        assert!(said.contains("waiting: the calling window opens 2") && said.contains(" 06:00:00 UTC, in "), "{said}");
        running.signal("-INT");
        let said = running.end();
        assert_eq!((said.code, said.err.contains(" left")), (3, false), "{}", said.err);
    }
}

#[test]
fn a_run_before_its_time_says_when_that_comes() {
    let file = Scratch::with("scheduled", &request(2, json!({"scheduledAt": "2999-01-01T08:00:00+08:00"})));
    let mut running = Running::start(&file, &[]);
    let said = running.hear("waiting");
    assert!(said.contains("nothing is dialled before scheduledAt, 2999-01-01 00:00:00 UTC, in "), "{said}");
    running.signal("-INT");
    assert_eq!(running.end().code, 3);
}
