//! Whether organisations stand well: who calls for them, their slots, and whether their calls are where the phone network says.

use std::collections::BTreeSet;
use std::time::Duration;

use super::checkup::{Finding, SETTLED};
use super::console::{Console, ConsoleError};
use crate::model::happening::dialled_by;
use crate::model::{LegId, OrganisationId};
use crate::ports::store::{LiveCall, Stage};
use crate::ports::{Census as _, Standing, Standings, Telephony, Unread, Whose};

/// How long the database may take to tell of all organisations: each is a question of its own, and there may be thousands.
const ALL_WITHIN: Duration = Duration::from_secs(60);

const SLOTS: &str = "slots";

impl Console {
    /// How all organisations stand that the database knows.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn standings(&self) -> Result<Standings, ConsoleError> {
        self.ask_store_within(ALL_WITHIN, self.deployment.database().standings(Whose::Known, Duration::ZERO))
    }

    /// How one stands, or all that the database knows. Who has never had anything has slots all the same.
    fn standings_of(&self, only: Option<&OrganisationId>) -> Result<Standings, ConsoleError> {
        let mut standings = if only.is_some() { Standings::default() } else { self.standings()? };
        let somebody = only.cloned().or_else(|| "default".parse().ok());
        if let Some(organisation) = somebody.filter(|_| standings.read.is_empty() && standings.unread.is_empty()) {
            match self.ask_store(self.deployment.database().standing_of(&organisation, Duration::ZERO))? {
                Ok(standing) => standings.read.push(standing),
                Err(unread) => standings.unread.push(unread),
            }
        }
        Ok(standings)
    }

    /// Whether somebody calls for them, their slots, and whether their dialled calls are where the phone network says.
    pub(super) fn check_organisations(
        &self,
        only: Option<&OrganisationId>,
        workers: Option<u32>,
        phones: Option<&dyn Telephony>,
        tell: &mut impl FnMut(Finding),
    ) {
        let Standings { read, unread } = match self.standings_of(only) {
            Ok(standings) => standings,
            Err(error) => {
                return tell(Finding::fail(SLOTS, error.to_string(), "see that the database runs scripts (EVALSHA)"));
            }
        };
        if let Some(workers) = workers {
            tell(of_workers(workers, &read));
        }
        for Unread { organisation, why } in &unread {
            let message = format!("of {organisation} they cannot be read, nothing is dialled: {why}");
            tell(Finding::fail(SLOTS, message, "what its keys hold is of another version, or of another program"));
        }
        let mut well = Vec::new();
        for standing in &read {
            match self.trouble(standing) {
                Some(finding) => tell(finding),
                None => well.push(standing),
            }
        }
        if !well.is_empty() {
            tell(Finding::ok(SLOTS, use_of(&well)));
        }
        let Some(phones) = phones else { return };
        let busy: Vec<&OrganisationId> =
            read.iter().filter(|standing| standing.slots.leased > 0).map(|standing| &standing.organisation).collect();
        match self.missing_at(phones, &busy) {
            Ok((live, missing)) if missing.is_empty() => {
                tell(Finding::ok("live calls", format!("{live}, and all of them at the phone network")));
            }
            Ok((live, missing)) => {
                let first = missing.first().map(LegId::to_string).unwrap_or_default();
                let message = format!("{} of {live} are not at the phone network, {first} for one", missing.len());
                let advice = "their owners should notice soon; if they do not, restart those workers";
                tell(Finding::warn("live calls", message, advice));
            }
            Err(error) => tell(Finding::fail("live calls", error.to_string(), "look again")),
        }
    }

    /// What is wrong with an organisation's slots, if anything is.
    fn trouble(&self, standing: &Standing) -> Option<Finding> {
        let Standing { organisation, slots, .. } = standing;
        let message = use_of(&[standing]);
        if standing.is_external_unreadable() {
            let advice =
                format!("write a whole number to the key {}:{{{organisation}}}:external, or delete it", self.prefix);
            let message = format!("what others use of {organisation}'s cannot be read: nothing is dialled");
            Some(Finding::fail(SLOTS, message, advice))
        } else if slots.suspect > 0 {
            let message = format!("{message}; {} suspect: their workers do not renew them", slots.suspect);
            Some(Finding::warn(SLOTS, message, "a worker takes them over within 30 s, if one runs"))
        } else if slots.limit == 0 {
            let advice = format!("`robocall org set --org {organisation} --limit N` lets it call");
            Some(Finding::warn(SLOTS, message, advice))
        } else {
            None
        }
    }

    /// How many calls are dialled, and which of them the phone network does not have, looked at twice: what ends in
    /// between is no fault.
    fn missing_at(
        &self,
        phones: &dyn Telephony,
        organisations: &[&OrganisationId],
    ) -> Result<(usize, Vec<LegId>), ConsoleError> {
        let (live, before) = self.missing_now(phones, organisations)?;
        if before.is_empty() {
            return Ok((live, Vec::new()));
        }
        self.pause(SETTLED);
        let (live, after) = self.missing_now(phones, organisations)?;
        Ok((live, before.intersection(&after).copied().collect()))
    }

    fn missing_now(
        &self,
        phones: &dyn Telephony,
        organisations: &[&OrganisationId],
    ) -> Result<(usize, BTreeSet<LegId>), ConsoleError> {
        let mut live = Vec::new();
        for organisation in organisations {
            live.extend(self.ask_store(self.store().live_calls(organisation, None))?);
        }
        live.retain(|call| call.stage == Stage::Dialing);
        let app = |call: &LiveCall| dialled_by(&call.history).unwrap_or(&call.worker).clone();
        let mut there = BTreeSet::new();
        for app in live.iter().map(app).collect::<BTreeSet<_>>() {
            there.extend(self.legs_of(phones, &app)?);
        }
        let legs = live.iter().map(|call| LegId::callee(call.held.attempt));
        Ok((live.len(), legs.filter(|leg| !there.contains(leg)).collect()))
    }
}

/// Whether anybody calls for organisations that stand so.
pub(super) fn of_workers(workers: u32, standings: &[Standing]) -> Finding {
    const CHECK: &str = "workers";
    if workers > 0 {
        return Finding::ok(CHECK, if workers == 1 { "1 lives".to_owned() } else { format!("{workers} live") });
    }
    let sum = |of: fn(&Standing) -> u32| standings.iter().map(of).map(u64::from).sum::<u64>();
    let (due, held) = (sum(|standing| standing.due), sum(|standing| standing.slots.leased));
    let advice = "start one: `robocall worker`";
    if due == 0 && held == 0 {
        return Finding::warn(CHECK, "none lives, and nothing is to be dialled now", advice);
    }
    let some = |count: u64, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let mut message = "none lives".to_owned();
    if due > 0 {
        message.push_str(&format!(", {} could be dialled now", some(due, "destination")));
    }
    if held > 0 {
        message.push_str(&format!(", {} of calls that nobody looks after", some(held, "slot")));
    }
    Finding::fail(CHECK, message, advice)
}

/// How many slots are used of how many.
fn use_of(standings: &[&Standing]) -> String {
    let sum = |of: fn(&Standing) -> u32| standings.iter().map(|standing| u64::from(of(standing))).sum::<u64>();
    let used = sum(|standing| standing.slots.leased);
    let (limit, external) = (sum(|standing| standing.slots.limit), sum(|standing| standing.slots.external));
    match standings {
        [one] => format!("{} uses {used} of {limit}, others {external}", one.organisation),
        several => format!("{} organisations use {used} of {limit}, others {external}", several.len()),
    }
}
