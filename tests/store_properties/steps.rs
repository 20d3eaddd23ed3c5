//! What may happen to a waiting room.

use proptest::prelude::*;
use robocall::ports::store::Control;

pub const ORGANISATIONS: [&str; 3] = ["bank", "shop", "town"];

/// One thing that may happen. Numbers are reduced to what is there.
#[derive(Clone, Debug)]
pub enum Step {
    Submit {
        org: usize,
        total: u32,
        priority: u8,
        expires: Option<u64>,
        scheduled: Option<u64>,
        windowed: bool,
    },
    Claim {
        worker: usize,
        want: u32,
    },
    Dial {
        which: usize,
    },
    GiveBack {
        which: usize,
    },
    /// A checkpoint whose flow has this second leg; none if 0.
    Checkpoint {
        which: usize,
        leg: u16,
    },
    Finish {
        which: usize,
        retry: Option<u64>,
        refill: u32,
    },
    FinishAgain {
        which: usize,
    },
    RequestSlot {
        which: usize,
        leg: u16,
    },
    Renew {
        worker: usize,
    },
    Adopt {
        worker: usize,
    },
    HandOver {
        worker: usize,
    },
    Control {
        which: usize,
        control: Control,
        /// Whether it has an id, and which.
        id: Option<u8>,
    },
    Note {
        which: usize,
        index: u32,
        verified: Option<bool>,
        harms: Option<bool>,
    },
    Settings {
        org: usize,
        limit: u32,
        rate: Option<u32>,
    },
    External {
        org: usize,
        value: &'static str,
    },
    Block {
        index: u32,
        org: usize,
    },
    Confirm {
        which: usize,
        seq: u32,
    },
    Pass {
        millis: u64,
    },
    Sweep,
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..140)
}

pub fn step() -> impl Strategy<Value = Step> {
    let small = || 0..64_usize;
    let cancel = any::<bool>().prop_map(|hang_up| Control::Cancel { hang_up });
    let control = prop_oneof![Just(Control::Pause), Just(Control::Resume), Just(Control::Resume), cancel];
    let external = prop_oneof![Just("0"), Just("1"), Just("3"), Just("-2"), Just("x")];
    let submit = (
        0..3_usize,
        0..12_u32,
        4..7_u8,
        prop::option::weighted(0.3, 1..200_u64),
        prop::option::weighted(0.2, 1..90_u64),
        any::<bool>(),
    );
    prop_oneof![
        2 => submit.prop_map(|(org, total, priority, expires, scheduled, windowed)| Step::Submit { org, total, priority, expires, scheduled, windowed }),
        8 => (0..3_usize, 0..10_u32).prop_map(|(worker, want)| Step::Claim { worker, want }),
        12 => small().prop_map(|which| Step::Dial { which }),
        3 => small().prop_map(|which| Step::GiveBack { which }),
        5 => (small(), 0..3_u16).prop_map(|(which, leg)| Step::Checkpoint { which, leg }),
        10 => (small(), prop::option::of(0..90_u64), 0..3_u32).prop_map(|(which, retry, refill)| Step::Finish { which, retry, refill }),
        2 => small().prop_map(|which| Step::FinishAgain { which }),
        3 => (small(), 1..3_u16).prop_map(|(which, leg)| Step::RequestSlot { which, leg }),
        4 => (0..3_usize).prop_map(|worker| Step::Renew { worker }),
        3 => (0..3_usize).prop_map(|worker| Step::Adopt { worker }),
        2 => (small(), control, prop::option::of(0..6_u8)).prop_map(|(which, control, id)| Step::Control { which, control, id }),
        1 => (small(), 0..4_u32, any::<Option<bool>>(), any::<Option<bool>>()).prop_map(|(which, index, verified, harms)| Step::Note { which, index, verified, harms }),
        1 => (0..3_usize, 0..8_u32, prop::option::weighted(0.3, 0..4_u32)).prop_map(|(org, limit, rate)| Step::Settings { org, limit, rate }),
        1 => (0..3_usize, external).prop_map(|(org, value)| Step::External { org, value }),
        1 => (0..12_u32, 0..3_usize).prop_map(|(index, org)| Step::Block { index, org }),
        2 => (small(), 0..5_u32).prop_map(|(which, seq)| Step::Confirm { which, seq }),
        6 => (0..25_000_u64).prop_map(|millis| Step::Pass { millis }),
        1 => (0..3_usize).prop_map(|worker| Step::HandOver { worker }),
        2 => Just(Step::Sweep),
    ]
}
