//! Looks now and then how all organisations stand, and tells whoever watches: slots, backlog, queues. Nobody inside acts upon it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::deployment::Deployment;
use crate::adapters::amqp::Client;
use crate::adapters::redis::RedisStore;
use crate::config;
use crate::model::{OrganisationId, Timestamp};
use crate::ports::{Census as _, Clock, Standings, Unread, Whose};
use crate::telemetry::deployment as telemetry;

/// Who is due within so long counts as backlog: workers take a while to start.
const HORIZON: Duration = Duration::from_secs(120);

/// How often to look.
const EVERY: Duration = Duration::from_secs(5);

/// A look that takes long is followed by a pause that many times as long: Redis has other things to do.
const PAUSE: u32 = 30;

/// How long what was found counts as known. A process that is cut off must not outshout those that see how things stand.
const KNOWN: Duration = Duration::from_secs(120);

/// How often it is looked whether the database may forget.
const DURABILITY_EVERY: Duration = Duration::from_secs(60);

/// How often an organisation that cannot be read is told of.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Whoever looks.
pub(super) struct Census {
    store: Arc<RedisStore>,
    broker: Arc<Client>,
    clock: Arc<dyn Clock>,
    listed: BTreeSet<String>,
}

impl Census {
    /// Looks at the servers of a deployment.
    pub fn new(
        deployment: &Deployment,
        broker: Arc<Client>,
        clock: Arc<dyn Clock>,
        settings: &config::Metrics,
    ) -> Self {
        Self {
            store: Arc::clone(deployment.database()),
            broker,
            clock,
            listed: settings.organisations.iter().cloned().collect(),
        }
    }

    /// Looks for as long as the future is held. Slots and queues are looked at side by side: each may be unreachable alone.
    pub async fn watch(self) {
        tokio::join!(self.watch_slots(), self.watch_queues(), self.watch_durability());
    }

    async fn watch_slots(&self) {
        let mut last: Option<Timestamp> = None;
        let mut troubled = Troubled::default();
        let mut known_at = self.clock.now();
        loop {
            let began = self.clock.now();
            match self.store.standings(Whose::Busy, HORIZON).await {
                Ok(standings) => {
                    let now = self.clock.now();
                    troubled.look(&standings, now);
                    // An idle moment that nobody saw is not made up.
                    let since = last.map_or(Duration::ZERO, |last| now.since(last).min(EVERY * 4));
                    let listed = |organisation: &_| self.listed.contains(OrganisationId::as_str(organisation));
                    telemetry::standings(&standings.read, listed, since, now);
                    (last, known_at) = (Some(now), now);
                }
                Err(error) => {
                    tracing::warn!(%error, "how organisations stand is not known");
                    last = None;
                    if self.clock.now().since(known_at) > KNOWN {
                        telemetry::standings_unknown();
                    }
                }
            }
            let took = self.clock.now().since(began);
            self.pause(EVERY.max(took * PAUSE)).await;
        }
    }

    async fn watch_queues(&self) {
        let mut known_at = self.clock.now();
        loop {
            match tokio::try_join!(self.broker.requests_waiting(), self.broker.dead_waiting()) {
                Ok((requests, dead)) => {
                    telemetry::queues(requests.waiting, dead.waiting);
                    known_at = self.clock.now();
                }
                Err(error) => {
                    tracing::debug!(%error, "what waits at the broker is not known");
                    if self.clock.now().since(known_at) > KNOWN {
                        telemetry::queues_unknown();
                    }
                }
            }
            self.pause(EVERY).await;
        }
    }

    async fn watch_durability(&self) {
        loop {
            match self.store.durability().await {
                Ok(weaknesses) => telemetry::durable(weaknesses.is_empty()),
                Err(error) => tracing::debug!(%error, "whether the database may forget is not known"),
            }
            self.pause(DURABILITY_EVERY).await;
        }
    }

    async fn pause(&self, length: Duration) {
        self.clock.sleep_until(self.clock.now() + length).await;
    }
}

/// Organisations for which nothing is dialled since something of them cannot be read, and when that was told last.
#[derive(Default)]
struct Troubled(BTreeMap<OrganisationId, Timestamp>);

impl Troubled {
    /// Names those of which nothing was said for a while.
    fn look(&mut self, standings: &Standings, now: Timestamp) {
        let mut present = BTreeSet::new();
        for Unread { organisation, why } in &standings.unread {
            if self.is_to_be_told(organisation, now) {
                tracing::warn!(%organisation, %why, "how an organisation stands cannot be read: nothing is dialled for it");
            }
            present.insert(organisation);
        }
        for standing in standings.read.iter().filter(|standing| standing.is_external_unreadable()) {
            let organisation = &standing.organisation;
            if self.is_to_be_told(organisation, now) {
                tracing::warn!(%organisation, "what others hold of an organisation's slots is no number: nothing is dialled for it");
            }
            present.insert(organisation);
        }
        self.0.retain(|organisation, told| present.contains(organisation) || now.since(*told) < TOLD_EVERY);
    }

    /// Whether it is time for it; if so, it counts as told.
    fn is_to_be_told(&mut self, organisation: &OrganisationId, now: Timestamp) -> bool {
        let is_due = self.0.get(organisation).is_none_or(|told| now.since(*told) >= TOLD_EVERY);
        if is_due {
            self.0.insert(organisation.clone(), now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_that_cannot_be_read_is_told_of_once_a_minute_however_often_it_is_looked_at() {
        let mut troubled = Troubled::default();
        let begun = Timestamp::VIRTUAL_START;
        let unread = |names: &[&str]| Standings {
            unread: names.iter().map(|name| Unread { organisation: name.parse().unwrap(), why: "x".into() }).collect(),
            read: Vec::new(),
        };
        let mut told = Vec::new();
        for second in (0..180).step_by(5) {
            let now = begun + Duration::from_secs(second);
            // The second stands well every other time: that is no reason to tell of it anew.
            let names: &[&str] = if second % 10 == 0 { &["a", "b"] } else { &["a"] };
            troubled.look(&unread(names), now);
            told.extend(troubled.0.iter().filter(|(_, at)| **at == now).map(|(name, _)| (name.to_string(), second)));
        }
        let of = |name: &str| told.iter().filter(|(named, _)| named == name).map(|(_, at)| *at).collect::<Vec<_>>();
        assert_eq!((of("a"), of("b")), (vec![0, 60, 120], vec![0, 60, 120]));
    }
}
