//! What the tests play with: two real Asterisks that all of them share, numbers, and things to hear.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use robocall::adapters::asterisk::{Asterisk, AsteriskSettings, NodeSettings, Templates};
use robocall::adapters::clock::SystemClock;
use robocall::model::{LegId, Phone};
use robocall::ports::{Audio, Clock};

use crate::asterisk::Bed;
use crate::asterisk::carrier::Carrier;
use crate::sound::Sound;

/// The servers that all tests of this program share.
pub fn bed() -> &'static Bed {
    static BED: OnceLock<Bed> = OnceLock::new();
    BED.get_or_init(Bed::start)
}

/// The time of day.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// Until the next look at something that comes about by itself.
pub async fn pause() {
    clock().sleep_until(clock().now() + Duration::from_millis(50)).await;
}

/// Where ARI of a bed's own Asterisk is.
pub fn ari(bed: &Bed) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, bed.ours.ports().http()).into()
}

/// A bed's own Asterisk as a node.
pub fn node(bed: &Bed) -> NodeSettings {
    NodeSettings {
        name: bed.url(),
        url: bed.url(),
        user: bed.user().to_owned(),
        password: bed.password().into(),
        max_legs: None,
        legs_per_second: None,
    }
}

/// A client of a bed's own Asterisk.
pub fn client(bed: &Bed) -> Asterisk {
    client_of(vec![node(bed)])
}

/// A client of these nodes.
pub fn client_of(nodes: Vec<NodeSettings>) -> Asterisk {
    client_with(nodes, |settings| settings)
}

/// A client of these nodes, with some settings changed.
pub fn client_with(nodes: Vec<NodeSettings>, change: impl FnOnce(AsteriskSettings) -> AsteriskSettings) -> Asterisk {
    robocall::tls::install_provider();
    let trunks = ["carrier", "refused", "hole", "sipp"].map(str::to_owned).to_vec();
    let endpoints = Templates { trunks, ..Templates::default() }.read().unwrap();
    Asterisk::new(change(AsteriskSettings {
        look_every: Duration::from_secs(2),
        ..AsteriskSettings::new(nodes, endpoints, clock())
    }))
    .unwrap()
}

/// A client that looks after what others have left there as often as this.
pub fn client_looking(nodes: Vec<NodeSettings>, look_every: Duration) -> Asterisk {
    client_with(nodes, |settings| AsteriskSettings { look_every, ..settings })
}

/// A number of a kind that nobody has dialled yet.
pub fn number(kind: &str, keys: &str) -> Phone {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let serial = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("+999{kind}{serial:05}{keys}").parse().unwrap()
}

/// A tone of such a length.
pub fn tone(length: Duration) -> Audio {
    tone_of(800.0, length)
}

/// A tone of such a pitch and length.
pub fn tone_of(hertz: f64, length: Duration) -> Audio {
    let folder: PathBuf = std::env::temp_dir().join(format!("robocall-tones-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{hertz}-{}", length.as_millis()));
    let wav = file.with_extension("wav");
    if !wav.exists() {
        // Whole when it is there: another test may look.
        let part = folder.join(format!("{:?}.part", std::thread::current().id()));
        std::fs::write(&part, Sound::tone(hertz, -12.0, length).wav()).unwrap();
        std::fs::rename(part, wav).unwrap();
    }
    Audio { reference: format!("sound:{}", file.display()).into(), length }
}

/// Asks the phone network something that may take a while. Meanwhile the test goes on listening.
pub async fn network<T: Send + 'static>(question: impl FnOnce(&'static Carrier) -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(|| question(&bed().carrier)).await.unwrap()
}

/// What a callee hears comes into its file two seconds at a time.
pub const KEPT_IN: Duration = Duration::from_millis(2_100);

/// Waits until a callee has heard so much more than by now, be it silence.
pub async fn hears_for(number: Phone, length: Duration) {
    network(move |carrier| {
        let number = number.to_string();
        carrier.wait_for_sound(&number, carrier.heard_by_now(&number) + KEPT_IN + length);
    })
    .await;
}

/// What the callee of the last call to a number has heard, when that is over.
pub async fn heard(number: Phone) -> Sound {
    network(move |carrier| carrier.heard(&number.to_string())).await
}

/// Waits until Asterisk has nothing of a leg any more, nor of its attempt if it is the callee's: no channels, no bridges.
pub async fn nothing_stays(leg: LegId) {
    let look = move || {
        let mut there = String::new();
        for _ in 0..100 {
            there = ["/channels", "/bridges"].map(|all| bed().ari("GET", all).body).concat();
            if !there.contains(&leg.to_string()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("of {leg} there stays: {there}");
    };
    tokio::task::spawn_blocking(look).await.unwrap();
}

/// Waits until the bridge of a callee is not there any more.
pub async fn bridge_goes(callee: LegId) {
    let look = move || {
        for _ in 0..300 {
            let bridges = bed().ari("GET", "/bridges").body;
            if !bridges.contains(&callee.to_string()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the bridge of {callee} stays");
    };
    tokio::task::spawn_blocking(look).await.unwrap();
}
