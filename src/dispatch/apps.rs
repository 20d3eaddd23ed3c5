//! Whose reports this worker listens to: its own, and those of workers that are gone while it carries their calls.
//!
//! The backend reports on a leg to the app that made it, for as long as the leg lives, and to one listener only: a
//! newer one takes over. So whoever listens holds the app's lock in the store, renewed in every round; nobody else may
//! then open it, and nobody who carries a call goes deaf by somebody else's adoption.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::{AbortHandle, JoinSet};

use super::legs::hand_on;
use super::shared::Shared;
use crate::model::{Timestamp, WorkerId};
use crate::ports::StoreResult;
use crate::ports::store::{Stage, Suspect};

/// How long an app is left to others after the backend did not let this worker listen: longer than its lock lasts.
const LEFT_TO_OTHERS: Duration = Duration::from_secs(60);

/// The apps of workers that are gone.
#[derive(Default)]
pub struct Apps {
    open: BTreeMap<WorkerId, AbortHandle>,
    tasks: JoinSet<()>,
    /// Those that were locked, or found locked by another, in this round.
    locked: BTreeMap<WorkerId, bool>,
    left_until: BTreeMap<WorkerId, Timestamp>,
}

impl Apps {
    /// Begins a round: renews the locks of the apps whose calls it carries, and closes those of which nothing is left.
    /// That of its own app is renewed with its leases.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn keep(&mut self, shared: &Shared) -> StoreResult<()> {
        while self.tasks.try_join_next().is_some() {}
        self.locked.clear();
        let now = shared.ports.clock.now();
        self.left_until.retain(|_, until| *until > now);
        let open: BTreeSet<WorkerId> = self.open.keys().cloned().collect();
        for app in open {
            // An ended stream has fenced its calls; without calls there is nothing to listen for.
            let needed = shared.roster.hears(&app) && self.open.get(&app).is_some_and(|task| !task.is_finished());
            if needed && self.lock(shared, &app).await? {
                continue;
            }
            if let Some(task) = self.open.remove(&app) {
                task.abort();
            }
            shared.roster.fence_app(&app);
        }
        Ok(())
    }

    /// Listens in the name of everybody whose calls are among these and may be taken over. In all names at once: a
    /// backend that takes its time is waited for only once, however many workers are gone. Not after `until`, when
    /// they may have come back.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn open(&mut self, shared: &Shared, suspects: &[Suspect], until: Timestamp) -> StoreResult<()> {
        let dialled = suspects.iter().filter(|suspect| suspect.stage != Stage::Claimed);
        let apps: BTreeSet<&WorkerId> = dialled.map(|suspect| &suspect.app).collect();
        let mut wanted = Vec::new();
        // Whoever stood still asks who is gone before it takes anybody's lock, or app, away.
        let is_late = || shared.ports.clock.now() >= until;
        for app in apps {
            if !is_late() && !self.is_open(shared, app) && self.may_look_after(shared, app).await? {
                wanted.push(app);
            }
        }
        if is_late() {
            return Ok(());
        }
        let telephony = &shared.ports.telephony;
        let opened = join_all(wanted.into_iter().map(|app| async move { (app, telephony.listen(app).await) })).await;
        for (app, opened) in opened {
            match opened {
                Ok(reports) => {
                    let task = self.tasks.spawn(hand_on(reports, app.clone(), Arc::clone(&shared.roster)));
                    self.open.insert(app.clone(), task);
                }
                Err(error) => {
                    tracing::warn!(%app, %error, "cannot listen in the name of a worker that is gone");
                    self.left_until.insert(app.clone(), shared.ports.clock.now() + LEFT_TO_OTHERS);
                }
            }
        }
        Ok(())
    }

    /// Whether a call of `app` may be taken over: this worker alone may, and hears of it if there is anything to hear.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn covers(&mut self, shared: &Shared, app: &WorkerId, stage: Stage) -> StoreResult<bool> {
        Ok(self.may_look_after(shared, app).await? && (stage == Stage::Claimed || self.is_open(shared, app)))
    }

    /// Whether this worker listens in the name of `app`, be it its own.
    fn is_open(&self, shared: &Shared, app: &WorkerId) -> bool {
        *app == shared.settings.id || self.open.get(app).is_some_and(|task| !task.is_finished())
    }

    /// Whether this worker, and nobody else, may listen in the name of `app`.
    async fn may_look_after(&mut self, shared: &Shared, app: &WorkerId) -> StoreResult<bool> {
        // One that drains takes nothing more upon itself but what nobody else could take.
        let left_to_others = shared.is_draining() && !self.is_open(shared, app);
        Ok(!left_to_others && !self.left_until.contains_key(app) && self.lock(shared, app).await?)
    }

    async fn lock(&mut self, shared: &Shared, app: &WorkerId) -> StoreResult<bool> {
        if let Some(mine) = self.locked.get(app) {
            return Ok(*mine);
        }
        let mine = shared.ports.store.lock_app(app, shared.settings.process).await?;
        self.locked.insert(app.clone(), mine);
        if mine {
            shared.names.lock().unwrap_or_else(PoisonError::into_inner).insert(app.clone());
        }
        Ok(mine)
    }
}
