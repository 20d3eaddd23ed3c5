//! The legs of a call besides the callee's: the slot of each, and its dial, which follows the grant of the slot within a
//! second or not at all.

use std::time::Duration;

use super::ledger::Fenced;
use super::legs::{denied_leg, lost_leg};
use super::live_call::{AGAIN, Grant, Heard, LiveCall, Waiting};
use crate::callflow::call::CallInput;
use crate::callflow::program::Target;
use crate::model::{LegId, Phone, Timestamp};
use crate::policy::prefix;
use crate::ports::TelephonyError;
use crate::ports::store::{SlotAnswer, Written};
use crate::ports::telephony::{LegState, NewLeg};

/// How long after its slot was granted, or it was asked for if it needs none, a leg may be dialled.
const COMMITMENT: Duration = Duration::from_secs(1);

/// Longest that a leg stays in line for a slot; whoever wants it gives up sooner.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// How often a backend that does not answer is asked to join two legs.
const TRIES: u32 = 10;

impl LiveCall<'_> {
    /// Puts a leg in line for a slot.
    pub(super) async fn acquire_slot(&mut self, leg: LegId) -> Result<(), Fenced> {
        let now = self.shared.ports.clock.now();
        let store = &self.shared.ports.store;
        let waiting = self.waiting.get_or_insert_with(|| {
            let wakeups = store.wakeups();
            Waiting { legs: Vec::new(), ask_at: now, wakeups }
        });
        waiting.legs.retain(|(other, _)| *other != leg);
        waiting.legs.push((leg, now + LONGEST_WAIT));
        self.ask_for_slots().await
    }

    /// A leg does not wait for a slot any more.
    pub(super) fn waits_no_more(&mut self, leg: LegId) {
        if let Some(waiting) = &mut self.waiting {
            waiting.legs.retain(|(other, _)| *other != leg);
        }
        self.waiting.take_if(|waiting| waiting.legs.is_empty());
    }

    /// Asks for the slots that are waited for.
    pub(super) async fn ask_for_slots(&mut self) -> Result<(), Fenced> {
        let Some(waiting) = &mut self.waiting else { return Ok(()) };
        let ports = &self.shared.ports;
        waiting.wakeups.forget();
        waiting.ask_at = ports.clock.now() + AGAIN;
        for (leg, until) in waiting.legs.clone() {
            let asked_at = ports.clock.now();
            match ports.store.request_slot(&self.ledger.held, leg, until).await {
                Ok(Written::Done(SlotAnswer::Granted)) => {
                    self.waits_no_more(leg);
                    self.grant = Some(Grant { leg, asked_at });
                    self.tell(CallInput::SlotGranted { leg });
                }
                Ok(Written::Fenced) => return Err(Fenced),
                Ok(Written::Done(SlotAnswer::Waiting)) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Dials a leg, if it is still wanted and may be.
    pub(super) async fn dial_leg(
        &mut self,
        leg: LegId,
        target: Target,
        caller: Option<Phone>,
        rings: Duration,
    ) -> Result<(), Fenced> {
        let Some(committed_at) = self.commit_leg(leg, &target).await? else { return Ok(()) };
        let header = &self.ledger.context.header;
        let lives_at_most = rings + header.max_call_duration + COMMITMENT;
        let talks_at_most = header.max_call_duration;
        let is_waited_for = self.machine.state().waits_for(leg);
        let caller = caller.or(self.caller);
        let new = NewLeg { leg, target, caller, lives_at_most, talks_at_most, trunk: 0, is_waited_for };
        let until = self.authority().await?;
        let ports = &self.shared.ports;
        let made = ports.telephony.create(&self.app, &new, until).await;
        let dialled = match &made {
            Ok(()) => ports.telephony.dial(leg, rings, until.min(committed_at + COMMITMENT)).await,
            Err(error) => Err(error.clone()),
        };
        match dialled {
            Ok(()) => {}
            // It may ring all the same: its slot stays held until its reports, or the machine's deadline, end it.
            Err(TelephonyError::Unavailable(reason)) if made.is_ok() => {
                tracing::warn!(%leg, reason, "no answer to a second leg's dial")
            }
            Err(error) => {
                tracing::warn!(%leg, %error, "a second leg was not dialled");
                let _ = ports.telephony.hang_up(leg, until).await;
                self.tell(CallInput::LegEnded { leg, end: lost_leg() });
            }
        }
        Ok(())
    }

    /// Asks after whoever has rung long enough, before they are hung up: they may talk already, and the report of their
    /// answer be lost.
    pub(super) async fn hear_of_answers(&mut self) {
        for leg in self.machine.state().overdue_dials(self.shared.ports.clock.now()) {
            if let Ok(Some(LegState::Up)) = self.shared.ports.telephony.inspect(leg).await {
                tracing::warn!(%leg, "was answered, and nobody had said so");
                let is_callee = leg == self.leg;
                self.tell(if is_callee { CallInput::Answered } else { CallInput::LegAnswered { leg } });
            }
        }
    }

    /// Hands the callee to the backend, if that is still wanted and allowed.
    pub(super) async fn blind_transfer(&mut self, other: LegId, target: &Target) -> Result<(), Fenced> {
        let Some(committed_at) = self.commit_leg(other, target).await? else { return Ok(()) };
        let until = self.authority().await?;
        let telephony = &self.shared.ports.telephony;
        let sent = telephony.blind_transfer(self.leg, other, target, until.min(committed_at + COMMITMENT)).await;
        // Unanswered, it may have been carried out: the machine's deadline ends it.
        let unanswered = matches!(sent, Err(TelephonyError::Unavailable(_)));
        if let (Heard::No, false) = (self.heard(sent), unanswered) {
            // It may be made already, and only come too late to be dialled.
            let _ = self.shared.ports.telephony.hang_up(other, until).await;
            self.tell(CallInput::LegEnded { leg: other, end: lost_leg() });
        }
        Ok(())
    }

    /// Looks once more whether a leg that was written down is to be dialled, since the store may have been away in
    /// between: answers from when its commitment counts. If it is not, the machine has been told so.
    async fn commit_leg(&mut self, leg: LegId, target: &Target) -> Result<Option<Timestamp>, Fenced> {
        if self.is_denied(target).await {
            self.tell(CallInput::LegEnded { leg, end: denied_leg() });
            return Ok(None);
        }
        loop {
            self.read_mail(|_| false)?;
            if !self.machine.state().is_dialling(leg) {
                // The callee has left meanwhile.
                self.tell(CallInput::LegEnded { leg, end: denied_leg() });
                return Ok(None);
            }
            let now = self.shared.ports.clock.now();
            if !target.needs_slot(leg.role) {
                return Ok(Some(now));
            }
            if let Some(grant) = self.grant.filter(|grant| grant.leg == leg && now < grant.asked_at + COMMITMENT) {
                return Ok(Some(grant.asked_at));
            }
            // The slot is held, but the limit may have been lowered since, or others may have taken theirs.
            let (ports, until) = (&self.shared.ports, self.machine.next_timeout().unwrap_or(now));
            match ports.store.request_slot(&self.ledger.held, leg, until).await {
                Ok(Written::Done(SlotAnswer::Granted)) => self.grant = Some(Grant { leg, asked_at: now }),
                Ok(Written::Done(SlotAnswer::Waiting)) => {
                    self.tell(CallInput::LegEnded { leg, end: denied_leg() });
                    return Ok(None);
                }
                Ok(Written::Fenced) => return Err(Fenced),
                // The callee talks, or listens, and waits for nobody.
                Err(_) if !self.machine.state().waits_for(leg) => {
                    self.tell(CallInput::LegEnded { leg, end: denied_leg() });
                    return Ok(None);
                }
                Err(_) => {
                    ports.clock.sleep_until(now + AGAIN).await;
                    self.do_overdue();
                }
            }
        }
    }

    /// Joins a second leg with the callee; until they are, neither hears anything.
    pub(super) async fn bridge(&mut self, other: LegId) -> Result<(), Fenced> {
        self.listens_no_more(other);
        let shared = self.shared;
        let telephony = &shared.ports.telephony;
        for _ in 0..TRIES {
            match telephony.bridge(self.leg, other, self.authority().await?).await {
                Err(TelephonyError::NoSuchLeg) if telephony.inspect(other).await == Ok(None) => {
                    self.tell(CallInput::LegEnded { leg: other, end: lost_leg() });
                    return Ok(());
                }
                Err(TelephonyError::TooLate | TelephonyError::Unavailable(_)) => self.pause().await,
                sent => {
                    self.heard(sent);
                    return Ok(());
                }
            }
        }
        if !self.machine.state().waits_for(other) {
            // The callee would be kept for somebody they do not hear.
            self.send_away(other);
        }
        Ok(())
    }

    /// Whether the organisation's rules forbid a target; also if they cannot be read now.
    async fn is_denied(&mut self, target: &Target) -> bool {
        let Target::External(phone) = target else { return false };
        let rules = self.shared.organisations.of(&self.shared.ports, &self.ledger.held.organisation).await;
        rules.map_or(true, |rules| prefix::denied_by(*phone, &rules.denied_prefixes).is_some())
    }
}
