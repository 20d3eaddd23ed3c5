//! Legs come, are dialled, and go.

use std::time::Duration;

use serde_json::json;

use super::Inner;
use super::ari::event::Channel;
use super::ari::http::{Answer, Ask, read};
use super::leg::{Leg, state_of};
use super::streams::app_name;
use crate::model::{LegId, LegRole, Timestamp, WorkerId};
use crate::ports::TelephonyError;
use crate::ports::telephony::{LegState, NewLeg};

pub(super) type Outcome = Result<(), TelephonyError>;

/// A channel's variable: it was dialled, or is about to be.
const DIALLED: &str = "ROBOCALL_DIALLED";

impl Inner {
    /// Makes a leg, and waits until the app has it.
    pub(super) async fn create(&self, app: &WorkerId, new: &NewLeg, not_after: Timestamp) -> Outcome {
        let node = self.place(app, new.leg)?;
        let Some(endpoint) = self.settings.endpoints.of(&new.target, new.trunk) else {
            return Err(unavailable("there is no such trunk"));
        };
        if new.leg.role == LegRole::Callee {
            self.nodes[node].turn(not_after).await?;
        } else {
            // A callee waits for it already, and its commitment is short.
            self.nodes[node].goes_ahead();
        }
        let asked_at = self.settings.clock.now();
        let Some(is_there) = self.table().ask_for(new.leg, app, node) else { return Err(TelephonyError::Conflict) };
        let made = self.make(app, new, endpoint, node, not_after).await;
        self.nodes[node].has_made(made.is_ok());
        let made = match made {
            Ok(()) => {
                let clock = &self.settings.clock;
                let until = not_after.min(clock.now() + self.settings.answer_within);
                tokio::select! {
                    biased;
                    there = is_there => there.map_err(|_| unavailable("the leg is gone")),
                    () = clock.sleep_until(until) => Err(unavailable("the leg did not come into the app's hands")),
                }
            }
            Err(error) => Err(error),
        };
        let mut table = self.table();
        match made {
            Ok(()) => {
                table.note_other(new.leg);
                if let Some(known) = table.get(new.leg) {
                    known.limit = Some((new.talks_at_most, asked_at + new.lives_at_most));
                    known.is_waited_for = new.is_waited_for && new.leg.role == LegRole::Transfer;
                }
            }
            // What comes of it all the same is found by its name.
            Err(_) => drop(table.remove(new.leg)),
        }
        made
    }

    /// Lets Asterisk end an answered leg by itself.
    pub(super) async fn limit(&self, leg: LegId, length: Duration, not_after: Timestamp) -> Outcome {
        let node = self.locate(leg).await?.ok_or(TelephonyError::NoSuchLeg)?;
        let body = json!({"variable": "TIMEOUT(absolute)", "value": seconds(length)});
        match self.nodes[node].http.ask(Ask::post(format!("channels/{leg}/variable"), body, not_after)).await? {
            Answer::Done(_) => Ok(()),
            Answer::Missing => Err(TelephonyError::NoSuchLeg),
            Answer::Refused(status, reason) => Err(unavailable(&format!("{status}: {reason}"))),
        }
    }

    async fn make(&self, app: &WorkerId, new: &NewLeg, endpoint: String, node: usize, not_after: Timestamp) -> Outcome {
        let (leg, app) = (new.leg.to_string(), app_name(app));
        let mut variables = json!({
            "TIMEOUT(absolute)": seconds(new.lives_at_most),
            "CHANNEL(accountcode)": app,
            "ROBOCALL_APP": app,
        });
        if let Some(caller) = new.caller {
            // To the one who is dialled, whoever calls is the other end of the line.
            variables["CONNECTEDLINE(num)"] = caller.to_string().into();
        }
        let body = json!({"endpoint": endpoint, "app": app, "channelId": leg, "variables": variables});
        match self.nodes[node].http.ask(Ask::post("channels/create", body, not_after)).await? {
            Answer::Done(_) => Ok(()),
            // A name in use, among other things.
            Answer::Refused(409, reason) => match self.channel(node, new.leg).await? {
                Some(_) => Err(TelephonyError::Conflict),
                None => Err(unavailable(&reason)),
            },
            Answer::Refused(status, reason) => Err(unavailable(&format!("{status}: {reason}"))),
            Answer::Missing => Err(unavailable("ARI is not at this address")),
        }
    }

    /// Where a leg goes: to the callee's node, or where there is most room.
    fn place(&self, app: &WorkerId, leg: LegId) -> Result<usize, TelephonyError> {
        let mut table = self.table();
        let hears_on = table.hears_on(app);
        if leg.role != LegRole::Callee {
            let callee = table.get(LegId::callee(leg.attempt)).map(|callee| callee.node);
            let node = callee.ok_or(TelephonyError::NoSuchLeg)?;
            return if hears_on.contains(&node) { Ok(node) } else { Err(unavailable("its events are not heard")) };
        }
        if hears_on.is_empty() {
            return Err(unavailable("no node's events are heard"));
        }
        let with_room = hears_on.into_iter().filter(|node| self.nodes[*node].room(table.count(*node)) > 0);
        let best = with_room.min_by_key(|node| self.nodes[*node].rank(table.count(*node)));
        best.ok_or_else(|| unavailable("every node is full"))
    }

    /// Dials a leg, once.
    pub(super) async fn dial(&self, leg: LegId, ring_timeout: Duration, not_after: Timestamp) -> Outcome {
        let known = self.table().get(leg).map(|known| (known.node, known.take_dial()));
        let node = match known {
            Some((node, true)) => node,
            Some((_, false)) => return Err(TelephonyError::Conflict),
            // Another process made it: whether it dialled it, nobody here can tell.
            None => {
                return Err(self.locate(leg).await?.map_or(TelephonyError::NoSuchLeg, |_| TelephonyError::Conflict));
            }
        };
        // Whoever takes the call over sees by it that somebody's phone may ring, whatever state the channel shows.
        let mark = json!({"variable": DIALLED, "value": "1"});
        let marked = self.nodes[node].http.ask(Ask::post(format!("channels/{leg}/variable"), mark, not_after)).await;
        if !matches!(marked, Ok(Answer::Done(_))) {
            if let Some(known) = self.table().get(leg) {
                known.give_dial_back();
            }
            return match marked {
                Ok(Answer::Missing) => Err(TelephonyError::NoSuchLeg),
                // Nothing was dialled.
                _ => Err(TelephonyError::TooLate),
            };
        }
        let seconds = ring_timeout.as_millis().div_ceil(1000);
        let path = format!("channels/{leg}/dial");
        let body = json!({"timeout": u64::try_from(seconds).unwrap_or(u64::MAX)});
        match self.nodes[node].http.ask(Ask::post(path, body, not_after)).await {
            Ok(Answer::Done(_)) => Ok(()),
            Ok(Answer::Missing) => Err(TelephonyError::NoSuchLeg),
            Ok(Answer::Refused(_, reason)) => {
                tracing::debug!(%leg, reason, "not dialled");
                Err(TelephonyError::Conflict)
            }
            Err(TelephonyError::TooLate) => {
                if let Some(known) = self.table().get(leg) {
                    known.give_dial_back();
                }
                Err(TelephonyError::TooLate)
            }
            Err(error) => Err(error),
        }
    }

    /// Ends a leg.
    pub(super) async fn hang_up(&self, leg: LegId, not_after: Timestamp) -> Outcome {
        if self.settings.clock.now() > not_after {
            return Err(TelephonyError::TooLate);
        }
        let node = self.locate(leg).await?.ok_or(TelephonyError::NoSuchLeg)?;
        if let Some(known) = self.table().get(leg) {
            known.asked = true;
        }
        let sent = self.nodes[node].http.ask(Ask::delete(format!("channels/{leg}"), not_after)).await;
        if sent == Err(TelephonyError::TooLate)
            && let Some(known) = self.table().get(leg)
        {
            known.asked = false;
        }
        match sent? {
            Answer::Done(_) => Ok(()),
            Answer::Missing => Err(TelephonyError::NoSuchLeg),
            Answer::Refused(status, reason) => Err(unavailable(&format!("{status}: {reason}"))),
        }
    }

    /// How far a leg is.
    pub(super) async fn inspect(&self, leg: LegId) -> Result<Option<LegState>, TelephonyError> {
        let known = self.table().get(leg).map(|known| known.node);
        match known {
            Some(node) => self.channel(node, leg).await,
            None => Ok(self.search(leg).await?.map(|(_, state)| state)),
        }
    }

    /// On which node a leg is; none if on none of them.
    pub(super) async fn locate(&self, leg: LegId) -> Result<Option<usize>, TelephonyError> {
        let known = self.table().get(leg).map(|known| known.node);
        match known {
            Some(node) => Ok(Some(node)),
            None => Ok(self.search(leg).await?.map(|(node, _)| node)),
        }
    }

    /// Looks for a leg on all nodes. Not found counts only if all of them have answered.
    async fn search(&self, leg: LegId) -> Result<Option<(usize, LegState)>, TelephonyError> {
        let looks = (0..self.nodes.len()).map(|node| async move { (node, self.channel(node, leg).await) });
        let mut silent = None;
        for (node, look) in futures_util::future::join_all(looks).await {
            match look {
                Ok(Some(state)) => return Ok(Some((node, state))),
                Ok(None) => {}
                Err(error) => silent = Some(error),
            }
        }
        silent.map_or(Ok(None), Err)
    }

    /// How far a leg is on a node.
    async fn channel(&self, node: usize, leg: LegId) -> Result<Option<LegState>, TelephonyError> {
        match self.nodes[node].http.ask(Ask::get(format!("channels/{leg}"))).await? {
            Answer::Done(body) => {
                let channel: Channel<'_> = read(&body)?;
                let own =
                    self.table().get(leg).filter(|known| known.made_here).map(|known: &mut Leg| known.was_dialled());
                let dialled = match own {
                    Some(dialled) => dialled,
                    // Early audio leaves a channel's state as it was, and so does a network that takes its time.
                    None => channel.state == "Down" && self.was_dialled(node, leg).await?,
                };
                Ok(Some(state_of(&channel.state, dialled)))
            }
            Answer::Missing => Ok(None),
            Answer::Refused(status, reason) => Err(unavailable(&format!("{status}: {reason}"))),
        }
    }

    /// Whether somebody dialled a leg, or was about to.
    async fn was_dialled(&self, node: usize, leg: LegId) -> Result<bool, TelephonyError> {
        let path = format!("channels/{leg}/variable?variable={DIALLED}");
        match self.nodes[node].http.ask(Ask::get(path)).await? {
            Answer::Done(body) => Ok(String::from_utf8_lossy(&body).contains("\"1\"")),
            // No such variable, or no such leg any more.
            Answer::Missing => Ok(false),
            Answer::Refused(status, reason) => Err(unavailable(&format!("{status}: {reason}"))),
        }
    }

    /// Every channel on a node, legs and others: its name, its state, and whose it is.
    pub(super) async fn listing(&self, node: usize) -> Result<Vec<(String, String, String)>, TelephonyError> {
        match self.nodes[node].http.ask(Ask::get("channels")).await? {
            Answer::Done(body) => {
                let channels: Vec<Channel<'_>> = read(&body)?;
                let owned = |channel: Channel<'_>| {
                    (channel.id.into_owned(), channel.state.into_owned(), channel.accountcode.into_owned())
                };
                Ok(channels.into_iter().map(owned).collect())
            }
            other => Err(unavailable(&format!("no listing: {other:?}"))),
        }
    }

    /// Every leg on a node: its name, its state, and whose it is.
    pub(super) async fn channels(&self, node: usize) -> Result<Vec<(LegId, String, String)>, TelephonyError> {
        let legs = self.listing(node).await?.into_iter();
        Ok(legs.filter_map(|(id, state, owner)| Some((id.parse().ok()?, state, owner))).collect())
    }

    /// Every leg of an app.
    pub(super) async fn legs_of(&self, app: &WorkerId) -> Result<Vec<(LegId, LegState)>, TelephonyError> {
        let owner = app_name(app);
        let mut legs = Vec::new();
        for listing in futures_util::future::join_all((0..self.nodes.len()).map(|node| self.channels(node))).await {
            for (leg, state, _) in listing?.into_iter().filter(|(_, _, whose)| *whose == owner) {
                let dialled = self.table().get(leg).is_some_and(|known| known.was_dialled());
                legs.push((leg, state_of(&state, dialled)));
            }
        }
        Ok(legs)
    }
}

/// As the dialplan's functions take it.
fn seconds(length: Duration) -> String {
    format!("{:.3}", length.as_secs_f64())
}

pub(super) fn unavailable(reason: &str) -> TelephonyError {
    TelephonyError::Unavailable(reason.to_owned())
}
