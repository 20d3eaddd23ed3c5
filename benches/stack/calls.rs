//! Real calls through Asterisk: what the worker adds between an event and its command, and whose processor limits.

use std::time::{Duration, Instant};

use super::asterisk::Bed;
use super::measure::{Table, Target, cpu, percentile};
use super::product::{Deployment, Servers};
use super::sniffer::Sniffer;
use super::sound::Sound;

/// Calls at a time, and how many of each.
const LOADS: [(u32, u32); 4] = [(10, 200), (25, 500), (75, 1_500), (150, 2_000)];

/// How often the phone network's log is read meanwhile: that costs processor time, too.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Everybody answers after 0.3 s, hears a second of a tone, and is hung up on.
pub fn measure(table: &mut Table) {
    let (servers, bed) = (Servers::start(), Bed::start());
    let folder = std::env::temp_dir().join(format!("robocall-bench-{}-sounds", std::process::id()));
    let media = folder.join("media");
    std::fs::create_dir_all(&media).unwrap();
    std::fs::write(media.join("one.wav"), Sound::tone(800.0, -12.0, Duration::from_secs(1)).wav()).unwrap();
    let ari = bed.url().trim_start_matches("http://").split('/').next().unwrap().parse().unwrap();
    let sniffer = Sniffer::before(ari);
    let mut most = 0.0_f64;
    for (place, (limit, calls)) in LOADS.into_iter().enumerate() {
        let deployment = Deployment { servers: &servers, prefix: format!("calls{limit}"), limit, capacity: 10_000 };
        let worker = deployment.worker_with(
            &format!("w{limit}"),
            [
                ("TELEPHONY__BACKEND", "asterisk".to_owned()),
                ("ASTERISK__NODES", format!("http://127.0.0.1:{}/ari", sniffer.port())),
                ("ASTERISK__USER", bed.user().to_owned()),
                ("ASTERISK__PASSWORD", bed.password().to_owned()),
                ("SPEECH__ENGINE", "espeak".to_owned()),
                ("SPEECH__FOLDER", folder.join("prompts").display().to_string()),
                ("SPEECH__MEDIA", media.display().to_string()),
            ],
        );
        let (ours, carrier) = (bed.ours.pid(), bed.carrier.server().pid());
        let before = [worker.cpu(), cpu(ours), cpu(carrier)];
        let begun = Instant::now();
        deployment.submit_to("bank", "r", r#"{"steps":[{"name":"play","message":{"media":"one.wav"}}]}"#, place, calls);
        let ended = || bed.carrier.steps().iter().filter(|step| step.what == "ended").count();
        let expected: u32 = LOADS[..=place].iter().map(|(_, calls)| calls).sum();
        while ended() < expected as usize {
            assert!(begun.elapsed() < Duration::from_secs(180), "{} of {expected} calls have ended", ended());
            std::thread::sleep(LOOK_EVERY);
        }
        let seconds = begun.elapsed().as_secs_f64();
        let after = [worker.cpu(), cpu(ours), cpu(carrier)];
        let [of_worker, of_ours, of_carrier] =
            [0, 1, 2].map(|one| (after[one] - before[one]) * 1000.0 / f64::from(calls));
        let (delays, rate) = (sniffer.take_delays(), f64::from(calls) / seconds);
        most = most.max(rate);
        let named = |what: &str| format!("{limit} calls at a time: {what}");
        table.add(&named("calls"), Target::None, rate, "a second");
        table.add(&named("an event to its command, median"), Target::None, percentile(&delays, 50.0), "ms");
        let target = if place == 0 { Target::AtMost(10.0, 10.0) } else { Target::None };
        table.add(&named("an event to its command, 99 in 100"), target, percentile(&delays, 99.0), "ms");
        table.add(&named("worker's processor time a call"), Target::AtMost(1.0, 1.0), of_worker, "ms");
        table.add(&named("Asterisk's, ours"), Target::None, of_ours, "ms");
        table.add(&named("Asterisk's, the phone network's"), Target::None, of_carrier, "ms");
        table.add(&named("worker's share of Asterisk's"), Target::AtMost(1.0, 1.0), of_worker / of_ours, "x");
    }
    table.add("most calls", Target::None, most, "a second");
    std::fs::remove_dir_all(folder).unwrap();
}
