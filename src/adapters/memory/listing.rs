//! An organisation's requests, page by page: as many are looked at as it takes.

use super::request::{Life, Request};
use super::slab::ReqIx;
use super::state::State;
use crate::model::{OrganisationId, RequestCursor};
use crate::ports::store::{RequestFilter, RequestPage, RequestSnapshot};

impl State {
    /// Gives a request its place, if it has none.
    pub fn list_now(&mut self, ix: ReqIx) {
        let now = self.now;
        let request = &mut self.requests[ix];
        if request.listed.is_none() {
            let place = RequestCursor::new(now, request.first_call);
            request.listed = Some(place);
            let org = request.org;
            self.org_mut(org).listed.insert(place, ix);
        }
    }

    /// Takes it away.
    pub fn unlist(&mut self, ix: ReqIx) {
        let request = &mut self.requests[ix];
        if let Some(place) = request.listed.take() {
            let org = request.org;
            self.org_mut(org).listed.remove(&place);
        }
    }

    pub fn list(&self, organisation: &OrganisationId, filter: &RequestFilter, limit: u32) -> RequestPage {
        let Some(org) = self.org_names.get(organisation).map(|ix| self.org(*ix)) else { return RequestPage::default() };
        let older = match filter.after {
            Some(place) => org.listed.range(..place),
            None => org.listed.range(..),
        };
        let wanted = |request: &Request| {
            filter.statuses.as_ref().is_none_or(|statuses| statuses.contains(&request.status(self.now)))
        };
        let mut found = older.rev().map(|(place, ix)| (*place, &self.requests[*ix])).filter(|(_, of)| wanted(of));
        let limit = limit.max(1) as usize;
        let page: Vec<(RequestCursor, &Request)> = found.by_ref().take(limit).collect();
        let next = page.last().map(|(place, _)| *place).filter(|_| found.next().is_some());
        RequestPage { requests: page.into_iter().map(|(_, request)| self.snapshot_of(request)).collect(), next }
    }

    pub fn snapshot_of(&self, request: &Request) -> RequestSnapshot {
        let header = (request.life != Life::Rejected).then(|| std::sync::Arc::clone(&request.header));
        RequestSnapshot { summary: request.summary(self.now), header, queued_at: request.sealed_at }
    }
}
