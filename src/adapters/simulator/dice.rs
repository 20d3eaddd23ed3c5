//! Chance that can be told again: the same seed and leg always throw the same.
//!
//! Every quantity of a leg has dice of its own, made from the leg's seed and the quantity's name, so that neither other
//! legs nor the order of commands change what a leg does. The generator is SplitMix64 (Steele, Lea, Flood 2014).
//!
//! **Invariant:** the throws are part of what a seed means; changing them changes every recorded simulation.

use std::time::Duration;

use super::population::{Chance, Span};
use crate::callflow::program::Target;
use crate::model::{LegId, LegRole};

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// One bijection of 64 bits after the other: the finaliser of SplitMix64.
const fn stir(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Folds one more value into a hash.
pub(super) const fn fold(hash: u64, value: u64) -> u64 {
    stir((hash ^ value).wrapping_add(GOLDEN))
}

fn fold_bytes(hash: u64, bytes: &[u8]) -> u64 {
    let folded = bytes.chunks(8).fold(hash, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        fold(hash, u64::from_le_bytes(word))
    });
    fold(folded, bytes.len() as u64)
}

/// A leg's id as 64 bits. Two of a million legs share theirs once in forty million such simulations.
pub(super) fn fingerprint(leg: LegId) -> u64 {
    let call = leg.attempt.call;
    let role = match leg.role {
        LegRole::Callee => 0,
        LegRole::Transfer => 1,
        LegRole::Participant => 2,
        LegRole::Supervisor => 3,
    };
    let hash = fold_bytes(0, &call.request_hash());
    let hash = fold(hash, u64::from(call.index()) << 32 | u64::from(leg.attempt.claim));
    fold(hash, role << 16 | u64::from(leg.ordinal))
}

/// The seed of everything a leg's far end does.
pub(super) fn seed_of(network: u64, leg: LegId, target: &Target) -> u64 {
    let hash = fold(stir(network), fingerprint(leg));
    match target {
        Target::External(phone) => fold(hash, phone.digits()),
        Target::Extension(text) => fold_bytes(fold(hash, 1), text.as_bytes()),
        Target::Queue(text) => fold_bytes(fold(hash, 2), text.as_bytes()),
        Target::Sip(text) => fold_bytes(fold(hash, 3), text.as_bytes()),
    }
}

/// A sequence of throws.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The sequence that belongs to a seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub(super) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        stir(self.0)
    }

    /// From 0 to below `end`; 0 if `end` is.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        // Multiply and shift: off by less than one in four thousand million, which no campaign notices.
        u32::try_from((u64::from(end) * (self.bits() >> 32)) >> 32).unwrap_or(0)
    }

    /// From 0 to below 1.
    pub(super) fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds")]
        let bits = (self.bits() >> 11) as f64;
        bits / (1_u64 << 53) as f64
    }

    /// Yes or no.
    pub(super) fn falls(&mut self, chance: Chance) -> bool {
        self.unit() < chance.get()
    }

    /// A length of time between the span's ends, in whole milliseconds.
    pub(super) fn within(&mut self, span: Span) -> Duration {
        let (from, to) = span.millis();
        let width = u32::try_from(to - from).unwrap_or(u32::MAX - 1);
        Duration::from_millis(from + u64::from(self.below(width.saturating_add(1))))
    }

    /// One of the weighted choices; the last if all weights are 0.
    pub(super) fn weigh<const N: usize>(&mut self, weights: [u32; N]) -> usize {
        let total = weights.iter().fold(0_u32, |sum, weight| sum.saturating_add(*weight));
        let mut left = self.below(total);
        for (choice, weight) in weights.iter().enumerate() {
            if left < *weight {
                return choice;
            }
            left -= weight;
        }
        N - 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{AttemptId, CallId};

    fn leg(index: u32, claim: u32) -> LegId {
        let call = CallId::new(&"acme".parse().unwrap(), &"r1".parse().unwrap(), index);
        LegId::callee(AttemptId { call, claim })
    }

    #[test]
    fn the_throws_of_a_seed_never_change() {
        let mut dice = Dice::new(1_234_567);
        // The published sequence of SplitMix64 for this seed.
        assert_eq!(
            [dice.bits(), dice.bits(), dice.bits()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423],
        );
    }

    #[test]
    fn legs_do_not_share_a_fingerprint() {
        let mut seen = BTreeSet::new();
        for index in 0..2_000 {
            for claim in 1..4 {
                let callee = leg(index, claim);
                assert!(seen.insert(fingerprint(callee)));
                assert!(seen.insert(fingerprint(LegId::transfer(callee.attempt, 1))));
                assert!(seen.insert(fingerprint(LegId { role: LegRole::Supervisor, ordinal: 1, ..callee })));
            }
        }
    }

    #[test]
    fn seeds_differ_by_network_leg_and_target() {
        let number = |text: &str| Target::External(text.parse().unwrap());
        let base = seed_of(1, leg(0, 1), &number("+6512345678"));
        assert_eq!(base, seed_of(1, leg(0, 1), &number("6512345678")));
        for other in [
            seed_of(2, leg(0, 1), &number("+6512345678")),
            seed_of(1, leg(1, 1), &number("+6512345678")),
            seed_of(1, leg(0, 2), &number("+6512345678")),
            seed_of(1, leg(0, 1), &number("+6512345679")),
            seed_of(1, leg(0, 1), &Target::Extension("1000".into())),
        ] {
            assert_ne!(base, other);
        }
        assert_ne!(seed_of(1, leg(0, 1), &Target::Queue("a".into())), seed_of(1, leg(0, 1), &Target::Sip("a".into())));
    }

    #[test]
    fn throws_stay_within_their_bounds_and_reach_them() {
        let mut dice = Dice::new(7);
        let span = Span::new(0.01, 0.02).unwrap();
        let lengths: BTreeSet<_> = (0..2_000).map(|_| dice.within(span).as_millis()).collect();
        assert_eq!(lengths, (10..=20).collect());
        assert_eq!(dice.within(Span::new(1.0, 1.0).unwrap()), Duration::from_secs(1));
        assert_eq!(dice.below(0), 0);
        assert!((0..1_000).all(|_| dice.below(3) < 3));
        assert!((0..1_000).all(|_| !dice.falls(Chance::NEVER) && dice.falls(Chance::ALWAYS)));
    }

    #[test]
    fn weights_are_kept() {
        let mut dice = Dice::new(99);
        let mut counts = [0_u32; 4];
        for _ in 0..10_000 {
            counts[dice.weigh([50, 30, 0, 20])] += 1;
        }
        for (count, expected) in counts.into_iter().zip([5_000_u32, 3_000, 0, 2_000]) {
            assert!(count.abs_diff(expected) < 200, "{counts:?}");
        }
        assert_eq!(dice.weigh([0, 0]), 1);
    }
}
