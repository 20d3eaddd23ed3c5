//! A look at every node from time to time: how much it carries, what events did not tell of, and what nobody wants.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;

use super::Inner;
use super::ari::http::{self, Answer, Ask};
use super::dialling::unavailable;
use super::streams::app_name;
use super::supervision::listener_of;
use crate::model::{LegId, WorkerId};
use crate::ports::TelephonyError;
use crate::ports::telephony::LegState;
use crate::telemetry::servers;

/// A bridge as a listing shows it.
#[derive(Deserialize)]
struct Bridge {
    id: String,
    channels: Vec<String>,
}

/// What a look found wrong with a node; what the next one finds again is mended.
#[derive(Default)]
struct Wrong {
    /// Legs in our names that were never dialled and that this process did not make: whoever adopts a call that may have
    /// been dialled settles it at once.
    unwanted: BTreeSet<LegId>,
    /// Legs that are not there any more.
    gone: BTreeSet<LegId>,
    /// Ears of listeners that are not there any more.
    ears: BTreeSet<String>,
    /// Bridges without anybody, a callee's or a listener's.
    empty: BTreeSet<LegId>,
}

/// Looks at a node for ever.
pub async fn look(inner: Arc<Inner>, node: usize) {
    let clock = Arc::clone(&inner.settings.clock);
    let mut before = Wrong::default();
    loop {
        match wrong(&inner, node).await {
            Ok(wrong) => {
                mend(&inner, node, &before, &wrong).await;
                before = wrong;
            }
            Err(error) => {
                tracing::debug!(node = inner.nodes[node].name, %error, "could not be looked at");
                before = Wrong::default();
            }
        }
        clock.sleep_until(clock.now() + inner.settings.look_every).await;
    }
}

async fn wrong(inner: &Inner, node: usize) -> Result<Wrong, TelephonyError> {
    let apps: Vec<WorkerId> = inner.table().apps().into_iter().collect();
    let known: Vec<BTreeSet<LegId>> = apps.iter().map(|app| inner.table().there(app, node)).collect();
    let (mut channels, mut ears) = (Vec::new(), BTreeSet::new());
    for (id, state, owner) in inner.listing(node).await? {
        match id.parse::<LegId>() {
            Ok(leg) => channels.push((leg, state, owner)),
            Err(_) => drop(ears.insert(id)),
        }
    }
    let own: BTreeSet<LegId> = known.iter().flatten().copied().collect();
    servers::node_legs(&inner.nodes[node].name, channels.len());
    inner.nodes[node].has_others(channels.iter().filter(|(leg, ..)| !own.contains(leg)).count());
    let there: BTreeSet<LegId> = channels.iter().map(|(leg, ..)| *leg).collect();
    ears.retain(|ear| listener_of(ear).is_some_and(|listener| !there.contains(&listener)));
    let mut wrong = Wrong { ears, empty: empty_bridges(inner, node, &there).await?, ..Wrong::default() };
    for (app, known) in apps.iter().zip(known) {
        let name = app_name(app);
        let ours = channels.iter().filter(|(_, state, owner)| *owner == name && state == "Down");
        let mut table = inner.table();
        let stranger = |leg: &LegId| table.get(*leg).is_none_or(|known| !known.made_here);
        wrong.unwanted.extend(ours.map(|(leg, ..)| *leg).filter(stranger));
        wrong.gone.extend(known.difference(&there));
    }
    Ok(wrong)
}

/// Bridges of ours that nobody is in, and whose callee or listener is gone.
async fn empty_bridges(inner: &Inner, node: usize, there: &BTreeSet<LegId>) -> Result<BTreeSet<LegId>, TelephonyError> {
    let body = match inner.nodes[node].http.ask(Ask::get("bridges")).await? {
        Answer::Done(body) => body,
        other => return Err(unavailable(&format!("no listing of bridges: {other:?}"))),
    };
    let bridges: Vec<Bridge> = http::read(&body)?;
    let empty = bridges.into_iter().filter(|bridge| bridge.channels.is_empty());
    Ok(empty.filter_map(|bridge| bridge.id.parse().ok()).filter(|leg| !there.contains(leg)).collect())
}

async fn mend(inner: &Arc<Inner>, node: usize, before: &Wrong, now: &Wrong) {
    let http = &inner.nodes[node].http;
    let until = inner.settings.clock.now() + inner.settings.look_every;
    for leg in before.gone.intersection(&now.gone) {
        tracing::warn!(%leg, "gone without a word");
        let errands = inner.table().lose(*leg, inner.settings.clock.now());
        inner.run(errands);
    }
    for leg in before.unwanted.intersection(&now.unwanted) {
        // One that was dialled, by whomever, is a call.
        if inner.inspect(*leg).await != Ok(Some(LegState::Created)) {
            continue;
        }
        tracing::warn!(%leg, "made, never dialled, and nobody's: taken down");
        // The next look tells whether it went.
        let _ = http.ask(Ask::delete(format!("channels/{leg}"), until)).await;
    }
    for ear in before.ears.intersection(&now.ears) {
        let _ = http.ask(Ask::delete(format!("channels/{ear}"), until)).await;
    }
    for bridge in before.empty.intersection(&now.empty) {
        let _ = http.ask(Ask::delete(format!("bridges/{bridge}"), until)).await;
    }
}
