//! A call's history folded into its Status entry.

use super::entry::{AttemptEntry, CallEntry, CallState, DialStatus, LegEntry, LegTarget, StepEntry, StepInfo};
use super::{CallStatus, StepStatus, TransferStatus};
use crate::model::event::{CallContext, CallStatusHint};
use crate::model::{AnsweredBy, AttemptId, Disposition, DispositionResult, Fact, Happening, LegId, LegRole, Timestamp};

impl<'a> CallEntry<'a> {
    /// The entry of a call whose history is `facts`.
    pub fn fold(context: &'a CallContext, hint: CallStatusHint, facts: &'a [Fact]) -> Self {
        let mut entry = Self {
            request_id: &context.header.id,
            call_id: context.call,
            index: context.destination.index,
            caller: context.destination.caller.or(context.header.caller),
            destination: &context.destination.number,
            external_id: context.destination.external_id.as_deref(),
            status: CallStatus::Queued,
            attempt: 0,
            disposition: None,
            answered_by: None,
            queued_at: context.queued_at,
            dialed_at: None,
            answered_at: None,
            ended_at: None,
            recording_url: None,
            attempts: Vec::new(),
            call_flow_steps: Vec::new(),
            monitor_data: Vec::new(),
        };
        for fact in facts {
            entry.apply(context, fact);
        }
        if let CallStatusHint::Stored(status) = hint {
            // An end that left no history: the whole request was cancelled or ran out of time.
            if status.is_final() && !entry.status.is_final() {
                entry.disposition = match status {
                    CallStatus::Cancelled => Some(Disposition::new(DispositionResult::Cancelled, None)),
                    CallStatus::Expired => Some(Disposition::new(DispositionResult::Expired, None)),
                    _ => entry.disposition,
                };
            }
            entry.status = status;
        }
        entry
    }

    fn apply(&mut self, context: &'a CallContext, fact: &'a Fact) {
        let at = fact.at;
        match &fact.what {
            Happening::Dialing { claim, attempt, caller, trunk, .. } => {
                self.status = CallStatus::OnProgress;
                self.attempt = *attempt;
                self.caller = *caller;
                (self.disposition, self.answered_by) = (None, None);
                (self.dialed_at, self.answered_at, self.ended_at) = (Some(at), None, None);
                self.recording_url = None;
                self.call_flow_steps.clear();
                self.attempts.push(AttemptEntry {
                    attempt: *attempt,
                    trunk: trunk.as_deref(),
                    disposition: None,
                    dialed_at: at,
                    ended_at: None,
                });
                let callee = LegId::callee(AttemptId { call: context.call, claim: *claim });
                self.monitor_data.clear();
                self.monitor_data.push(LegEntry {
                    uuid: callee,
                    role: LegRole::Callee,
                    dest: LegTarget::Callee(&context.destination.number),
                });
            }
            Happening::Ringing
            | Happening::CommandExecuted { .. }
            | Happening::Adopted { .. }
            | Happening::OptedOut => {}
            Happening::Answered => {
                self.answered_at = Some(at);
                self.answered_by = Some(AnsweredBy::Unknown);
            }
            Happening::PartyDetected(party) => self.answered_by = Some(*party),
            Happening::StepStarted { step } => self.begin_step(context, *step, at),
            Happening::StepFinished { step, status, keys, transfer } => {
                let Some(entry) = self.open_step(context, *step) else { return };
                entry.status = Some(*status);
                entry.ended_at = Some(at);
                entry.transfer_status = transfer.or(entry.transfer_status);
                if entry.keys.is_some() {
                    let keys = keys.as_deref().unwrap_or_default();
                    entry.keys = Some(keys);
                    entry.user_pressed_digits = Some(keys.get(keys.len().saturating_sub(1)..).unwrap_or_default());
                }
            }
            Happening::LegAdded { leg, dest } => {
                self.monitor_data.push(LegEntry { uuid: *leg, role: leg.role, dest: LegTarget::Named(dest) });
                self.set_transfer(*leg, TransferStatus::Ringing);
            }
            Happening::LegAnswered { leg } => self.set_transfer(*leg, TransferStatus::Answered),
            Happening::LegFailed { leg, .. } | Happening::LegRemoved { leg } => {
                self.monitor_data.retain(|entry| entry.uuid != *leg);
            }
            Happening::RecordingStarted { .. } => {}
            Happening::RecordingStopped { url } => self.recording_url = url.as_deref(),
            Happening::RetryScheduled { disposition, .. } => {
                self.finish_attempt(context, at, *disposition, None);
                self.status = CallStatus::RetryScheduled;
            }
            Happening::Ended { status, disposition, refusal } => {
                self.finish_attempt(context, at, *disposition, *refusal);
                self.status = *status;
            }
        }
    }

    fn begin_step(&mut self, context: &'a CallContext, step: u16, at: Timestamp) {
        let Some(label) = context.steps.get(usize::from(step)) else { return };
        let keys = label.shows_keys.then_some("");
        self.call_flow_steps.push(StepEntry {
            step_name: label.name,
            path: &label.path,
            info: StepInfo {
                call_state: Some(CallState::Ongoing),
                call_status: Some(DialStatus::Answered),
                status: None,
                user_pressed_digits: keys,
                keys,
                transfer_status: None,
                leg: None,
                started_at: Some(at),
                ended_at: None,
            },
        });
    }

    fn open_step(&mut self, context: &CallContext, step: u16) -> Option<&mut StepInfo<'a>> {
        let label = context.steps.get(usize::from(step))?;
        let entry = self
            .call_flow_steps
            .iter_mut()
            .rev()
            .find(|entry| *entry.path == *label.path && entry.info.ended_at.is_none());
        entry.map(|entry| &mut entry.info)
    }

    fn set_transfer(&mut self, leg: LegId, status: TransferStatus) {
        if leg.role != LegRole::Transfer {
            return;
        }
        // A transfer from outside is no step's.
        if let Some(step) = self.call_flow_steps.last_mut().filter(|step| step.step_name == "transfer")
            && step.info.ended_at.is_none()
            && *step.info.leg.get_or_insert(leg) == leg
        {
            step.info.transfer_status = Some(status);
        }
    }

    fn finish_attempt(
        &mut self,
        context: &'a CallContext,
        at: Timestamp,
        disposition: Disposition,
        refusal: Option<StepStatus>,
    ) {
        self.disposition = Some(disposition);
        self.ended_at = Some(at);
        self.monitor_data.clear();
        if let Some(attempt) = self.attempts.last_mut().filter(|attempt| attempt.ended_at.is_none()) {
            attempt.disposition = Some(disposition);
            attempt.ended_at = Some(at);
        }
        for step in &mut self.call_flow_steps {
            step.info.call_state = Some(CallState::Ended);
        }
        // Whoever asks after a call that was never answered finds its fate where the reference keeps it: in a step.
        if let (true, Some(label)) = (self.call_flow_steps.is_empty(), context.steps.first()) {
            let keys = label.shows_keys.then_some("");
            self.call_flow_steps.push(StepEntry {
                step_name: label.name,
                path: &label.path,
                info: StepInfo {
                    call_state: Some(CallState::Ended),
                    call_status: Some(disposition.result.into()),
                    status: Some(refusal.unwrap_or(match disposition.result {
                        DispositionResult::Blocked => StepStatus::ErrorDestNotSupported,
                        _ => StepStatus::ErrorSessionEnded,
                    })),
                    user_pressed_digits: keys,
                    keys,
                    transfer_status: None,
                    leg: None,
                    started_at: None,
                    ended_at: Some(at),
                },
            });
        }
    }
}
