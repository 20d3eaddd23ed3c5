//! What the far end of a leg does, as functions of its seed.
//!
//! **Invariant:** nothing is thrown in advance and nothing is remembered: whatever is asked for, in whatever order and
//! however often, is answered the same.

use std::time::Duration;

use super::dice::{Dice, fold};
use super::population::{Population, Shares, Span};
use crate::callflow::call::LegEnd;
use crate::callflow::program::{Digit, Target};
use crate::model::{AnsweredBy, Party, Phone};

/// Magic numbers begin with this; two digits follow that say what the callee does.
const MAGIC_PREFIX: u64 = 999;
/// Digits of a magic number that come before the keys: the prefix, what it does, and five digits of serial.
const DIGITS_BEFORE_KEYS: u32 = 10;

/// What becomes of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Response {
    /// It rings, and is answered.
    Answer,
    /// It rings until somebody gives up.
    RingForEver,
    /// It rings, and is declined.
    Reject,
    /// The line is engaged.
    Busy,
    /// Nobody knows the number.
    UnknownNumber,
    /// It cannot be reached, and does not ring.
    Unreachable,
    /// The network has no way.
    Congestion,
}

impl Response {
    /// Whether anybody's phone rings.
    pub(super) const fn rings(self) -> bool {
        matches!(self, Response::Answer | Response::RingForEver | Response::Reject)
    }

    /// How the leg ends, if not by an answer or by somebody giving up; as a real Asterisk reports it.
    pub(super) const fn end(self) -> Option<LegEnd> {
        let (cause, sip, by) = match self {
            Response::Answer | Response::RingForEver => return None,
            Response::Reject => (21, 603, Party::Callee),
            Response::Busy => (17, 486, Party::Callee),
            Response::UnknownNumber => (1, 404, Party::Network),
            Response::Unreachable => (19, 480, Party::Network),
            Response::Congestion => (34, 503, Party::Network),
        };
        Some(LegEnd { cause: Some(cause), sip: Some(sip), by: Some(by), lost: false })
    }
}

/// Who is at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persona {
    /// A magic number that listens for ever.
    Listener,
    /// A magic number that hangs up 1.5 s after answering.
    Brief,
    /// A magic number that presses the keys it ends in, one whenever it is asked.
    Typist(Phone),
    /// A magic number that is an answering machine and records for ever.
    Recorder,
    /// One of the population.
    Person,
    /// An answering machine of the population.
    Machine,
    /// One of our side's people.
    Staff,
}

/// The quantities that have dice of their own.
#[derive(Clone, Copy)]
enum Quantity {
    Response = 1,
    PostDial,
    Ring,
    Leaving,
    Silence,
    Verdict,
    Greeting,
    Recording,
    Key,
    Talk,
    LastWord,
}

/// The far end of a leg.
#[derive(Clone, Copy, Debug)]
pub(super) struct Callee {
    seed: u64,
    /// Who it is.
    pub(super) persona: Persona,
    /// What becomes of the dial.
    pub(super) response: Response,
}

impl Callee {
    /// Whom a target leads to.
    pub(super) fn behind(target: &Target, seed: u64, population: &Population) -> Self {
        let mut callee = Self { seed, persona: Persona::Person, response: Response::Answer };
        (callee.persona, callee.response) = match target {
            Target::External(phone) => match magic(*phone) {
                Some(magic) => magic,
                None => callee.someone(&population.shares),
            },
            Target::Extension(_) | Target::Queue(_) | Target::Sip(_) => {
                let mut dice = callee.dice(Quantity::Response);
                let (busy, unanswered) = (dice.falls(population.staff.busy), dice.falls(population.staff.unanswered));
                let response = match (busy, unanswered) {
                    (true, _) => Response::Busy,
                    (false, true) => Response::RingForEver,
                    (false, false) => Response::Answer,
                };
                (Persona::Staff, response)
            }
        };
        callee
    }

    fn someone(&self, shares: &Shares) -> (Persona, Response) {
        let Shares { answer, machine, busy, unanswered, reject, unreachable, invalid, congestion } = *shares;
        let weights = [machine, busy, unanswered, reject, unreachable, invalid, congestion, answer];
        match self.dice(Quantity::Response).weigh(weights) {
            0 => (Persona::Machine, Response::Answer),
            1 => (Persona::Person, Response::Busy),
            2 => (Persona::Person, Response::RingForEver),
            3 => (Persona::Person, Response::Reject),
            4 => (Persona::Person, Response::Unreachable),
            5 => (Persona::Person, Response::UnknownNumber),
            6 => (Persona::Person, Response::Congestion),
            _ => (Persona::Person, Response::Answer),
        }
    }

    fn dice(&self, quantity: Quantity) -> Dice {
        Dice::new(fold(self.seed, quantity as u64))
    }

    fn length(&self, quantity: Quantity, span: Span) -> Duration {
        self.dice(quantity).within(span)
    }

    const fn is_magic(&self) -> bool {
        matches!(self.persona, Persona::Listener | Persona::Brief | Persona::Typist(_) | Persona::Recorder)
    }

    /// From the dial to the first ring or the refusal.
    pub(super) fn post_dial(&self, population: &Population) -> Duration {
        let span = if self.is_magic() { Span::millis_between(200, 1_000) } else { population.post_dial };
        self.length(Quantity::PostDial, span)
    }

    /// From the first ring to the answer, or to being declined.
    pub(super) fn ring(&self, population: &Population) -> Duration {
        let span = match self.persona {
            Persona::Person => population.ring,
            Persona::Machine => population.machine_ring,
            Persona::Staff => population.staff.ring,
            Persona::Listener | Persona::Brief | Persona::Typist(_) | Persona::Recorder => {
                Span::millis_between(1_000, 4_000)
            }
        };
        self.length(Quantity::Ring, span)
    }

    /// When the far end hangs up of its own accord, counted from its answer.
    pub(super) fn leaves_after(&self, population: &Population) -> Option<Duration> {
        match self.persona {
            Persona::Brief => Some(Duration::from_millis(1_500)),
            Persona::Machine => {
                Some(self.greeting(population) + self.length(Quantity::Recording, population.machine_records))
            }
            Persona::Person => {
                let mut dice = self.dice(Quantity::Leaving);
                dice.falls(population.early_hang_up).then(|| dice.within(population.patience))
            }
            Persona::Listener | Persona::Typist(_) | Persona::Recorder | Persona::Staff => None,
        }
    }

    /// How much silence the far end bears before it hangs up.
    pub(super) fn bears_silence(&self, population: &Population) -> Option<Duration> {
        matches!(self.persona, Persona::Person | Persona::Staff)
            .then(|| self.length(Quantity::Silence, population.silence))
    }

    /// Whether it ends a conversation it was joined to.
    pub(super) const fn ends_talks(&self) -> bool {
        matches!(self.persona, Persona::Person | Persona::Staff)
    }

    /// How long a conversation takes.
    pub(super) fn talk(&self, population: &Population) -> Duration {
        self.length(Quantity::Talk, population.talk)
    }

    /// Whether it has the last word in a conversation, and hangs up first.
    pub(super) fn has_last_word(&self) -> bool {
        self.dice(Quantity::LastWord).bits() & 1 == 1
    }

    /// Whether the hang-up of the far end carries a cause; some devices send none, which arrives as 0.
    pub(super) fn hang_up_cause(&self) -> u8 {
        if self.dice(Quantity::LastWord).bits() & 2 == 2 { 16 } else { 0 }
    }

    /// What machine detection finds, and how long it takes.
    pub(super) fn verdict(&self) -> (AnsweredBy, Duration) {
        let (found, span) = match self.persona {
            Persona::Machine | Persona::Recorder => (AnsweredBy::Machine, Span::millis_between(2_000, 3_000)),
            Persona::Listener | Persona::Brief | Persona::Typist(_) | Persona::Person | Persona::Staff => {
                (AnsweredBy::Human, Span::millis_between(900, 1_500))
            }
        };
        (found, self.length(Quantity::Verdict, span))
    }

    /// How long after the answer a machine's beep is over; nothing for people.
    pub(super) fn greeting(&self, population: &Population) -> Duration {
        match self.persona {
            Persona::Machine => self.length(Quantity::Greeting, population.greeting),
            Persona::Recorder => self.length(Quantity::Greeting, Span::millis_between(5_500, 6_500)),
            Persona::Listener | Persona::Brief | Persona::Typist(_) | Persona::Person | Persona::Staff => {
                Duration::ZERO
            }
        }
    }

    /// The key that the far end presses when it is asked for the `turn`th time (from 0), and when, counted from the
    /// beginning of the message that asks, which takes `message`.
    pub(super) fn key(&self, population: &Population, turn: u32, message: Duration) -> Option<(Digit, Duration)> {
        let mut dice = Dice::new(fold(self.dice(Quantity::Key).bits(), turn.into()));
        match self.persona {
            Persona::Typist(phone) => {
                let key = key_of(phone, turn)?;
                let (barges_in, delay) = (dice.bits() & 1 == 1, dice.within(Span::millis_between(300, 1_500)));
                Some((key, if barges_in { delay } else { message + delay }))
            }
            Persona::Person => {
                if !dice.falls(population.presses) {
                    return None;
                }
                let keys = population.keys.as_slice();
                let choice = dice.below(u32::try_from(keys.len()).unwrap_or(u32::MAX));
                let key = *keys.get(choice as usize)?;
                let barges_in = dice.falls(population.barge_in);
                let delay = dice.within(population.reaction);
                // Whoever barges in has heard at least a third of what is asked.
                Some((
                    key,
                    if barges_in { message.mul_f64(1.0 / 3.0 + dice.unit() * 2.0 / 3.0) } else { message + delay },
                ))
            }
            Persona::Listener | Persona::Brief | Persona::Recorder | Persona::Machine | Persona::Staff => None,
        }
    }
}

/// The `turn`th key (from 0) of a magic number: its digits after prefix, kind and serial.
fn key_of(phone: Phone, turn: u32) -> Option<Digit> {
    let digits = phone.digits();
    let behind = (digits.checked_ilog10()? + 1).checked_sub(DIGITS_BEFORE_KEYS)?.checked_sub(turn + 1)?;
    let digit = u32::try_from(digits / 10_u64.pow(behind) % 10).ok()?;
    Digit::new(char::from_digit(digit, 10)?)
}

/// What a magic number does; none if it is none.
fn magic(phone: Phone) -> Option<(Persona, Response)> {
    let digits = phone.digits();
    let length = digits.checked_ilog10()? + 1;
    if digits / 10_u64.pow(length.checked_sub(3)?) != MAGIC_PREFIX {
        return None;
    }
    let kind = length.checked_sub(5).map(|behind| digits / 10_u64.pow(behind) % 100);
    Some(match kind {
        Some(10) => (Persona::Listener, Response::Answer),
        Some(13) => (Persona::Recorder, Response::Answer),
        Some(20) => (Persona::Listener, Response::Busy),
        Some(30) => (Persona::Listener, Response::RingForEver),
        Some(50) => (Persona::Listener, Response::Reject),
        Some(60) => (Persona::Brief, Response::Answer),
        Some(70) => (Persona::Typist(phone), Response::Answer),
        Some(80) => (Persona::Listener, Response::Congestion),
        Some(90) => (Persona::Listener, Response::Unreachable),
        // 40, and whatever has no meaning yet.
        _ => (Persona::Listener, Response::UnknownNumber),
    })
}

#[cfg(test)]
#[path = "callee_tests.rs"]
mod tests;
