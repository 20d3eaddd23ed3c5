//! Calling windows, read on the clocks of time zones: what the database cannot do by itself.

use std::time::Duration;

use super::reply::Reply;
use super::script::Ops;
use super::store::RedisStore;
use crate::model::request::WindowZone;
use crate::model::{OrganisationId, RequestHeader, Timestamp};
use crate::policy::window::{self, WindowState};
use crate::ports::StoreResult;

/// How long a window is taken for closed that cannot be read: its request's header is gone.
const UNREADABLE: Duration = Duration::from_secs(60);

/// What stands between the names of zones.
pub(super) const SEPARATOR: char = ' ';

impl RedisStore {
    /// Reads the windows that a script found out of date, and has the organisation know.
    pub(super) async fn read_windows(
        &self,
        organisation: &OrganisationId,
        now: Timestamp,
        stale: Vec<Reply>,
    ) -> StoreResult<()> {
        let mut ops = Ops::none();
        for mut lane in stale {
            let (request, number, zones) = (lane.text()?, lane.int()?, lane.text()?);
            let header = self.header_now(organisation, &request).await?;
            let state = header
                .as_deref()
                .map_or(WindowState::Closed { until: now + UNREADABLE }, |header| read(header, &zones, now));
            let open = matches!(state, WindowState::Open { .. });
            ops = ops.op("windows").text(&request).int(1).int(number).int(u8::from(open)).time(Some(state.until()));
        }
        self.send(organisation, ops).await.map(drop)
    }
}

fn read(header: &RequestHeader, recipients: &str, now: Timestamp) -> WindowState {
    let Some(window) = &header.calling_window else { return WindowState::Open { until: now + UNREADABLE } };
    let names: Vec<&str> = match &window.time_zone {
        WindowZone::Named(name) => vec![name],
        WindowZone::Recipient => recipients.split(SEPARATOR).filter(|name| !name.is_empty()).collect(),
    };
    // Whoever wrote a zone that nobody knows was told so at intake; were one here all the same, nobody is called.
    let zones: Result<Vec<_>, _> = names.into_iter().map(window::zone).collect();
    window::state(window, &zones.unwrap_or_default(), now)
}
