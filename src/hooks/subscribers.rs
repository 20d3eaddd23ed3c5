//! Who wants which events: hooks of organisations, looked at every few seconds, and of requests, which never change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::Templates;
use super::desk::Wanted;
use crate::model::event::is_of_organisation;
use crate::model::hook::TemplateName;
use crate::model::request::Hook;
use crate::model::{EventFilter, HookUrl, OrganisationHook, OrganisationId, RequestId, Timestamp};
use crate::ports::hooks::LoggedHookEvent;
use crate::ports::store::RequestKey;
use crate::ports::{CampaignStore, StoreError};

/// How long hooks of an organisation are believed, and those of a request.
const ORGANISATION_FRESH: Duration = Duration::from_secs(10);
const REQUEST_FRESH: Duration = Duration::from_secs(60);

/// Most organisations, and most requests, at hand; past it, all are forgotten and asked for again.
const AT_HAND: usize = 4_096;

/// What is read of an event.
#[derive(Deserialize)]
struct Head {
    id: String,
    subject: String,
}

/// Who wants which events.
pub struct Subscribers {
    campaigns: Arc<dyn CampaignStore>,
    templates: Arc<Templates>,
    organisations: BTreeMap<OrganisationId, (Timestamp, Vec<OrganisationHook>)>,
    requests: BTreeMap<RequestKey, (Timestamp, Vec<Hook>)>,
}

impl Subscribers {
    /// Nobody is known yet.
    pub fn new(campaigns: Arc<dyn CampaignStore>, templates: Arc<Templates>) -> Self {
        Self { campaigns, templates, organisations: BTreeMap::new(), requests: BTreeMap::new() }
    }

    /// Who wants an event; none if nobody does, or it is no event.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn of(&mut self, event: &LoggedHookEvent, now: Timestamp) -> Result<Option<Wanted>, StoreError> {
        let Ok(head) = serde_json::from_slice::<Head>(&event.body) else {
            tracing::warn!(offset = event.offset, "an entry of the event log is no event, and is sent to nobody");
            return Ok(None);
        };
        let mut targets: Vec<(HookUrl, Option<TemplateName>)> = Vec::new();
        for hook in self.of_organisation(&event.organisation, now).await? {
            let is_new = targets.iter().all(|(url, _)| *url != hook.url);
            let filters = hook.events.iter().map(EventFilter::as_str);
            if is_new && EventFilter::let_through(filters, &event.kind) && self.fits(hook.template.as_ref(), event) {
                targets.push((hook.url.clone(), hook.template));
            }
        }
        let request = head.subject.split('/').next().unwrap_or_default().parse::<RequestId>();
        // What is about the organisation itself is no request's, whatever that is called.
        if let Ok(request) = request
            && !is_of_organisation(&head.id)
        {
            for hook in self.of_request(event, request, now).await? {
                let Ok(url) = hook.url.parse::<HookUrl>() else { continue };
                let is_new = targets.iter().all(|(other, _)| *other != url);
                if is_new && EventFilter::let_through(hook.events.iter().map(|name| &**name), &event.kind) {
                    targets.push((url, None));
                }
            }
        }
        let (id, subject) = (head.id.into(), head.subject.into());
        Ok((!targets.is_empty()).then_some(Wanted { id, subject, targets }))
    }

    /// Whether a template has anything to say of an event. One that is not there keeps the event waiting for it.
    fn fits(&self, template: Option<&TemplateName>, event: &LoggedHookEvent) -> bool {
        let template = template.and_then(|name| self.templates.get(name));
        template.is_none_or(|template| template.wants(&event.kind))
    }

    async fn of_organisation(
        &mut self,
        organisation: &OrganisationId,
        now: Timestamp,
    ) -> Result<Vec<OrganisationHook>, StoreError> {
        if let Some((at, hooks)) = self.organisations.get(organisation)
            && now.since(*at) < ORGANISATION_FRESH
        {
            return Ok(hooks.clone());
        }
        let hooks = match self.campaigns.organisation(organisation).await {
            Ok(settings) => settings.hooks,
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            // One organisation's unreadable settings keep nobody else's events.
            Err(error) => {
                tracing::error!(%organisation, %error, "the hooks of an organisation cannot be read");
                Vec::new()
            }
        };
        if self.organisations.len() >= AT_HAND {
            self.organisations.clear();
        }
        self.organisations.insert(organisation.clone(), (now, hooks.clone()));
        Ok(hooks)
    }

    async fn of_request(
        &mut self,
        event: &LoggedHookEvent,
        request: RequestId,
        now: Timestamp,
    ) -> Result<Vec<Hook>, StoreError> {
        let key = RequestKey { organisation: event.organisation.clone(), request };
        if let Some((at, hooks)) = self.requests.get(&key)
            // A name may be given again, when what had it is not kept any more.
            && &*event.kind != "request.accepted"
            && now.since(*at) < REQUEST_FRESH
        {
            return Ok(hooks.clone());
        }
        let hooks = match self.campaigns.request(&key).await {
            Ok(snapshot) => match snapshot.header {
                Some(header) => header.hooks.clone(),
                // Rejected: what it asked for does not count.
                None => return Ok(Vec::new()),
            },
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            Err(StoreError::NotFound) => return Ok(Vec::new()),
            Err(error) => {
                tracing::error!(?key, %error, "the hooks of a request cannot be read");
                return Ok(Vec::new());
            }
        };
        if self.requests.len() >= AT_HAND {
            self.requests.clear();
        }
        self.requests.insert(key, (now, hooks.clone()));
        Ok(hooks)
    }
}
