//! The phone network of the tests, and what it has written down: who was dialled, and what callees heard and pressed.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::server::Asterisk;
use super::settings::set;
use crate::sound::Sound;

/// How often something is looked for that ought to come, ten times a second.
const LOOKS: u32 = 300;

/// The phone network.
pub struct Carrier {
    server: Asterisk,
}

/// Something that the phone network has written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What: `invite`, `answered`, `pressed`, `beeping`, `beeped`, `ended`.
    pub what: String,
    /// The number that was dialled.
    pub number: String,
    /// The call on the network's side: an INVITE has a new one.
    pub call: String,
    /// With `invite` who calls, with `pressed` which key.
    pub detail: String,
}

impl Carrier {
    /// Starts it.
    pub fn start() -> Self {
        let server = Asterisk::start(
            "carrier",
            &["deploy/asterisk", "tests/support/carrier"],
            |folder, _| {
                let inside = |inner: &str| folder.join(inner).display().to_string();
                vec![
                    set("http.conf", "general", "enabled", "no"),
                    set("extensions.conf", "globals", "LOG", inside("log/calls")),
                    set("extensions.conf", "globals", "HEARD", inside("heard")),
                ]
            },
            |_, _| None,
        );
        Self { server }
    }

    /// The server.
    pub fn server(&self) -> &Asterisk {
        &self.server
    }

    /// Where it takes calls.
    pub fn sip(&self) -> u16 {
        self.server.ports().sip()
    }

    /// Everything that it has written down.
    pub fn steps(&self) -> Vec<Step> {
        let log = fs::read_to_string(self.server.folder().join("log/calls")).unwrap_or_default();
        // The last line may not be whole yet.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(step).collect()
    }

    /// What it has written down of a number.
    pub fn steps_of(&self, number: &str) -> Vec<Step> {
        self.steps().into_iter().filter(|step| step.number == number).collect()
    }

    /// How many INVITEs have come for a number.
    pub fn invites(&self, number: &str) -> usize {
        self.steps_of(number).iter().filter(|step| step.what == "invite").count()
    }

    /// The keys that a callee has pressed, in order.
    pub fn pressed(&self, number: &str) -> String {
        self.steps_of(number).into_iter().filter(|step| step.what == "pressed").map(|step| step.detail).collect()
    }

    /// Waits until something has happened with the last call to a number.
    pub fn wait_for(&self, what: &str, number: &str) -> Step {
        for _ in 0..LOOKS {
            let steps = self.steps_of(number);
            let call = steps.last().map(|step| step.call.clone());
            if let Some(step) = steps.into_iter().find(|step| Some(&step.call) == call.as_ref() && step.what == what) {
                return step;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("no `{what}` of {number}: {:?}\n{}", self.steps_of(number), self.server.log());
    }

    /// Waits until a callee has heard so much.
    pub fn wait_for_sound(&self, number: &str, length: Duration) {
        for _ in 0..LOOKS {
            let bytes = fs::metadata(self.recording(number)).map_or(0, |file| file.len());
            if u128::from(bytes) >= 16 * length.as_millis() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{number} has not heard {length:?}: {:?}\n{}", self.steps_of(number), self.server.log());
    }

    /// How much a callee has heard by now, as far as it is in its file.
    pub fn heard_by_now(&self, number: &str) -> Duration {
        Duration::from_millis(fs::metadata(self.recording(number)).map_or(0, |file| file.len()) / 16)
    }

    /// What the callee of the last call to a number has heard from its answer to its end, which is waited for.
    /// Times at which nothing at all was sent are not in it.
    pub fn heard(&self, number: &str) -> Sound {
        self.wait_for("ended", number);
        let file =
            fs::read(self.recording(number)).unwrap_or_else(|error| panic!("{number} has heard nothing: {error}"));
        Sound::read(&file).unwrap_or_else(|wrong| panic!("what {number} has heard: {wrong}"))
    }

    /// Where it is kept what the callee of a number hears; grows during the call.
    pub fn recording(&self, number: &str) -> PathBuf {
        self.server.folder().join(format!("heard/{number}.wav"))
    }
}

fn step(line: &str) -> Step {
    let mut words = line.splitn(5, ' ');
    let mut next = || words.next().unwrap_or_default().to_owned();
    let at = next().parse().unwrap_or_else(|_| panic!("what is this? {line}"));
    Step { at, what: next(), number: next(), call: next(), detail: next() }
}
