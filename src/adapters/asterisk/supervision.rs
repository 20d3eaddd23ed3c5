//! Whoever listens in on a call, and whispers: an ear on somebody's leg, and a bridge of the listener's own with both in it.
//!
//! An ear is a snoop channel. Its name says whose it is and who hears what its owner says, so that a look tells what was
//! asked for before, by whichever process.
//!
//! **Invariant**: who is to be heard by fewer people has left the others before anything else is done for it.

use serde::Deserialize;
use serde_json::json;

use super::Inner;
use super::ari::http::{self, Answer, Ask};
use super::dialling::{Outcome, unavailable};
use super::recording::{AGAIN, COMES_WITHIN};
use super::streams::app_name;
use crate::model::{LegId, LegRole, Timestamp};
use crate::ports::TelephonyError;

/// A bridge as Asterisk shows it.
#[derive(Deserialize)]
struct Bridge {
    channels: Vec<String>,
}

/// Somebody who is to listen in.
struct Listener {
    /// Its leg, whose name its own bridge has, too.
    leg: LegId,
    /// Where.
    node: usize,
    /// In whose hands its ears come.
    app: String,
}

/// What an ear is called.
fn ear_of(listener: LegId, whispers_to: Option<LegId>) -> String {
    let Some(heard_by) = whispers_to else { return format!("{listener}_ear") };
    let role = match heard_by.role {
        LegRole::Callee => 'c',
        LegRole::Transfer => 't',
        LegRole::Participant => 'p',
        LegRole::Supervisor => 's',
    };
    format!("{listener}_to_{role}{}", heard_by.ordinal)
}

/// Whether somebody hears what an ear's owner says.
fn whispers_by(ear: &str) -> bool {
    ear.contains("_to_")
}

/// Whose ear a channel is; none if it is none, or one that records, which has no owner but the leg it is on.
pub(super) fn listener_of(channel: &str) -> Option<LegId> {
    let (listener, _) = channel.split_once('_')?;
    listener.parse().ok().filter(|listener: &LegId| listener.role != LegRole::Callee)
}

impl Inner {
    /// Lets a leg hear a call without taking part in it.
    pub(super) async fn listen_in(
        &self,
        leg: LegId,
        other: LegId,
        whispers_to: Option<LegId>,
        not_after: Timestamp,
    ) -> Outcome {
        if self.settings.clock.now() > not_after {
            return Err(TelephonyError::TooLate);
        }
        let node = self.locate(leg).await?.ok_or(TelephonyError::NoSuchLeg)?;
        for there in [Some(other), whispers_to].into_iter().flatten() {
            if self.locate(there).await? != Some(node) {
                return Err(TelephonyError::NoSuchLeg);
            }
        }
        let app = self.table().get(other).map(|known| {
            known.listens = true;
            app_name(&known.app)
        });
        let listener = Listener { leg: other, node, app: app.ok_or(TelephonyError::NoSuchLeg)? };
        if self.members(node, leg).await?.is_some_and(|members| members.contains(&other.to_string())) {
            self.leave(leg, other, node, not_after).await?;
        }
        let spied = whispers_to.unwrap_or(leg);
        let done =
            self.hear_with(&listener, &ear_of(other, whispers_to), spied, whispers_to.is_some(), not_after).await;
        if let Err(TelephonyError::Unavailable(_)) = done {
            for there in [other, leg, spied] {
                if self.inspect(there).await?.is_none() {
                    return Err(TelephonyError::NoSuchLeg);
                }
            }
        }
        done
    }

    /// Puts a listener and an ear, and nobody else, into the listener's own bridge.
    async fn hear_with(
        &self,
        listener: &Listener,
        ear: &str,
        spied: LegId,
        whispers: bool,
        not_after: Timestamp,
    ) -> Outcome {
        let http = &self.nodes[listener.node].http;
        let members = self.open_bridge(listener.node, listener.leg, not_after).await?;
        let (whispering, silent): (Vec<&String>, Vec<&String>) = members
            .iter()
            .filter(|member| *member != ear && listener_of(member) == Some(listener.leg))
            .partition(|old| whispers_by(old));
        self.take_down(listener.node, &whispering, not_after).await?;
        if !members.iter().any(|member| member == ear) {
            self.make_ear(listener, ear, spied, whispers, not_after).await?;
        }
        // Before the new one comes: two at a time would hear each other.
        self.take_down(listener.node, &silent, not_after).await?;
        let wanted = [listener.leg.to_string(), ear.to_owned()];
        let missing_of = |members: &[String]| -> Vec<String> {
            wanted.iter().filter(|wanted| !members.contains(wanted)).cloned().collect()
        };
        let mut missing = missing_of(&members);
        let clock = &self.settings.clock;
        let give_up_at = clock.now() + COMES_WITHIN;
        while !missing.is_empty() {
            let path = format!("bridges/{}/addChannel", listener.leg);
            match http.ask(Ask::post(path, json!({"channel": missing}), not_after)).await? {
                Answer::Done(_) => return Ok(()),
                // One that was to be taken down before, when this listener began to talk: Asterisk was late. Whoever was in it
                // comes into a new one.
                Answer::Missing if clock.now() < give_up_at => {
                    clock.sleep_until(clock.now() + AGAIN).await;
                    missing = missing_of(&self.open_bridge(listener.node, listener.leg, not_after).await?);
                }
                Answer::Missing => return Err(unavailable("the listener's bridge is gone")),
                // It was made, and is on its way into the app's hands.
                Answer::Refused(409 | 422, _) if clock.now() < give_up_at => {
                    clock.sleep_until(clock.now() + AGAIN).await;
                }
                Answer::Refused(status, reason) => return Err(unavailable(&format!("{status}: {reason}"))),
            }
        }
        Ok(())
    }

    /// Ends ears.
    async fn take_down(&self, node: usize, ears: &[&String], not_after: Timestamp) -> Outcome {
        for ear in ears {
            match self.nodes[node].http.ask(Ask::delete(format!("channels/{ear}"), not_after)).await? {
                Answer::Done(_) | Answer::Missing => {}
                Answer::Refused(status, reason) => return Err(unavailable(&format!("{status}: {reason}"))),
            }
        }
        Ok(())
    }

    /// Makes an ear on a leg, unless it is there.
    async fn make_ear(
        &self,
        listener: &Listener,
        ear: &str,
        spied: LegId,
        whispers: bool,
        not_after: Timestamp,
    ) -> Outcome {
        let http = &self.nodes[listener.node].http;
        // What goes out to a leg is what its far end hears.
        let whisper = if whispers { "out" } else { "none" };
        let body = json!({"app": listener.app, "spy": "both", "whisper": whisper});
        match http.ask(Ask::post(format!("channels/{spied}/snoop/{ear}"), body, not_after)).await {
            Ok(Answer::Done(_)) => Ok(()),
            Ok(Answer::Missing) => Err(TelephonyError::NoSuchLeg),
            Err(error @ TelephonyError::TooLate) => Err(error),
            // There since before, perhaps: Asterisk calls a name in use an error of its own (500).
            refused => match http.ask(Ask::get(format!("channels/{ear}"))).await? {
                Answer::Done(_) => Ok(()),
                _ => Err(unavailable(&format!("no ear on the leg: {refused:?}"))),
            },
        }
    }

    /// Takes a leg out of a call's bridge.
    async fn leave(&self, leg: LegId, other: LegId, node: usize, not_after: Timestamp) -> Outcome {
        let path = format!("bridges/{leg}/removeChannel");
        let ask = Ask::post(path, json!({"channel": other.to_string()}), not_after);
        match self.nodes[node].http.ask(ask).await? {
            // 422: it has left meanwhile.
            Answer::Done(_) | Answer::Missing | Answer::Refused(422, _) => Ok(()),
            Answer::Refused(status, reason) => Err(unavailable(&format!("{status}: {reason}"))),
        }
    }

    /// Takes a listener's ears and its own bridge down.
    pub(super) async fn take_ears(&self, listener: LegId, node: usize, not_after: Timestamp) -> Outcome {
        let http = &self.nodes[node].http;
        let channels = self.listing(node).await?;
        let ears: Vec<&String> =
            channels.iter().map(|(id, ..)| id).filter(|id| listener_of(id) == Some(listener)).collect();
        self.take_down(node, &ears, not_after).await?;
        http.ask(Ask::delete(format!("bridges/{listener}"), not_after)).await.map(drop)
    }

    /// Makes the bridge of a leg's name unless it is there; who is in it.
    pub(super) async fn open_bridge(
        &self,
        node: usize,
        leg: LegId,
        not_after: Timestamp,
    ) -> Result<Vec<String>, TelephonyError> {
        let ask = Ask::post(format!("bridges/{leg}"), json!({"type": "mixing"}), not_after);
        match self.nodes[node].http.ask(ask).await? {
            Answer::Done(_) => Ok(Vec::new()),
            // Asked for before.
            Answer::Refused(409, _) => Ok(self.members(node, leg).await?.unwrap_or_default()),
            other => Err(unavailable(&format!("no bridge: {other:?}"))),
        }
    }

    /// Which channels are in the bridge of a leg's name; none if there is no such bridge.
    pub(super) async fn members(&self, node: usize, leg: LegId) -> Result<Option<Vec<String>>, TelephonyError> {
        match self.nodes[node].http.ask(Ask::get(format!("bridges/{leg}"))).await? {
            Answer::Done(body) => {
                let bridge: Bridge = http::read(&body)?;
                Ok(Some(bridge.channels))
            }
            Answer::Missing => Ok(None),
            Answer::Refused(status, reason) => Err(unavailable(&format!("{status}: {reason}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttemptId, CallId};

    #[test]
    fn ears_have_names_that_lead_back() {
        let call = CallId::new(&"bank".parse().unwrap(), &"r".parse().unwrap(), 3);
        let callee = LegId::callee(AttemptId { call, claim: 2 });
        let listener = LegId { role: LegRole::Supervisor, ordinal: 1, ..callee };
        let names = [None, Some(callee), Some(LegId::transfer(callee.attempt, 1))].map(|whom| ear_of(listener, whom));
        for (name, end) in names.iter().zip(["_ear", "_to_c0", "_to_t1"]) {
            assert_eq!((listener_of(name), name.ends_with(end)), (Some(listener), true), "{name}");
            assert_eq!(whispers_by(name), end != "_ear");
            assert!(name.parse::<LegId>().is_err(), "no leg");
        }
        for other in [format!("{callee}_rec"), listener.to_string(), "b0a6_ce2e".to_owned()] {
            assert_eq!(listener_of(&other), None, "{other}");
        }
    }
}
