//! How all organisations stand.

use std::time::Duration;

use async_trait::async_trait;

use super::slab::{OrgIx, ReqIx};
use super::state::State;
use super::store::MemoryStore;
use crate::model::{CallStatus, Timestamp};
use crate::policy::window::WindowState;
use crate::ports::{Census, Standing, Standings, StoreResult, Whose};

impl State {
    /// Destinations of a request that could be dialled at `at`, which is now or later.
    fn waiting(&mut self, ix: ReqIx, at: Timestamp) -> u32 {
        let now = self.now;
        let request = &mut self.requests[ix];
        if request.paused || !request.is_open(now) || request.waits_for_schedule(at) {
            return 0;
        }
        let (mut retries, mut has_fresh) = (0, false);
        for lane in &mut request.lanes {
            let from = match lane.window(request.header.calling_window.as_ref(), now) {
                WindowState::Open { .. } => now,
                WindowState::Closed { until } => until,
            };
            if from <= at {
                has_fresh |= lane.fresh(&request.chunks).is_some();
                retries += lane.retries.iter().take_while(|(due, _)| *due <= at).count();
            }
        }
        // Retries that are claimed stand in no lane.
        let calls = request.held.iter().map(|index| &request.calls[*index as usize]);
        let claimed = calls.filter(|call| call.status == CallStatus::Queued).count();
        let fresh = request.counts.queued.saturating_sub(u32::try_from(claimed).unwrap_or(u32::MAX));
        let fresh = if has_fresh { fresh } else { 0 };
        fresh.saturating_add(u32::try_from(retries).unwrap_or(u32::MAX))
    }

    fn standing(&mut self, ix: OrgIx, horizon: Duration) -> Standing {
        let (now, organisation, requests) = (self.now, self.org(ix).id.clone(), self.org(ix).requests.clone());
        let mut count = |at| requests.iter().map(|request| self.waiting(*request, at)).fold(0_u32, u32::saturating_add);
        let (due, soon) = (count(now), count(now + horizon));
        let allowed = |within| self.org(ix).rate_allows_within(now, within);
        let (due, soon) = (due.min(allowed(Duration::ZERO)), soon.min(allowed(horizon)));
        let slots = self.slot_use(&organisation);
        Standing { organisation, slots, due, soon }
    }
}

#[async_trait]
impl Census for MemoryStore {
    async fn standings(&self, _: Whose, horizon: Duration) -> StoreResult<Standings> {
        Ok(self.with(|state| {
            let all: Vec<OrgIx> = state.org_names.values().copied().collect();
            let read = all.into_iter().map(|ix| state.standing(ix, horizon)).collect();
            Standings { read, unread: Vec::new() }
        }))
    }
}
