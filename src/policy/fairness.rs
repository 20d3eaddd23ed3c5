//! Whose turn it is: start-time fair queueing over organisations, weighted.
//!
//! Every organisation carries a virtual time that moves on by dials divided by weight; the one that is furthest back
//! is served next. An organisation that was idle starts where the ring is now, so that it neither saves up turns nor
//! waits behind those that were busy.

use serde::{Deserialize, Serialize};

/// A point in virtual time, in 2⁻²⁰ dials at weight 1.
///
/// Below 2⁵³ it survives being a double, as scores of sorted sets are: some 8,000 million dials at weight 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct VirtualTime(u64);

/// One dial at weight 1.
const DIAL: u64 = 1 << 20;

/// Most organisations served in one turn: those that stand at the same place, since nothing says who of them is first.
pub const TOGETHER: u32 = 16;

impl VirtualTime {
    /// Where a ring begins.
    pub const ZERO: VirtualTime = VirtualTime(0);

    /// From its fixed-point representation.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// Its fixed-point representation.
    pub const fn raw(self) -> u64 {
        self.0
    }
}

/// What `dials` cost at `weight`: never nothing, so that no weight makes an organisation free of charge.
fn cost(dials: u32, weight: u32) -> u64 {
    if dials == 0 { 0 } else { (u64::from(dials) * DIAL / u64::from(weight.max(1))).max(1) }
}

/// Where an organisation stands after `dials` that began at `start`. A weight of 0 counts as 1.
pub fn charge(start: VirtualTime, dials: u32, weight: u32) -> VirtualTime {
    VirtualTime(start.0.saturating_add(cost(dials, weight)))
}

/// Where it stands after `dials` it was charged for were not made.
pub fn refund(finish: VirtualTime, dials: u32, weight: u32) -> VirtualTime {
    VirtualTime(finish.0.saturating_sub(cost(dials, weight)))
}

/// Where an organisation that comes back to the ring starts: not before the ring's present.
pub fn start_after_idle(finish: VirtualTime, ring_now: VirtualTime) -> VirtualTime {
    finish.max(ring_now)
}

/// How many destinations each of so many organisations may be given in one turn, of `want` in all.
pub fn share(want: u32, organisations: usize) -> u32 {
    let organisations = u32::try_from(organisations).unwrap_or(u32::MAX).max(1);
    (want / organisations).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Serves whoever is furthest back, ties by place, and counts dials.
    fn serve(weights: &[u32], batches: &[u32], turns: usize) -> Vec<u64> {
        let mut at = vec![VirtualTime::ZERO; weights.len()];
        let mut dials = vec![0; weights.len()];
        for turn in 0..turns {
            let next = (0..weights.len()).min_by_key(|n| (at[*n], *n)).unwrap();
            let batch = batches[turn % batches.len()];
            at[next] = charge(at[next], batch, weights[next]);
            dials[next] += u64::from(batch);
        }
        dials
    }

    #[test]
    fn twice_the_weight_dials_twice_as_much() {
        let dials = serve(&[1, 2, 4], &[7], 7_000);
        assert_eq!(dials, [7_000, 14_000, 28_000]);
    }

    #[test]
    fn whoever_was_idle_neither_saves_up_nor_waits() {
        let busy = charge(VirtualTime::ZERO, 1_000_000, 1);
        assert_eq!(start_after_idle(VirtualTime::ZERO, busy), busy);
        let ahead = charge(busy, 10, 1);
        assert_eq!(start_after_idle(ahead, busy), ahead);
    }

    #[test]
    fn extremes_neither_overflow_nor_divide_by_zero() {
        let end = VirtualTime::from_raw(u64::MAX);
        assert_eq!(charge(end, u32::MAX, 0), end);
        assert_eq!(refund(VirtualTime::ZERO, u32::MAX, 0), VirtualTime::ZERO);
        assert!(charge(VirtualTime::ZERO, 1, u32::MAX) > VirtualTime::ZERO);
        assert!(charge(VirtualTime::ZERO, u32::MAX, 1).raw() < 1 << 53);
    }

    proptest! {
        #[test]
        fn a_refund_undoes_its_charge(start in 0..1_u64 << 50, dials: u32, weight: u32) {
            let start = VirtualTime::from_raw(start);
            prop_assert_eq!(refund(charge(start, dials, weight), dials, weight), start);
        }

        #[test]
        fn dials_by_weight_differ_by_at_most_one_batch(
            weights in proptest::collection::vec(1..20_u32, 2..6),
            batches in proptest::collection::vec(1..50_u32, 1..5),
            turns in 1..500_usize,
        ) {
            let dials = serve(&weights, &batches, turns);
            let batch = f64::from(*batches.iter().max().unwrap());
            #[expect(clippy::cast_precision_loss, reason = "a few thousand dials")]
            let shares: Vec<f64> = dials.iter().zip(&weights).map(|(n, w)| *n as f64 / f64::from(*w)).collect();
            let most = shares.iter().copied().fold(0.0, f64::max);
            let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
            prop_assert!(most - least <= batch + 0.01, "{shares:?}");
        }
    }
}
