//! What is known of one leg, and what Asterisk's events mean for it.
//!
//! Pure: events in, what to report and what to do out. What was seen decides, not what codes say alone: who asked for a
//! hang-up, whether it was up, whether anything followed a dial.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::oneshot;

use super::ari::event::{AriEvent, Kind};
use crate::callflow::call::LegEnd;
use crate::callflow::program::Digit;
use crate::model::{AnsweredBy, LegId, Party, Timestamp, WorkerId};
use crate::ports::telephony::{LegEvent, LegState};

/// Q.850: no answer from the user, which is what a time-out of our own is told as.
const NO_ANSWER: u8 = 19;

/// What an event leads to.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// Whoever listens is told.
    Report(LegEvent),
    /// A machine's beep is to be waited for.
    AwaitBeep,
}

/// How far a leg is.
#[derive(Debug)]
enum Stage {
    /// Asked for; whoever did is told when it is there.
    Making(Option<oneshot::Sender<()>>),
    /// There, never dialled by this process.
    Made,
    /// Dialled.
    Dialled,
    /// Answered.
    Up,
}

/// Somebody hung up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HangUp {
    /// This side of Asterisk, not the far end.
    soft: bool,
    cause: Option<u8>,
    sip: Option<u16>,
}

/// A leg.
#[derive(Debug)]
pub struct Leg {
    /// Under whose name it was made.
    pub app: WorkerId,
    /// On which node.
    pub node: usize,
    stage: Stage,
    /// This process asked for it.
    pub made_here: bool,
    rang: bool,
    /// Audio came before an answer: a ringing tone, or an announcement.
    early_audio: bool,
    /// This process asked for its end.
    pub asked: bool,
    hung_up: Option<HangUp>,
    /// Playbacks that are not over.
    pub playing: BTreeSet<u32>,
    /// A machine's beep is wanted.
    pub wants_beep: bool,
    /// It joins the callee by itself when it is answered.
    pub joins: bool,
    /// The callee waits for it, and may hear a ringing tone meanwhile.
    pub is_waited_for: bool,
    /// It hears a ringing tone from here.
    pub hears_ringing: bool,
    /// Of a callee: it is, or may be, in the call's bridge.
    pub is_bridged: bool,
    /// It has, or may have, ears on other legs.
    pub listens: bool,
    /// How long it may last from its answer on, and until when at most, if that was said here.
    pub limit: Option<(Duration, Timestamp)>,
    /// Of a callee: the highest number of another leg of its attempt.
    pub highest_other: u16,
}

impl Leg {
    fn at(stage: Stage, app: WorkerId, node: usize) -> Self {
        Self {
            app,
            node,
            stage,
            made_here: false,
            rang: false,
            early_audio: false,
            asked: false,
            hung_up: None,
            playing: BTreeSet::new(),
            wants_beep: false,
            joins: false,
            is_waited_for: false,
            hears_ringing: false,
            is_bridged: false,
            listens: false,
            limit: None,
            highest_other: 0,
        }
    }

    /// A leg that is asked for; `there` is told when it can be dialled.
    pub fn asked_for(app: WorkerId, node: usize, there: oneshot::Sender<()>) -> Self {
        Self { made_here: true, ..Self::at(Stage::Making(Some(there)), app, node) }
    }

    /// A leg that was found.
    pub fn found(app: WorkerId, node: usize, state: LegState) -> Self {
        let stage = match state {
            LegState::Created => Stage::Made,
            LegState::Dialled => Stage::Dialled,
            LegState::Up => Stage::Up,
        };
        // It may hear a ringing tone from whoever had it before: that is stopped once too often rather than never.
        let hears_ringing = state == LegState::Up;
        Self { rang: state == LegState::Dialled, hears_ringing, ..Self::at(stage, app, node) }
    }

    /// Whether it is there, as far as anybody said.
    pub const fn is_there(&self) -> bool {
        !matches!(self.stage, Stage::Making(_))
    }

    /// Whether it is answered.
    pub const fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Up)
    }

    /// Whether it was dialled, answered or not.
    pub const fn was_dialled(&self) -> bool {
        matches!(self.stage, Stage::Dialled | Stage::Up)
    }

    /// Marks it as dialled, once: true for the one who may. What was found is nobody's here to dial.
    pub fn take_dial(&mut self) -> bool {
        let first = self.made_here && matches!(self.stage, Stage::Made);
        if first {
            self.stage = Stage::Dialled;
        }
        first
    }

    /// Somebody has dialled it.
    pub fn is_dialled(&mut self) {
        if matches!(self.stage, Stage::Made) {
            self.stage = Stage::Dialled;
        }
    }

    /// Nothing was sent after all.
    pub fn give_dial_back(&mut self) {
        if matches!(self.stage, Stage::Dialled) {
            self.stage = Stage::Made;
        }
    }

    /// It was found to be further than it was known to be.
    pub fn is_found(&mut self, state: LegState) -> Vec<Heard> {
        match state {
            LegState::Up => self.goes_up(),
            LegState::Created | LegState::Dialled => Vec::new(),
        }
    }

    /// What an event about it leads to.
    pub fn hear(&mut self, event: &AriEvent<'_>) -> Vec<Heard> {
        match event.kind {
            Kind::StasisStart => self.comes(event),
            Kind::ChannelStateChange => match event.about().map(|channel| &*channel.state) {
                Some("Ringing") => self.rings(),
                Some("Up") => self.goes_up(),
                _ => Vec::new(),
            },
            Kind::Dial => match &*event.dialstatus {
                "RINGING" => self.rings(),
                "ANSWER" => self.goes_up(),
                "PROGRESS" => {
                    self.early_audio = true;
                    Vec::new()
                }
                _ => Vec::new(),
            },
            Kind::ChannelHangupRequest => {
                let hang_up = HangUp { soft: event.soft, cause: cause(event), sip: sip(event) };
                // The first says who it was; a later one may know the status.
                let first = *self.hung_up.get_or_insert(hang_up);
                self.hung_up = Some(HangUp { sip: first.sip.or(hang_up.sip), ..first });
                Vec::new()
            }
            Kind::ChannelDtmfReceived => {
                let key = event.digit.chars().next().and_then(Digit::new);
                key.map(|key| Heard::Report(LegEvent::Digit(key))).into_iter().collect()
            }
            Kind::ChannelDestroyed => self.ends(event),
            Kind::ApplicationReplaced
            | Kind::PlaybackFinished
            | Kind::RecordingFailed
            | Kind::RecordingFinished
            | Kind::Other => Vec::new(),
        }
    }

    /// The end of a playback.
    pub fn has_played(&mut self, playback: u32, played: bool) -> Vec<Heard> {
        self.playing.remove(&playback);
        vec![Heard::Report(LegEvent::PlaybackFinished { playback, played })]
    }

    fn comes(&mut self, event: &AriEvent<'_>) -> Vec<Heard> {
        match event.args.iter().map(|word| &**word).collect::<Vec<&str>>()[..] {
            ["amd", verdict, ref why @ ..] => {
                // Whoever has said nothing at all may be a person who waits for us to speak.
                let silent = why.first().is_some_and(|why| why.starts_with("INITIALSILENCE"));
                let party = match verdict {
                    "HUMAN" => AnsweredBy::Human,
                    "MACHINE" if !silent => AnsweredBy::Machine,
                    _ => AnsweredBy::Unknown,
                };
                let mut heard = vec![Heard::Report(LegEvent::PartyDetected(party))];
                if std::mem::take(&mut self.wants_beep) && party == AnsweredBy::Machine {
                    heard.push(Heard::AwaitBeep);
                }
                heard
            }
            ["beep", ..] => vec![Heard::Report(LegEvent::BeepHeard)],
            _ => {
                if let Stage::Making(there) = &mut self.stage {
                    // Whoever asked may have given up.
                    let _ = there.take().map(|there| there.send(()));
                    self.stage = Stage::Made;
                }
                Vec::new()
            }
        }
    }

    /// It rings.
    pub fn rings(&mut self) -> Vec<Heard> {
        if self.rang || self.is_up() {
            return Vec::new();
        }
        self.rang = true;
        vec![Heard::Report(LegEvent::Ringing)]
    }

    fn goes_up(&mut self) -> Vec<Heard> {
        if self.is_up() {
            return Vec::new();
        }
        self.stage = Stage::Up;
        vec![Heard::Report(LegEvent::Answered)]
    }

    fn ends(&mut self, event: &AriEvent<'_>) -> Vec<Heard> {
        let mut heard = Vec::new();
        let by = self.by(event);
        let by_far_end = self.hung_up.is_some_and(|hang_up| !hang_up.soft);
        let time_out = cause(event) == Some(NO_ANSWER) && !self.asked && !by_far_end && !self.is_up();
        if time_out && self.early_audio && !self.rang {
            // Our own time-out ended it: nobody announces something for so long, so what was heard was ringing.
            heard.extend(self.rings());
        }
        let sip = sip(event).or(self.hung_up.and_then(|hang_up| hang_up.sip)).filter(|_| !self.is_up());
        heard.push(Heard::Report(LegEvent::Ended(LegEnd { cause: cause(event), sip, by, lost: false })));
        heard
    }

    /// Who ended it; none where only the codes tell.
    fn by(&self, event: &AriEvent<'_>) -> Option<Party> {
        if self.asked {
            return Some(Party::Us);
        }
        if !self.is_up() {
            return None;
        }
        match self.hung_up {
            // Only its own time limit ends a leg without anybody's hanging up.
            None => Some(Party::Us),
            Some(HangUp { soft: false, .. }) if matches!(cause(event), None | Some(0 | 16 | 31)) => Some(Party::Callee),
            Some(HangUp { soft: true, cause: None | Some(16 | 32), .. }) => Some(Party::Us),
            Some(_) => Some(Party::Network),
        }
    }
}

fn cause(event: &AriEvent<'_>) -> Option<u8> {
    event.cause.and_then(|cause| u8::try_from(cause).ok())
}

/// A final SIP status that says why.
fn sip(event: &AriEvent<'_>) -> Option<u16> {
    event.tech_cause.and_then(|status| u16::try_from(status).ok()).filter(|status| (300..700).contains(status))
}

/// How far a channel is, by its state. `dialled`: this process knows that it was.
pub fn state_of(state: &str, dialled: bool) -> LegState {
    match state {
        "Up" => LegState::Up,
        // Early audio leaves it so.
        "Down" | "Rsrvd" if !dialled => LegState::Created,
        _ => LegState::Dialled,
    }
}

/// The name of a playback: the leg's and its number.
pub fn playback_id(leg: LegId, playback: u32) -> String {
    format!("{leg}_{playback}")
}

/// Which leg's and which number a playback's name is; none if it is not one of ours.
pub fn playback_of(id: &str) -> Option<(LegId, u32)> {
    let (leg, number) = id.split_once('_')?;
    Some((leg.parse().ok()?, number.parse().ok()?))
}
