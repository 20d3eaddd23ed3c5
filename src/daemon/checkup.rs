//! Whether a deployment is well: every server, and what is between them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::console::{Console, ConsoleError, Server, plain};
use super::phones::Phones;
use super::{organisations, speech};
use crate::adapters::amqp::{Client, reachability};
use crate::adapters::asterisk::{Asterisk, NodeReport};
use crate::model::{LegId, OrganisationId, WorkerId};
use crate::ports::{Telephony, TelephonyError};

/// How long the phone network may take for one answer.
const PHONES_WITHIN: Duration = Duration::from_secs(5);

/// What is looked at when the phone network is.
const PHONES: &str = "phone network";

/// How far two clocks may be apart before it is worth a word, in milliseconds.
const APART: i64 = 1_000;

/// How long a call that has just ended may be in the books, before they count as wrong.
pub(super) const SETTLED: Duration = Duration::from_secs(2);

/// Dead letters that are counted.
const LETTERS: usize = 100;

/// The first release of RabbitMQ with streams as we use them.
const STREAMS_SINCE: (u32, u32) = (3, 10);

/// What looking at one thing found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// Whether it is well.
    pub status: Verdict,
    /// What was found.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Whether something is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is.
    Ok,
    /// It works, and may not do so for long, or not through what may happen.
    Warn,
    /// It does not work.
    Fail,
}

impl Finding {
    /// That settings could be read: without them nothing else can be looked at.
    pub fn settings() -> Self {
        Self::ok("settings", "they can be used")
    }

    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, status: Verdict::Ok, message: message.into(), advice: None }
    }

    pub(super) fn warn(check: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, status: Verdict::Warn, message: message.into(), advice: Some(advice.into()) }
    }

    pub(super) fn fail(check: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, status: Verdict::Fail, message: message.into(), advice: Some(advice.into()) }
    }
}

impl Console {
    /// Looks at everything, and tells of each thing as soon as it was looked at. Of organisations at one, or at all.
    pub fn check_up(&self, only: Option<&OrganisationId>, mut tell: impl FnMut(Finding)) {
        let workers = self.check_broker(&mut tell);
        let has_store = self.check_database(&mut tell);
        let phones = self.check_phones(&mut tell);
        tell(self.wait(speech::look(&self.speech, self.clock())));
        if has_store {
            self.check_organisations(only, workers, phones.as_deref(), &mut tell);
        } else if let Some(workers) = workers {
            tell(organisations::of_workers(workers, &[]));
        }
    }

    /// The broker, and how many workers take from it, if that is known.
    fn check_broker(&self, tell: &mut impl FnMut(Finding)) -> Option<u32> {
        const CHECK: &str = "broker";
        let at = &self.broker_at;
        match self.wait(reachability(self.deployment.amqp_settings(), &**self.clock())) {
            Ok(there) => {
                let (product, version) = (there.product, there.version);
                let message = format!("{product} {version} at {at} answers in {} ms", there.answered_in_millis);
                if is_older(&version, STREAMS_SINCE) {
                    let (major, minor) = STREAMS_SINCE;
                    tell(Finding::warn(
                        CHECK,
                        message,
                        format!("the event log needs RabbitMQ {major}.{minor} or later"),
                    ));
                } else {
                    tell(Finding::ok(CHECK, message));
                }
            }
            Err(error) => {
                let advice = "see that it runs, and that amqp.url names its host and port";
                tell(Finding::fail(CHECK, self.of_broker(error).to_string(), advice));
                return None;
            }
        }
        const ACCESS: &str = "broker access";
        match self.client() {
            Ok(client) => self.check_access(ACCESS, &client, tell),
            Err(error) => {
                let advice = "see that amqp.url has the right user, password and virtual host, and that the user may \
                              configure, write and read there";
                tell(Finding::fail(ACCESS, error.to_string(), advice));
                None
            }
        }
    }

    fn check_access(&self, check: &'static str, client: &Client, tell: &mut impl FnMut(Finding)) -> Option<u32> {
        // Connecting has declared whatever was missing.
        match self.ask_broker(client.round_trip(5)) {
            Ok(length) => tell(Finding::ok(check, format!("we are let in, a round trip takes {}", millis(length)))),
            Err(error) => {
                tell(Finding::fail(check, error.to_string(), "look at the broker's log"));
                return None;
            }
        }
        let workers = self.check_queues(client, tell);
        match self.ask_broker(client.dead_letters(LETTERS)) {
            Ok(letters) if letters.is_empty() => tell(Finding::ok("dead letters", "none")),
            Ok(letters) => {
                let more = if letters.len() == LETTERS { " or more" } else { "" };
                let advice = "`robocall dead list` says why; `dead retry` or `dead drop` them";
                tell(Finding::warn("dead letters", format!("{}{more}", letters.len()), advice));
            }
            Err(error) => tell(Finding::fail("dead letters", error.to_string(), "look at the broker's log")),
        }
        workers
    }

    /// Whether the database answers.
    fn check_database(&self, tell: &mut impl FnMut(Finding)) -> bool {
        const CHECK: &str = "database";
        let at = self.database_at.clone();
        let health = match self.ask_store(self.deployment.database().health(&**self.clock())) {
            Ok(health) => health,
            Err(error) => {
                let advice = "see that it runs, and that redis.url has its host, port and password";
                tell(Finding::fail(CHECK, error.to_string(), advice));
                return false;
            }
        };
        let answers = format!("{} {} at {at} answers in {}", health.product, health.version, millis(health.round_trip));
        tell(Finding::ok(CHECK, answers));
        if health.weaknesses.is_empty() {
            tell(Finding::ok("durability", "what it has acknowledged it should not forget"));
        }
        for weakness in health.weaknesses {
            // It ends with what to do.
            let (what, advice) = weakness.split_once(": ").unwrap_or((&weakness, ""));
            tell(if self.deployment.requires_durable() {
                Finding::fail("durability", what, format!("{advice}, or workers do not start (redis.require_durable)"))
            } else {
                Finding::warn("durability", what, advice)
            });
        }
        let wanted = self.deployment.wait_replicas();
        if health.replicas < wanted {
            let message = format!("{} replicas are connected, {wanted} must have each dial", health.replicas);
            tell(Finding::fail(
                "replicas",
                message,
                "nothing is dialled: connect replicas, or lower redis.wait_replicas",
            ));
        }
        self.check_losses(tell);
        let ahead = health.clock_ahead_ms;
        let message =
            format!("the database's is {} ms {}", ahead.abs(), if ahead < 0 { "behind ours" } else { "ahead" });
        tell(if ahead.abs() > APART {
            Finding::warn(
                "clocks",
                message,
                "windows and schedules follow the database's clock: synchronise both (NTP)",
            )
        } else {
            Finding::ok("clocks", message)
        });
        true
    }

    /// Whether calls are kept from being claimed since the database lost something.
    fn check_losses(&self, tell: &mut impl FnMut(Finding)) {
        const CHECK: &str = "losses";
        let database = self.deployment.database();
        if let Ok(Some(_)) = self.ask_store(database.loss()) {
            return tell(Finding::fail(
                CHECK,
                "it is new or has lost something, and no worker has read the log of events since",
                "nothing is dialled until one has: see that a worker runs and reaches the broker; its log says how far it is",
            ));
        }
        if let Ok(Some(until)) = self.ask_store(database.closed_until()) {
            let message = format!("nothing is claimed until {} UTC", until.to_jiff().strftime("%H:%M:%S"));
            let advice = "the database was new or lost something: so long workers say again which calls they have";
            tell(Finding::warn(CHECK, message, advice));
        }
    }

    /// The phone network, if it answers.
    fn check_phones(&self, tell: &mut impl FnMut(Finding)) -> Option<Arc<dyn Telephony>> {
        if let Phones::Asterisk(_, asterisk) = &self.phones {
            self.check_nodes(asterisk, tell);
        }
        let (at, phones, begun) = (self.phones.place(), self.phones.telephony(), self.now());
        let nobody: WorkerId = "doctor".parse().ok()?;
        match (self.legs_of(&*phones, &nobody), &self.phones) {
            (Ok(_), Phones::Simulator(..)) => {
                let message = format!("the simulator at {at} answers in {}", millis(self.now().since(begun)));
                tell(Finding::ok(PHONES, message));
                Some(phones)
            }
            (Ok(_), Phones::Asterisk(..)) => Some(phones),
            (Err(error), Phones::Simulator(..)) => {
                let advice = "see that `robocall simulator` runs, and that telephony.simulator names its host and port";
                tell(Finding::fail(PHONES, error.to_string(), advice));
                None
            }
            // Told node by node.
            (Err(_), Phones::Asterisk(..)) => None,
        }
    }

    /// Every Asterisk, and whether it has what calls need.
    fn check_nodes(&self, asterisk: &Asterisk, tell: &mut impl FnMut(Finding)) {
        let Some(reports) = self.wait(self.within(PHONES_WITHIN, asterisk.check_up())) else {
            let advice = "see that asterisk.nodes names the host and port of each";
            return tell(Finding::fail(PHONES, format!("no answer within {PHONES_WITHIN:?}"), advice));
        };
        for NodeReport { name, version, wrong } in reports {
            match version {
                Ok(version) if wrong.is_empty() => {
                    tell(Finding::ok(PHONES, format!("Asterisk {} at {name}", plain(&version))));
                }
                Ok(version) => {
                    let message = format!("Asterisk {} at {name}: {}", plain(&version), plain(&wrong.join("; ")));
                    tell(Finding::warn(PHONES, message, "see docs/asterisk.md, and deploy/asterisk for an example"));
                }
                Err(reason) => {
                    let advice = "see that it runs, that http.conf and ari.conf let workers in, and that asterisk.nodes, \
                                  asterisk.user and asterisk.password say so";
                    tell(Finding::fail(PHONES, format!("{name} does not answer: {}", plain(&reason)), advice));
                }
            }
        }
    }

    /// What the phone network has of a name's legs.
    pub(super) fn legs_of(&self, phones: &dyn Telephony, app: &WorkerId) -> Result<BTreeSet<LegId>, ConsoleError> {
        let why = match self.wait(self.within(PHONES_WITHIN, phones.legs_of(app))) {
            Some(Ok(legs)) => return Ok(legs.into_iter().map(|(leg, _)| leg).collect()),
            Some(Err(TelephonyError::Unavailable(why))) => why,
            Some(Err(error)) => error.to_string(),
            None => format!("no answer within {PHONES_WITHIN:?}"),
        };
        Err(ConsoleError::Unreachable {
            server: Server::PhoneNetwork,
            address: self.phones.place().to_owned(),
            why: plain(&why),
        })
    }
}

/// A length of time in milliseconds, to a tenth.
pub(super) fn millis(length: Duration) -> String {
    let micros = length.as_micros();
    format!("{}.{} ms", micros / 1000, micros / 100 % 10)
}

/// Whether a version is older than another; one that cannot be read is not.
fn is_older(version: &str, than: (u32, u32)) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < than,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_older("3.9.27", (3, 10)) && is_older("2.99", (3, 10)));
        assert!(!is_older("3.12.1", (3, 10)) && !is_older("4.0.5", (3, 10)) && !is_older("unknown", (3, 10)));
    }
}
