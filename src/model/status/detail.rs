//! One call in full: its Status entry, its timeline, and who else was in it.

use serde::Serialize;

use super::{CallEntry, CallStatus, LiveState, StepStatus, TransferStatus, display};
use crate::model::event::{CallContext, CallStatusHint};
use crate::model::note::{AgentDisposition, CallNotes, CustomerFlags, Remark};
use crate::model::{
    AnsweredBy, AttemptId, CallId, CallType, Disposition, DispositionResult, Fact, Happening, KeyLabel, LegId, LegRole,
    Phone, Private, Timestamp,
};

/// One call in full.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Call")]
pub struct CallDetail<'a> {
    /// As Status shows it.
    #[serde(flatten)]
    pub entry: CallEntry<'a>,
    /// How far it is, as commands may expect it; null if it is not live.
    pub state: Option<LiveState>,
    /// The call that this one follows from, as its request says.
    pub parent_id: Option<String>,
    /// What its request was made for.
    pub call_type: CallType,
    /// Language of the first message (BCP 47).
    pub language: Option<&'a str>,
    /// When its request was sealed.
    pub created_at: Timestamp,
    /// Nothing was dialled before.
    pub scheduled_at: Option<Timestamp>,
    /// Seconds from the request's acceptance to the first dial, or to now, or to the call's end if it was never dialled.
    pub wait_secs: u64,
    /// Seconds from the answer of the latest attempt to its end, or to now; 0 if it was not answered.
    pub call_secs: u64,
    /// Seconds for which the callee of the latest attempt waited for somebody they were transferred to.
    pub hold_secs: u64,
    /// The trunk of the latest attempt.
    pub trunk: Option<&'a str>,
    /// Everything that happened, in order.
    pub timeline: Vec<Moment<'a>>,
    /// Transfers of the latest attempt.
    pub transfers: Vec<TransferEntry<'a>>,
    /// Who else was called into the latest attempt.
    pub participants: Vec<ParticipantEntry<'a>>,
    /// Recordings of every attempt.
    pub recordings: Vec<RecordingEntry<'a>>,
    /// Whom it was with, as far as anybody has said.
    pub customer_flag: CustomerFlags,
    /// How it went, as whoever handled it says; null if nobody has said.
    pub agent_disposition: Option<&'a AgentDisposition>,
    /// What they wrote about it.
    pub notes: Option<&'a Remark>,
}

/// Something that happened in a call.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Moment<'a> {
    /// When.
    pub at: Timestamp,
    /// What: an event's type without `robocall.`, or what only later events carry: `party.detected`, `leg.answered`,
    /// `call.adopted`.
    pub what: &'a str,
    /// The step's path, if it is about a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<&'a str>,
    /// How the step ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StepStatus>,
    /// Keys of a gather that is not sensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<&'a str>,
    /// The leg, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leg: Option<String>,
    /// Whom the leg was to lead to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest: Option<&'a str>,
    /// How something ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposition: Option<Disposition>,
    /// Who picked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<AnsweredBy>,
    /// The command that was carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<&'a str>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_id: Option<&'a str>,
    /// Who gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<&'a str>,
}

/// A transfer.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransferEntry<'a> {
    /// Its leg.
    #[serde(serialize_with = "display")]
    #[schemars(with = "String")]
    pub id: LegId,
    /// How far it is.
    pub status: TransferStatus,
    /// Why it did not come about.
    pub fail_reason: Option<DispositionResult>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// The number that the target saw.
    pub from: Option<Phone>,
    /// Whom it leads to.
    pub to: &'a str,
}

/// Somebody who was called in.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantEntry<'a> {
    /// Their leg, by which their session can be ended.
    #[serde(serialize_with = "display")]
    #[schemars(with = "String")]
    pub leg_id: LegId,
    /// What they are.
    #[serde(rename = "type")]
    pub role: LegRole,
    /// As dialled.
    pub number: &'a str,
    /// How far they are.
    pub status: ParticipantStatus,
    /// When they joined.
    pub connected_at: Option<Timestamp>,
    /// When they left, or did not come about.
    pub ended_at: Option<Timestamp>,
    /// Seconds for which they were in the call.
    pub call_secs: u64,
    /// Why they did not come about.
    pub fail_reason: Option<DispositionResult>,
}

/// How far somebody is who was called in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say what they mean")]
pub enum ParticipantStatus {
    Ringing,
    Connected,
    Ended,
    Failed,
}

/// A recording.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordingEntry<'a> {
    /// Under which it is had once the attempt is over: the attempt's name. All that is recorded of one is one recording.
    #[serde(serialize_with = "display")]
    #[schemars(with = "String")]
    pub id: AttemptId,
    /// Where it is kept, or its name if that is nowhere.
    pub url: &'a str,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub stopped_at: Option<Timestamp>,
}

/// A leg of the latest attempt.
struct Leg<'a> {
    id: LegId,
    dest: &'a Private,
    added: Timestamp,
    answered: Option<Timestamp>,
    ended: Option<Timestamp>,
    failed: Option<Disposition>,
}

impl<'a> CallDetail<'a> {
    /// The call whose history is `facts` and about which `notes` are known, as it is at `now`.
    pub fn fold(
        context: &'a CallContext,
        hint: CallStatusHint,
        facts: &'a [Fact],
        notes: &'a CallNotes,
        language: Option<&'a str>,
        now: Timestamp,
    ) -> Self {
        let entry = CallEntry::fold(context, hint, facts);
        let until = |end: Option<Timestamp>| end.unwrap_or(now);
        let first_dial = entry.attempts.first().map(|attempt| attempt.dialed_at);
        let latest = facts.iter().rposition(|fact| matches!(fact.what, Happening::Dialing { .. })).unwrap_or(0);
        let legs = legs(&facts[latest..]);
        let is_transfer = |leg: &&Leg<'_>| leg.id.role == LegRole::Transfer;
        let held = |leg: &Leg<'_>| until(leg.answered.or(leg.ended).or(entry.ended_at)).since(leg.added).as_secs();
        Self {
            state: LiveState::of(facts).filter(|_| entry.status == CallStatus::OnProgress).map(|(state, _)| state),
            parent_id: context.header.parent.map(|call| call.to_string()),
            call_type: context.header.call_type,
            language,
            created_at: context.queued_at,
            scheduled_at: context.header.scheduled_at,
            wait_secs: until(first_dial.or(entry.ended_at)).since(context.queued_at).as_secs(),
            call_secs: entry.answered_at.map_or(0, |at| until(entry.ended_at).since(at).as_secs()),
            hold_secs: legs.iter().filter(is_transfer).map(held).sum(),
            trunk: entry.attempts.last().and_then(|attempt| attempt.trunk),
            timeline: facts.iter().map(|fact| Moment::of(context, fact)).collect(),
            transfers: legs.iter().filter(is_transfer).map(|leg| leg.as_transfer(entry.caller)).collect(),
            participants: (legs.iter().filter(|leg| leg.id.role.is_third_party()))
                .map(|leg| leg.as_participant(until(entry.ended_at)))
                .collect(),
            recordings: recordings(context.call, facts),
            customer_flag: notes.customer,
            agent_disposition: notes.disposition.as_ref(),
            notes: notes.disposition.as_ref().and_then(|disposition| disposition.notes.as_ref()),
            entry,
        }
    }
}

impl<'a> Moment<'a> {
    fn of(context: &'a CallContext, fact: &'a Fact) -> Self {
        let what = match (&fact.what, fact.what.event_type()) {
            (_, Some(event)) => event.as_str(),
            (Happening::PartyDetected(_), None) => "party.detected",
            (Happening::LegAnswered { .. }, None) => "leg.answered",
            (_, None) => "call.adopted",
        };
        let moment = Self { at: fact.at, what, ..Self::default() };
        let path = |step: &u16| context.steps.get(usize::from(*step)).map(|label| &*label.path);
        let leg = |leg: &LegId| Some(leg.to_string());
        match &fact.what {
            Happening::StepStarted { step } => Self { path: path(step), ..moment },
            Happening::StepFinished { step, status, keys, .. } => {
                Self { path: path(step), status: Some(*status), keys: keys.as_deref(), ..moment }
            }
            Happening::LegAdded { leg: id, dest } => Self { leg: leg(id), dest: Some(dest), ..moment },
            Happening::LegAnswered { leg: id } | Happening::LegRemoved { leg: id } => Self { leg: leg(id), ..moment },
            Happening::LegFailed { leg: id, disposition } => {
                Self { leg: leg(id), disposition: Some(*disposition), ..moment }
            }
            Happening::RetryScheduled { disposition, .. } | Happening::Ended { disposition, .. } => {
                Self { disposition: Some(*disposition), ..moment }
            }
            Happening::PartyDetected(party) => Self { answered_by: Some(*party), ..moment },
            Happening::CommandExecuted { command, id, actor, .. } => Self {
                command: Some(command),
                command_id: Some(id),
                actor: actor.as_ref().map(KeyLabel::as_str),
                ..moment
            },
            Happening::Dialing { .. }
            | Happening::Ringing
            | Happening::Answered
            | Happening::RecordingStarted { .. }
            | Happening::RecordingStopped { .. }
            | Happening::OptedOut
            | Happening::Adopted { .. } => moment,
        }
    }
}

/// The legs that some facts tell of, in the order in which they were added.
fn legs(facts: &[Fact]) -> Vec<Leg<'_>> {
    let mut legs: Vec<Leg<'_>> = Vec::new();
    for Fact { at, what } in facts {
        let find = |legs: &mut Vec<Leg<'_>>, id: &LegId| legs.iter().position(|leg| leg.id == *id);
        match what {
            Happening::LegAdded { leg, dest } => {
                legs.push(Leg { id: *leg, dest, added: *at, answered: None, ended: None, failed: None });
            }
            Happening::LegAnswered { leg } => {
                if let Some(place) = find(&mut legs, leg) {
                    legs[place].answered = Some(*at);
                }
            }
            Happening::LegFailed { leg, disposition } => {
                if let Some(place) = find(&mut legs, leg) {
                    (legs[place].ended, legs[place].failed) = (Some(*at), Some(*disposition));
                }
            }
            Happening::LegRemoved { leg } => {
                if let Some(place) = find(&mut legs, leg) {
                    legs[place].ended = Some(*at);
                }
            }
            _ => {}
        }
    }
    legs
}

impl<'a> Leg<'a> {
    fn as_transfer(&self, from: Option<Phone>) -> TransferEntry<'a> {
        let status = match self.failed.map(|failed| failed.result) {
            None if self.answered.is_some() => TransferStatus::Answered,
            None if self.ended.is_none() => TransferStatus::Ringing,
            Some(DispositionResult::Busy) => TransferStatus::Busy,
            Some(DispositionResult::Unanswered) => TransferStatus::Unanswered,
            None | Some(_) => TransferStatus::Failed,
        };
        let fail_reason = self.failed.map(|failed| failed.result);
        TransferEntry { id: self.id, status, fail_reason, created_at: self.added, from, to: self.dest }
    }

    fn as_participant(&self, until: Timestamp) -> ParticipantEntry<'a> {
        let status = match (self.failed, self.answered, self.ended) {
            (Some(_), _, _) => ParticipantStatus::Failed,
            (None, _, Some(_)) => ParticipantStatus::Ended,
            (None, Some(_), None) => ParticipantStatus::Connected,
            (None, None, None) => ParticipantStatus::Ringing,
        };
        ParticipantEntry {
            leg_id: self.id,
            role: self.id.role,
            number: self.dest,
            status,
            connected_at: self.answered,
            ended_at: self.ended,
            call_secs: self.answered.map_or(0, |at| self.ended.unwrap_or(until).since(at).as_secs()),
            fail_reason: self.failed.map(|failed| failed.result),
        }
    }
}

fn recordings(call: CallId, facts: &[Fact]) -> Vec<RecordingEntry<'_>> {
    let mut id = AttemptId { call, claim: 0 };
    let mut recordings: Vec<RecordingEntry<'_>> = Vec::new();
    for Fact { at, what } in facts {
        match what {
            Happening::Dialing { claim, .. } => id.claim = *claim,
            Happening::RecordingStarted { recording } => {
                recordings.push(RecordingEntry { id, url: recording, started_at: *at, stopped_at: None });
            }
            Happening::RecordingStopped { url } => {
                if let Some(last) = recordings.last_mut().filter(|last| last.stopped_at.is_none()) {
                    last.stopped_at = Some(*at);
                    last.url = url.as_deref().unwrap_or(last.url);
                }
            }
            _ => {}
        }
    }
    recordings
}
