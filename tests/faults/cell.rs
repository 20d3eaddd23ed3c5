//! One cell of the matrix: one trouble, at one point.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use robocall::command::CommandKind;
use robocall::model::CallId;
use robocall::ports::CampaignStore as _;
use robocall::ports::store::RequestKey;
use tokio_util::task::AbortOnDropHandle;

use crate::checker;
use crate::deployment::{Deployment, LIMIT, broker, mortal_broker, organisation};
use crate::evidence::{self, Evidence, Forbidden};
use crate::points::{Lookout, Point};
use crate::proxy::Faults;
use crate::requests::{key, request};
use crate::stream::Stream;
use crate::trouble::{GRACE_SECS, Trouble};

/// How long a point may be waited for, a crash of the broker that another cell caused included, and how long it may take
/// until all is over.
const REACHED_WITHIN: Duration = Duration::from_secs(150);
const OVER_WITHIN: Duration = Duration::from_secs(150);

/// How long what follows from a point is held up.
const HELD_UP: Duration = Duration::from_millis(300);

/// The organisation of every cell.
const ORG: &str = "bank";

/// What a cell came to.
#[derive(Default)]
pub struct Tally {
    pub destinations: usize,
    pub dials: usize,
    pub unknown: usize,
    pub adopted: usize,
    pub republished: usize,
    pub seconds: f64,
}

/// Looks at the store again and again, as long as it lives.
pub struct Samples {
    pub seen: Arc<Mutex<Evidence>>,
    _looking: AbortOnDropHandle<()>,
}

impl Samples {
    pub fn of(deployment: &Arc<Deployment>, orgs: &[&str], keys: &[RequestKey]) -> Self {
        let seen: Arc<Mutex<Evidence>> = Arc::default();
        let (deployment, kept) = (Arc::clone(deployment), Arc::clone(&seen));
        let orgs: Vec<_> = orgs.iter().map(|org| organisation(org)).collect();
        let keys = keys.to_vec();
        let looking = tokio::spawn(async move {
            loop {
                for org in &orgs {
                    if let Ok(slots) = deployment.store.slot_use(org).await {
                        kept.lock().unwrap().slots.push((org.clone(), slots));
                    }
                }
                for key in &keys {
                    if let Ok(found) = deployment.store.request(key).await {
                        kept.lock().unwrap().sums.push(found.summary);
                    }
                }
                deployment.pause(Duration::from_millis(150)).await;
            }
        });
        Self { seen, _looking: AbortOnDropHandle::new(looking) }
    }
}

/// Runs a cell. What is wrong, with what the processes said.
pub async fn run(trouble: Trouble, point: Point) -> Result<Tally, String> {
    let name = format!("{trouble:?}@{point:?}");
    let broker = if trouble == Trouble::BrokerCrash { mortal_broker().await } else { broker().await };
    let deployment = Arc::new(Deployment::new(&name, trouble.wants_durability(), broker).await);
    let began = deployment.now();
    let result = drive(&deployment, trouble, point).await;
    let logs = || format!("{name}: after {:.1} s\n{}", deployment.now().since(began).as_secs_f64(), deployment.logs());
    let mut tally = match result {
        Ok((tally, broken)) if broken.is_empty() => tally,
        Ok((_, broken)) => return Err(format!("{name}:\n  {}\n{}", broken.join("\n  "), logs())),
        Err(error) => return Err(format!("{name}: {error}\n{}", logs())),
    };
    tally.seconds = deployment.now().since(began).as_secs_f64();
    if let Some(deployment) = Arc::into_inner(deployment) {
        deployment.forget();
    }
    Ok(tally)
}

async fn drive(deployment: &Arc<Deployment>, trouble: Trouble, point: Point) -> Result<(Tally, Vec<String>), String> {
    let (first, second) = (key(ORG, "first"), key(ORG, "second"));
    let body = request("first", 3, 1, 1);
    let links = deployment.links().await;
    let (stream, reading) = Stream::read(deployment).await;
    let samples = Samples::of(deployment, &[ORG], &[first.clone(), second.clone()]);
    let mut seen = Evidence { limits: [(organisation(ORG), LIMIT)].into(), ..Evidence::default() };

    let lookout = Lookout::begin(point, deployment).await;
    let grace = if trouble == Trouble::Drain { GRACE_SECS } else { 60 };
    let mut victim = deployment.worker("victim", Some(&links), grace);
    if let Some(line) = point.held_up() {
        // It answers: its connections stand, and their making is not held up. Of a request that never is: commands come at
        // least once.
        deployment.command(ORG, "greeting", &CommandKind::Pause(key(ORG, "nobody").request)).await?;
        links.of(line).set(Faults { latency: HELD_UP, ..Faults::default() });
    }
    deployment.submit(ORG, &body).await;
    let sees = lookout.sees(deployment, &stream);
    tokio::select! {
        biased;
        seen = sees => seen?,
        () = deployment.pause(REACHED_WITHIN) => return Err(format!("{point:?} was not reached")),
    }
    if let Some(line) = point.held_up() {
        if trouble.is_fatal() {
            victim.kill();
            links.of(line).cut();
        }
        links.of(line).set(Faults::default());
    }
    // Another worker is there when it happens, or comes.
    let helper = deployment.worker("helper", None, 60);
    if trouble == Trouble::Doubled {
        deployment.submit(ORG, &body).await;
    }
    trouble.strike(deployment, &mut victim, &links, &mut seen).await?;

    // A second request is paused as soon as it is there, and cancelled in the end.
    deployment.submit(ORG, &request("second", 2, 0, 0)).await;
    deployment.until("the second request", OVER_WITHIN, async || deployment.store.request(&second).await.ok()).await?;
    let paused = deployment.command(ORG, "pause", &CommandKind::Pause(second.request.clone())).await?;
    let from = deployment.now();
    if seen.emptied_at.is_none() {
        deployment
            .until("the first request's end", OVER_WITHIN, async || deployment.is_over(&first).await.then_some(()))
            .await?;
    }
    let until = Some(deployment.now());
    if paused {
        seen.forbidden.push(Forbidden { key: second.clone(), from, until });
        deployment.command(ORG, "resume", &CommandKind::Resume(second.request.clone())).await?;
    }
    deployment
        .until("the second request's end", OVER_WITHIN, async || deployment.is_over(&second).await.then_some(()))
        .await?;
    let free = deployment.until("all slots", OVER_WITHIN, async || {
        let slots = deployment.store.slot_use(&organisation(ORG)).await.ok()?;
        (slots.leased == 0).then(|| deployment.now())
    });
    seen.at_rest.insert(organisation(ORG), Some(free.await?));
    everybody_hangs_up(deployment).await;
    for key in [&first, &second] {
        seen.requests.push(deployment.kept(key).await?);
    }
    seen.dials = evidence::dials(&deployment.dial_log());
    told_everything(deployment, &stream, &seen).await;
    drop((reading, victim, helper));
    seen.events = stream.events();
    {
        let mut sampled = samples.seen.lock().unwrap();
        seen.slots = std::mem::take(&mut sampled.slots);
        seen.sums = std::mem::take(&mut sampled.sums);
    }
    Ok((tally(&seen), checker::broken(&seen)))
}

/// Waits until no leg is live; what is live then, the checker says.
pub async fn everybody_hangs_up(deployment: &Deployment) {
    let gone = async || checker::live(&evidence::dials(&deployment.dial_log())).is_empty().then_some(());
    let _told_by_the_checker = deployment.until("the last leg's end", Duration::from_secs(60), gone).await;
}

/// Waits until the stream has told of every end that the store knows; what is missing then, the checker says.
pub async fn told_everything(deployment: &Deployment, stream: &Stream, seen: &Evidence) {
    let calls = seen.requests.iter().filter_map(|kept| kept.known.as_ref()).flat_map(|(_, calls)| calls);
    let ended: BTreeSet<CallId> = calls.filter(|call| !call.facts.is_empty()).map(|call| call.id).collect();
    let all = stream.shows(|events| {
        let told = events.iter().filter(|event| event.kind == "call.ended").filter_map(|event| event.call);
        let told = told.collect::<BTreeSet<_>>();
        if seen.emptied_at.is_some() { checker::untold(events).is_empty() } else { told.is_superset(&ended) }
    });
    tokio::select! {
        biased;
        () = all => {}
        () = deployment.pause(Duration::from_secs(60)) => {}
    }
}

/// Adds up what happened.
pub fn tally(seen: &Evidence) -> Tally {
    use robocall::model::{CallStatus, Happening};
    let calls = || seen.requests.iter().filter_map(|kept| kept.known.as_ref()).flat_map(|(_, calls)| calls);
    let ids: BTreeSet<&str> = seen.events.iter().map(|event| event.id.as_str()).collect();
    Tally {
        destinations: calls().count(),
        dials: seen.dials.iter().filter(|line| line.event == "invite").count(),
        unknown: calls().filter(|call| call.status == CallStatus::Unknown).count(),
        adopted: calls()
            .filter(|call| call.facts.iter().any(|fact| matches!(fact.what, Happening::Adopted { .. })))
            .count(),
        republished: seen.events.len() - ids.len(),
        seconds: 0.0,
    }
}
