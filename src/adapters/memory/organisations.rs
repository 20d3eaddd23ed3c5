//! Organisations as a whole: their settings, their slots, their do-not-call lists, and what is told of changing them.

use super::slab::{OrgIx, ReqIx};
use super::state::State;
use crate::model::event::{NUMBER_ADDED, NUMBER_REMOVED, OrganisationEvent};
use crate::model::{Organisation, OrganisationId, Phone};
use crate::policy::slots::External;
use crate::ports::store::{Given, LimitChange, OrganisationChange, SlotUse};

impl State {
    pub fn organisation(&self, organisation: &OrganisationId) -> Organisation {
        self.org_names.get(organisation).map(|ix| self.org(*ix).settings.clone()).unwrap_or_default()
    }

    pub fn change_organisation(
        &mut self,
        organisation: &OrganisationId,
        before: &Organisation,
        after: &Organisation,
        limit: LimitChange,
        given: Option<&Given>,
    ) -> bool {
        let found = self.organisation(organisation);
        let with_limit = |settings: &Organisation| match limit {
            LimitChange::Kept => Organisation { limit: found.limit, ..settings.clone() },
            LimitChange::Set => settings.clone(),
        };
        if found != with_limit(before) {
            return false;
        }
        let after = with_limit(after);
        let changed = after.changed_since(&found);
        self.set_organisation(organisation, after);
        let ix = self.org_ix(organisation);
        self.tell_change(ix, OrganisationChange::Settings, given, changed);
        true
    }

    /// Makes the event of what a command changed, if it changed anything and somebody gave it.
    fn tell_change(&mut self, ix: OrgIx, what: OrganisationChange, given: Option<&Given>, changed: Vec<Box<str>>) {
        let Some(given) = given.filter(|_| !changed.is_empty()) else { return };
        let at = self.now;
        let org = self.org_mut(ix);
        org.changes.last += 1;
        let (organisation, seq) = (org.id.clone(), org.changes.last);
        let event = OrganisationEvent { organisation, seq, at, command: given.changing(what), changed };
        org.changes.unconfirmed.insert(seq, event);
        self.note_unconfirmed_changes(ix);
    }

    /// Notes that an organisation has an unconfirmed event of its own.
    pub fn note_unconfirmed_changes(&mut self, ix: OrgIx) {
        if let Some(oldest) = self.org(ix).changes.oldest() {
            self.change_outbox.insert((oldest, ix));
        }
    }

    pub fn set_organisation(&mut self, organisation: &OrganisationId, settings: Organisation) {
        let ix = self.org_ix(organisation);
        let org = self.org_mut(ix);
        let before = std::mem::replace(&mut org.settings, settings);
        let after = &org.settings;
        if before.request_order != after.request_order || before.retention_secs != after.retention_secs {
            let requests: Vec<ReqIx> = org.requests.iter().copied().collect();
            for request in requests {
                self.requeue(request);
                self.keep_for_retention(request);
            }
        }
        self.refresh_org(ix);
        self.woke = true;
    }

    pub fn set_external(&mut self, organisation: &OrganisationId, value: Option<&str>) {
        let ix = self.org_ix(organisation);
        self.org_mut(ix).external = External::parse(value);
        self.refresh_org(ix);
        self.woke = true;
    }

    pub fn slot_use(&self, organisation: &OrganisationId) -> SlotUse {
        let Some(ix) = self.org_names.get(organisation) else {
            return SlotUse { limit: Organisation::default().limit, ..SlotUse::default() };
        };
        let org = self.org(*ix);
        let suspect = org.leases.values().filter(|lease| lease.expires <= self.now).count();
        SlotUse {
            limit: org.settings.limit,
            external: org.external.in_use(),
            leased: self.leased(*ix),
            suspect: u32::try_from(suspect).unwrap_or(u32::MAX),
        }
    }

    pub fn block_number(&mut self, organisation: &OrganisationId, phone: Phone, given: Option<&Given>) -> bool {
        let ix = self.org_ix(organisation);
        let is_new = self.org_mut(ix).blocked.insert(phone);
        if is_new {
            self.tell_change(ix, OrganisationChange::DoNotCall, given, vec![NUMBER_ADDED.into()]);
        }
        is_new
    }

    pub fn unblock_number(&mut self, organisation: &OrganisationId, phone: Phone, given: Option<&Given>) -> bool {
        let ix = self.org_ix(organisation);
        let was_there = self.org_mut(ix).blocked.remove(&phone);
        if was_there {
            self.tell_change(ix, OrganisationChange::DoNotCall, given, vec![NUMBER_REMOVED.into()]);
        }
        was_there
    }

    pub fn is_blocked(&self, organisation: &OrganisationId, phone: Phone) -> bool {
        self.org_names.get(organisation).is_some_and(|ix| self.org(*ix).blocked.contains(&phone))
    }

    pub fn blocked_numbers(&self, organisation: &OrganisationId) -> Vec<Phone> {
        let org = self.org_names.get(organisation).map(|ix| self.org(*ix));
        org.map(|org| org.blocked.iter().copied().collect()).unwrap_or_default()
    }
}
