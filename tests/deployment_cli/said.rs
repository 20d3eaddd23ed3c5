//! What daemons say of their own life: lines for people, or lines of a log of JSON and nothing else.

use std::io::{BufRead as _, BufReader, Lines, Read};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::redis::Redis;
use crate::world::{PASSWORD, Process, STAYS, World, request};

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

    /// Listens to the end; all that was said.
    fn all(mut self) -> Vec<String> {
        self.1.extend(self.0.map(Result::unwrap));
        self.1
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
    assert_eq!(said.until("status"), r#"{"status":"started","worker":"w1"}"#, "programs wait for the first line");
    said.until(r#"{"status":"working","worker":"w1"}"#);
    for status in [r#"{"status":"draining","worker":"w1"}"#, r#"{"status":"stopping","worker":"w1"}"#] {
        terminate(&worker);
        assert_eq!(said.until("status"), status);
    }
    assert_eq!(worker.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_log_of_json_has_no_other_lines_whatever_its_filter_leaves_out() {
    let logging = [("ROBOCALL_LOG", "off"), ("ROBOCALL_LOG_FORMAT", "json")];
    let (world, mut worker) = busy(&[], &logging);
    let mut api = start(world.program(&["api", "--listen", "127.0.0.1:0"]));
    let mut of_worker = Heard::by(worker.child.stderr.take().unwrap());
    let mut of_api = Heard::by(api.child.stderr.take().unwrap());
    of_api.until("Serving at http://127.0.0.1:");
    terminate(&api);
    of_api.until("Ending: what is under way is still answered.");
    terminate(&worker);
    of_worker.until("drains");
    terminate(&worker);
    let mut refused = start(world.program(&["worker", "--config", "/nowhere"]));
    let of_refused = Heard::by(refused.child.stderr.take().unwrap());
    let said = [of_worker.all(), of_api.all(), of_refused.all()];
    let words = |lines: &[String]| -> Vec<String> {
        let message = |line: &String| {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
            line["message"].as_str().unwrap().to_owned()
        };
        lines.iter().map(message).collect()
    };
    let of_worker = words(&said[0]);
    for part in ["has started.", "drains", "ends at once"] {
        assert!(of_worker.iter().any(|line| line.contains(part)), "{part}: {of_worker:?}");
    }
    assert!(words(&said[1])[0].starts_with("Serving at") && words(&said[1])[1].starts_with("Ending"), "{said:?}");
    assert_eq!(words(&said[2]), ["error: /nowhere: cannot be read: No such file or directory (os error 2)"]);
    assert!(said[2][0].contains(r#""level":"ERROR""#), "{said:?}");
}

#[test]
fn a_worker_that_redis_does_not_let_in_says_where_and_why_and_nothing_of_the_password() {
    let strict = Redis::with(&["--save", "", "--appendonly", "no", "--requirepass", "another"]);
    let url = strict.url().replace("redis://", &format!("redis://:{PASSWORD}@"));
    let world = World::of_servers("amqp://127.0.0.1:1/%2f", &url, "127.0.0.1:1");
    let mut worker = start(world.program(&["worker", "--id", "w1"]));
    let mut said = Heard::by(worker.child.stderr.take().unwrap());
    said.until("Worker w1 is starting");
    let waits = said.until("waits for Redis at").to_owned();
    assert!(waits.contains(&format!("127.0.0.1:{}: ", strict.port())) && waits.contains("WRONGPASS"), "{waits}");
    terminate(&worker);
    assert_eq!(worker.child.wait().unwrap().code(), Some(0));
    for line in said.all() {
        assert!(!line.contains(PASSWORD) && !line.contains("has started") && !line.contains("may forget"), "{line}");
    }
}

#[test]
fn a_worker_has_started_when_redis_answers() {
    let mut database = Redis::start();
    database.kill();
    let world = World::without_worker("20").with([("ROBOCALL__REDIS__URL", database.url())]);
    let mut worker = start(world.program(&["worker", "--id", "w1"]));
    let mut said = Heard::by(worker.child.stderr.take().unwrap());
    said.until(&format!("waits for Redis at 127.0.0.1:{}: ", database.port()));
    database.start_again();
    said.until(&format!("Redis at 127.0.0.1:{} is back after ", database.port()));
    let started = said.until("has started");
    assert_eq!(started, "Worker w1 has started.");
    database.kill();
    said.until("waits for Redis at");
    terminate(&worker);
}

#[test]
fn a_worker_whose_metrics_cannot_be_served_does_not_say_that_it_started() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut world = World::without_worker("20");
    world = world.with([("ROBOCALL__METRICS__LISTEN", taken.local_addr().unwrap().to_string())]);
    for json in [&[][..], &["--json"]] {
        let said = world.run(&[&["worker", "--id", "w1"], json].concat());
        assert_eq!(said.code, 2, "{}{}", said.out, said.err);
        assert!(!said.err.contains("start") && !said.out.contains("start"), "{}{}", said.out, said.err);
        assert!(format!("{}{}", said.out, said.err).contains("metrics.listen: "), "{}{}", said.out, said.err);
    }
}

#[test]
fn the_log_tells_of_commands_of_the_end_of_a_drain_and_of_calls_that_were_adopted() {
    let log = ["--log", "robocall=info", "--log-format", "json"];
    let (world, mut first) = busy(&[&["--grace", "0"], &log[..]].concat(), &[]);
    for told in [["request", "pause", "r1"], ["request", "resume", "r1"]] {
        world.answer(&told);
    }
    let calls = world.answer(&["calls"]);
    let call = calls["calls"][0]["callId"].as_str().unwrap();
    world.answer(&["call", "hangup", call]);
    world.wait_for("r1", "call.ended", 1);
    let mut second = start(world.program(&[&["worker", "--id", "w2"], &log[..]].concat()));
    let mut of_second = Heard::by(second.child.stderr.take().unwrap());
    of_second.until("Worker w2 has started.");
    terminate(&first);
    assert_eq!(first.child.wait().unwrap().code(), Some(0));
    of_second.until("adopted 2 calls of w1");
    let of_first = Heard::by(first.child.stderr.take().unwrap()).all();
    let lines: Vec<Value> = of_first.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (message, about, name) in [
        ("pause was carried out", "request", "r1"),
        ("resume was carried out", "request", "r1"),
        ("hangup was carried out", "call", call),
        ("ended: 2 calls handed over", "", ""),
    ] {
        let line = lines.iter().find(|line| line["message"] == message);
        let line = line.unwrap_or_else(|| panic!("{message:?} is not there: {of_first:?}"));
        assert_eq!(line["level"], "INFO");
        if !about.is_empty() {
            assert_eq!((&line["span"][about], &line["span"]["organisation"]), (&name.into(), &"default".into()));
            assert!(line["actor"].is_string(), "{line}");
        }
    }
    assert!(STAYS.iter().all(|phone| !of_first.concat().contains(phone)), "{of_first:?}");
    terminate(&second);
    terminate(&second);
}
