//! The ready ring: whose turn it is among organisations, by start-time fair queueing.
//!
//! It keeps who stands where; the arithmetic is `policy::fairness`, and who is in it is decided elsewhere.

use std::collections::BTreeSet;

use super::BATCH;
use super::slab::OrgIx;
use crate::model::OrganisationId;
use crate::policy::fairness::{self, VirtualTime};

/// An organisation's account with the ring.
pub(super) struct Share {
    /// Its name decides between those that stand at the same place.
    name: OrganisationId,
    /// Virtual time at which what it was given is paid for.
    finish: VirtualTime,
    /// Where it stands in the ring, if it is there: its virtual start.
    place: Option<VirtualTime>,
}

impl Share {
    /// The account of an organisation that was given nothing yet.
    pub fn of(name: OrganisationId) -> Self {
        Self { name, finish: VirtualTime::ZERO, place: None }
    }
}

/// Organisations with due work and a free slot.
#[derive(Default)]
pub(super) struct Ring {
    /// Virtual time: the start of whoever was served last.
    now: VirtualTime,
    entries: BTreeSet<(VirtualTime, OrganisationId, OrgIx)>,
}

impl Ring {
    pub fn first(&self) -> Option<OrgIx> {
        self.entries.first().map(|(_, _, org)| *org)
    }

    /// Those whose turn it is: they stand at the same place.
    pub fn turn(&self, most: u32) -> Vec<OrgIx> {
        let place = self.entries.first().map(|(place, ..)| *place);
        let same = self.entries.iter().take_while(|(at, ..)| Some(*at) == place);
        same.take(most as usize).map(|(_, _, org)| *org).collect()
    }

    /// An organisation has become ready: it starts now, or when it has paid for what it had. True if it is new here.
    pub fn enter(&mut self, org: OrgIx, share: &mut Share) -> bool {
        if share.place.is_some() {
            return false;
        }
        self.put(org, share, fairness::start_after_idle(share.finish, self.now));
        true
    }

    pub fn leave(&mut self, org: OrgIx, share: &mut Share) {
        if let Some(start) = share.place.take() {
            self.entries.remove(&(start, share.name.clone(), org));
        }
    }

    /// An organisation was given `count` destinations.
    pub fn charge(&mut self, org: OrgIx, share: &mut Share, count: u32, weight: u32) {
        if count == 0 {
            return;
        }
        let start = share.place.unwrap_or_else(|| fairness::start_after_idle(share.finish, self.now));
        // Virtual time follows refills too: else whoever comes new would start far in the past.
        self.now = self.now.max(start);
        share.finish = fairness::charge(start, count, weight);
        self.replace(org, share, share.finish);
    }

    /// A destination an organisation was given came back undialled.
    pub fn refund(&mut self, org: OrgIx, share: &mut Share, weight: u32) {
        // At most one batch of credit, so that giving back again and again does not keep the others waiting.
        let floor = fairness::refund(self.now, BATCH, weight);
        share.finish = fairness::refund(share.finish, 1, weight).max(floor);
        if let Some(start) = share.place {
            self.replace(org, share, fairness::refund(start, 1, weight).max(floor.min(start)));
        }
    }

    fn replace(&mut self, org: OrgIx, share: &mut Share, start: VirtualTime) {
        if share.place.is_some() {
            self.leave(org, share);
            self.put(org, share, start);
        }
    }

    fn put(&mut self, org: OrgIx, share: &mut Share, start: VirtualTime) {
        share.place = Some(start);
        self.entries.insert((start, share.name.clone(), org));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves the ring `rounds` times, `batch` each; how much each organisation had.
    fn serve(ring: &mut Ring, shares: &mut [Share], weights: &[u32], rounds: u32, batch: u32) -> Vec<u32> {
        let mut had = vec![0; shares.len()];
        for _ in 0..rounds {
            let org = ring.first().unwrap();
            let ix = org.0 as usize;
            ring.charge(org, &mut shares[ix], batch, weights[ix]);
            had[ix] += batch;
        }
        had
    }

    fn ready(count: u32) -> (Ring, Vec<Share>) {
        let (mut ring, mut shares) = (Ring::default(), Vec::new());
        for ix in 0..count {
            let mut share = Share::of(format!("org-{ix}").parse().unwrap());
            assert!(ring.enter(OrgIx(ix), &mut share));
            shares.push(share);
        }
        (ring, shares)
    }

    #[test]
    fn shares_follow_the_weights_within_a_batch() {
        let (mut ring, mut shares) = ready(3);
        let weights = [1, 2, 5];
        let had = serve(&mut ring, &mut shares, &weights, 400, 8);
        for (had, weight) in had.iter().zip(weights) {
            assert!((had / weight).abs_diff(3200 / 8) <= 8, "{had} at weight {weight}");
        }
    }

    #[test]
    fn whoever_was_away_starts_now_and_has_saved_nothing_up() {
        let (mut ring, mut shares) = ready(3);
        ring.leave(OrgIx(2), &mut shares[2]);
        serve(&mut ring, &mut shares, &[1, 1, 1], 1000, 1);
        ring.enter(OrgIx(2), &mut shares[2]);
        let had = serve(&mut ring, &mut shares, &[1, 1, 1], 300, 1);
        assert!(had.iter().all(|had| had.abs_diff(100) <= 1), "{had:?}");
    }

    #[test]
    fn a_newcomer_does_not_outrun_those_who_were_refilled_for_long() {
        let (mut ring, mut shares) = ready(2);
        for _ in 0..1000 {
            ring.charge(OrgIx(0), &mut shares[0], 1, 1);
            ring.charge(OrgIx(1), &mut shares[1], 1, 1);
        }
        shares.push(Share::of("late".parse().unwrap()));
        ring.enter(OrgIx(2), &mut shares[2]);
        let had = serve(&mut ring, &mut shares, &[1, 1, 1], 300, 1);
        assert!(had.iter().all(|had| had.abs_diff(100) <= 1), "{had:?}");
    }

    #[test]
    fn what_comes_back_is_refunded() {
        let (mut ring, mut shares) = ready(2);
        ring.charge(OrgIx(0), &mut shares[0], 8, 1);
        for _ in 0..8 {
            ring.refund(OrgIx(0), &mut shares[0], 1);
        }
        let had = serve(&mut ring, &mut shares, &[1, 1], 2, 8);
        assert_eq!(had, [8, 8]);
    }
}
