//! One call's record: small while it waits, open while it is held, packed when it rests.

use serde::{Deserialize, Serialize};

use crate::callflow::call::CallState;
use crate::model::happening::events_in;
use crate::model::{CallStatus, Fact, Happening, Phone, Timestamp, WorkerId};
use crate::ports::store::{Stage, Token};

/// A call of a sealed request.
pub(super) struct Call {
    pub body: Body,
    /// Which chunk its destination is in, and from which byte on.
    pub chunk: u32,
    pub offset: u32,
    /// How many times it was claimed.
    pub claim: u32,
    /// How many times it was dialled.
    pub dials: u32,
    /// How many of its events are confirmed.
    pub confirmed: u32,
    /// As counted. A request that is over as a whole may say otherwise of calls that were waiting.
    pub status: CallStatus,
}

impl Call {
    pub fn waiting(chunk: u32, offset: u32) -> Self {
        let body = Body::Rest(Packed::default());
        Self { body, chunk, offset, claim: 0, dials: 0, confirmed: 0, status: CallStatus::Queued }
    }

    pub fn live(&self) -> Option<&Live> {
        match &self.body {
            Body::Live(live) => Some(live),
            Body::Rest(_) => None,
        }
    }

    pub fn live_mut(&mut self) -> Option<&mut Live> {
        match &mut self.body {
            Body::Live(live) => Some(live),
            Body::Rest(_) => None,
        }
    }

    pub fn history(&self) -> Vec<Fact> {
        match &self.body {
            Body::Live(live) => live.facts.clone(),
            Body::Rest(packed) => packed.facts(),
        }
    }
}

/// Whether somebody holds a call.
pub(super) enum Body {
    /// Nobody does.
    Rest(Packed),
    /// Somebody does.
    Live(Box<Live>),
}

/// Where a claimed call came from, and goes back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Fresh,
    Retry { due: Timestamp },
}

/// A call in somebody's hands.
pub(super) struct Live {
    pub stage: Stage,
    pub token: Token,
    pub worker: WorkerId,
    /// The proof its adopter showed and who that was, so that an adoption can be asked for twice.
    pub adopted_from: Option<(Token, WorkerId)>,
    pub origin: Origin,
    /// Under which token its attempt before ended.
    pub finished_by: Token,
    pub facts: Vec<Fact>,
    /// How many events the facts make.
    pub events: u32,
    pub state: Option<CallState>,
    /// When its dial was committed to.
    pub committed_at: Timestamp,
    pub phone: Option<Phone>,
}

impl Live {
    /// Appends to a history of `after` facts those that do not stand there already, as the first of them may if an answer
    /// was lost: none if others stand there.
    pub fn append(&mut self, after: u32, facts: &[Fact]) -> Option<Appended> {
        let after = usize::try_from(after).ok()?;
        let stored = self.facts.get(after..)?;
        let (there, more) = facts.split_at(stored.len().min(facts.len()));
        if stored[..there.len()] != *there {
            return None;
        }
        if stored.len() > facts.len() {
            return Some(Appended::Before);
        }
        self.facts.extend_from_slice(more);
        self.events += events_in(more);
        Some(Appended::Now)
    }

    pub fn push(&mut self, at: Timestamp, what: Happening) {
        self.events += u32::from(what.event_type().is_some());
        self.facts.push(Fact { at, what });
    }

    pub fn last_at(&self) -> Timestamp {
        self.facts.last().map(|fact| fact.at).unwrap_or_default()
    }
}

/// What appending facts found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// They are the last ones now.
    Now,
    /// They were there, and others after them.
    Before,
}

/// A resting call's history in the fewest bytes; empty if it has none.
///
/// A head, then each fact as what happened and the milliseconds since the fact before.
#[derive(Default)]
pub(super) struct Packed(Box<[u8]>);

/// What must be known of a resting call without reading its history.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Head {
    /// Under which token its last attempt ended.
    pub finished_by: u64,
    /// When its last fact happened.
    pub last_at: Timestamp,
    pub events: u32,
    pub facts: u32,
}

impl Packed {
    /// Packs a history; `scratch` only saves an allocation.
    pub fn new(live: &Live, finished_by: Token, scratch: &mut Vec<u8>) -> Self {
        if live.facts.is_empty() {
            return Self::default();
        }
        let facts = u32::try_from(live.facts.len()).unwrap_or(u32::MAX);
        let head = Head { finished_by: finished_by.0, last_at: live.last_at(), events: live.events, facts };
        scratch.clear();
        write(scratch, &head);
        let mut before = head.last_at;
        for fact in &live.facts {
            write(scratch, &(fact.at.as_millis().wrapping_sub(before.as_millis()), &fact.what));
            before = fact.at;
        }
        Self(scratch.as_slice().into())
    }

    pub fn head(&self) -> Head {
        if self.0.is_empty() { Head::default() } else { self.open().0 }
    }

    pub fn facts(&self) -> Vec<Fact> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let (head, mut rest) = self.open();
        let mut at = head.last_at.as_millis();
        let mut facts = Vec::with_capacity(head.facts as usize);
        for _ in 0..head.facts {
            let ((later, what), left): ((i64, Happening), _) = read(rest);
            at = at.wrapping_add(later);
            facts.push(Fact { at: Timestamp::from_millis(at), what });
            rest = left;
        }
        facts
    }

    fn open(&self) -> (Head, &[u8]) {
        read(&self.0)
    }
}

/// Appends a value's bytes.
pub(super) fn write<T: Serialize>(bytes: &mut Vec<u8>, value: &T) {
    let taken = std::mem::take(bytes);
    // Writing into memory fails only for types that postcard cannot write (maps of unknown length, untagged or
    // flattened ones): none of ours is, as the tests of this file show.
    *bytes = postcard::to_extend(value, taken).expect("a record can be written");
}

/// Reads back what [`write`] wrote, and what follows it.
pub(super) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> (T, &'a [u8]) {
    // These bytes never left this process: they are what `write` made of a value of the same type.
    postcard::take_from_bytes(bytes).expect("a record can be read back")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::*;
    use std::time::Duration;

    fn every_happening() -> Vec<Happening> {
        let organisation: OrganisationId = "bank".parse().unwrap();
        let call = CallId::new(&organisation, &"r".parse().unwrap(), 3);
        let leg = LegId::transfer(AttemptId { call, claim: 1 }, 1);
        let worker: WorkerId = "worker-1".parse().unwrap();
        let disposition = Disposition {
            cause: Some(16),
            sip: Some(200),
            ..Disposition::new(DispositionResult::Answered, Some(Party::Callee))
        };
        vec![
            Happening::Dialing {
                claim: 1,
                attempt: 1,
                caller: "+6531234567".parse().ok(),
                trunk: Some("a".into()),
                worker: worker.clone(),
            },
            Happening::Ringing,
            Happening::Answered,
            Happening::PartyDetected(AnsweredBy::Human),
            Happening::StepStarted { step: 0 },
            Happening::StepFinished {
                step: 0,
                status: StepStatus::SuccessOk,
                keys: Some("1".into()),
                transfer: Some(TransferStatus::Busy),
            },
            Happening::LegAdded { leg, dest: "Queue:sales".into() },
            Happening::LegAnswered { leg },
            Happening::LegFailed { leg, disposition },
            Happening::LegRemoved { leg },
            Happening::RecordingStarted { recording: "r".into() },
            Happening::RecordingStopped { url: None },
            Happening::OptedOut,
            Happening::Adopted { worker },
            Happening::CommandExecuted {
                command: "hangup".into(),
                id: "7".into(),
                actor: "crm".parse().ok(),
                digest: 9,
            },
            Happening::RetryScheduled { disposition, due: Timestamp::VIRTUAL_START },
            Happening::Ended { status: CallStatus::Completed, disposition, refusal: Some(StepStatus::ErrorInternal) },
        ]
    }

    fn live(facts: Vec<Fact>) -> Live {
        Live {
            stage: Stage::Dialing,
            token: Token(5),
            worker: "w".parse().unwrap(),
            adopted_from: None,
            origin: Origin::Fresh,
            finished_by: Token(0),
            events: events_in(&facts),
            facts,
            state: None,
            committed_at: Timestamp::default(),
            phone: None,
        }
    }

    #[test]
    fn everything_that_can_happen_is_packed_and_comes_back() {
        let mut at = Timestamp::VIRTUAL_START;
        let facts: Vec<Fact> = every_happening()
            .into_iter()
            .enumerate()
            .map(|(n, what)| {
                // Clocks of workers differ: a fact may be a little older than the one before.
                at = if n % 3 == 2 { at - Duration::from_millis(40) } else { at + Duration::from_millis(1700) };
                Fact { at, what }
            })
            .collect();
        let packed = Packed::new(&live(facts.clone()), Token(5), &mut Vec::new());
        assert_eq!(packed.facts(), facts);
        let head = packed.head();
        assert_eq!((head.finished_by, head.last_at, head.events, head.facts), (5, at, events_in(&facts), 17));
        assert!(Packed::default().facts().is_empty());
    }

    #[test]
    fn a_waiting_call_takes_forty_bytes() {
        assert!(size_of::<Call>() <= 40, "{}", size_of::<Call>());
    }

    #[test]
    fn facts_are_appended_once() {
        let fact = |what| Fact { at: Timestamp::VIRTUAL_START, what };
        let mut live = live(vec![fact(Happening::Ringing)]);
        let (answered, step) = (fact(Happening::Answered), fact(Happening::StepStarted { step: 0 }));
        assert_eq!(live.append(1, std::slice::from_ref(&answered)), Some(Appended::Now));
        assert_eq!(live.append(1, std::slice::from_ref(&answered)), Some(Appended::Now), "asked again");
        assert_eq!(live.append(2, std::slice::from_ref(&step)), Some(Appended::Now));
        assert_eq!(live.append(1, std::slice::from_ref(&answered)), Some(Appended::Before), "late, and asked again");
        assert_eq!(live.append(1, std::slice::from_ref(&step)), None, "others stand there");
        assert_eq!(live.append(4, &[step]), None, "there is a gap");
        assert_eq!((live.facts.len(), live.events), (3, 3));
        let left = fact(Happening::StepStarted { step: 1 });
        let both = [fact(Happening::StepStarted { step: 0 }), left.clone()];
        assert_eq!(live.append(2, &both), Some(Appended::Now), "asked again, and more has happened");
        assert_eq!((live.facts.last(), live.facts.len(), live.events), (Some(&left), 4, 4));
    }
}
