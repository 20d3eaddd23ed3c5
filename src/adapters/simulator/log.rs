//! What the network itself knows of its calls, whatever the workers say: its dials, its counters, and what it tells a
//! witness.

use std::collections::VecDeque;

use crate::callflow::program::Target;
use crate::model::{LegId, Phone, Timestamp, WorkerId};
use crate::ports::TelephonyError;
use crate::ports::telephony::{LegEvent, LegState};

/// A dial as it left for the callee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The leg that was dialled.
    pub leg: LegId,
    /// Whom it leads to.
    pub target: Target,
    /// The number shown.
    pub caller: Option<Phone>,
    /// When.
    pub at: Timestamp,
}

impl Invite {
    /// The number dialled; none for extensions, queues and SIP addresses.
    pub const fn number(&self) -> Option<Phone> {
        match self.target {
            Target::External(phone) => Some(phone),
            Target::Extension(_) | Target::Queue(_) | Target::Sip(_) => None,
        }
    }
}

/// How many of what there were since the network began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Legs made.
    pub created: u64,
    /// Dials.
    pub dialled: u64,
    /// Legs that rang.
    pub rang: u64,
    /// Legs that were answered.
    pub answered: u64,
    /// Legs that ended, never dialled ones included.
    pub ended: u64,
    /// Legs that ended because they had lived as long as they may.
    pub outlived: u64,
    /// Keys pressed.
    pub keys: u64,
    /// Playbacks begun.
    pub playbacks: u64,
    /// Reports that nobody heard.
    pub reports_lost: u64,
    /// The most legs that lived at once.
    pub most_live: u64,
}

impl Counters {
    /// Legs that live now.
    pub const fn live(&self) -> u64 {
        self.created - self.ended
    }
}

/// Something that happened to a leg, as the network saw it.
#[derive(Debug)]
pub enum Seen<'a> {
    /// It was dialled.
    Invited {
        /// By whom.
        app: Option<&'a WorkerId>,
        /// Whom it leads to.
        target: &'a Target,
        /// The number shown.
        caller: Option<Phone>,
    },
    /// It was not made, or not dialled.
    Refused {
        /// Which of the two was asked for.
        command: &'static str,
        /// Why not.
        error: &'a TelephonyError,
    },
    /// It reported something to its app, whether or not anybody heard it.
    Reported {
        /// What.
        event: &'a LegEvent,
        /// How far it was.
        state: LegState,
    },
    /// It was joined with another leg.
    Bridged {
        /// With which.
        with: LegId,
    },
    /// It listens in on another leg's call.
    ListensIn {
        /// Whose.
        to: LegId,
        /// Who alone hears it.
        whispers_to: Option<LegId>,
    },
}

/// Sees everything that happens to legs, in order, at the instant it takes effect and while the network is locked: it
/// must not ask the network anything.
pub trait Witness: Send {
    /// Something has happened.
    fn saw(&mut self, at: Timestamp, leg: LegId, what: Seen<'_>);
}

/// The latest dials, and whoever sees all that happens.
pub(super) struct DialLog {
    latest: VecDeque<Invite>,
    limit: usize,
    witness: Option<Box<dyn Witness>>,
}

impl DialLog {
    pub(super) fn new(limit: u32) -> Self {
        Self { latest: VecDeque::new(), limit: usize::try_from(limit).unwrap_or(usize::MAX), witness: None }
    }

    pub(super) fn show_to(&mut self, witness: Box<dyn Witness>) {
        self.witness = Some(witness);
    }

    pub(super) fn saw(&mut self, at: Timestamp, leg: LegId, what: Seen<'_>) {
        if let Some(witness) = &mut self.witness {
            witness.saw(at, leg, what);
        }
    }

    pub(super) fn note(&mut self, invite: &Invite) {
        if self.limit == 0 {
            return;
        }
        if self.latest.len() >= self.limit {
            self.latest.pop_front();
        }
        self.latest.push_back(invite.clone());
    }

    pub(super) fn list(&self) -> Vec<Invite> {
        self.latest.iter().cloned().collect()
    }
}
