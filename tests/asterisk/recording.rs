//! Recordings of calls: what both sides said, in Asterisk's own folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use robocall::adapters::asterisk::{AsteriskArchive, AsteriskSettings};
use robocall::callflow::program::Target;
use robocall::model::LegId;
use robocall::ports::recordings::{Part, Sound};
use robocall::ports::telephony::LegEvent;
use robocall::ports::{ArchiveError, RecordingArchive as _, Telephony as _};

use crate::call::Line;
use crate::outcomes::in_real_time;
use crate::sound::Sound as Heard;
use crate::world::{bed, client_with, hears_for, node, number, pause, tone_of};

const SECOND: Duration = Duration::from_secs(1);

/// The tone that numbers of the kind 17 send.
const CALLEES: f64 = 1004.0;

/// Louder than this a tone is there.
const THERE: f64 = -30.0;

fn finished(playback: u32) -> LegEvent {
    LegEvent::PlaybackFinished { playback, played: true }
}

/// Plays a tone to its end.
async fn plays(line: &mut Line, leg: LegId, playback: u32, hertz: f64, length: Duration) {
    line.play(leg, playback, &tone_of(hertz, length)).await;
    line.until(leg, |event| *event == finished(playback)).await;
}

/// How much of a recording is on the disk.
fn kept(name: &str) -> u64 {
    std::fs::metadata(bed().recording(name)).map_or(0, |file| file.len())
}

/// What was recorded, once Asterisk is done with it.
pub async fn recorded(name: String) -> Heard {
    let look = move || {
        let over = (0..300).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            bed().ari("GET", &format!("/recordings/live/{}", name.replace('/', "%2F"))).status == 404
        });
        assert!(over, "{name} goes on");
        let file: PathBuf = bed().recording(&name);
        Heard::read(&std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))).unwrap()
    };
    tokio::task::spawn_blocking(look).await.unwrap()
}

#[test]
fn both_sides_are_recorded_and_a_hang_up_leaves_the_file_whole() {
    in_real_time(async {
        let mut line = Line::open().await;
        let leg = line.reach(1, number("17", "")).await;
        let name = format!("{leg}-whole");
        let began_at = line.clock.now();
        line.phones.record(leg, &name, true, line.soon()).await.unwrap();
        plays(&mut line, leg, 1, 700.0, 3 * SECOND).await;
        let took = line.clock.now().since(began_at);
        line.bye(leg).await;
        let recorded = recorded(name).await;
        assert!(recorded.length().abs_diff(took) < SECOND, "{:?} in {took:?}", recorded.length());
        let middle = recorded.part(SECOND, SECOND);
        for hertz in [CALLEES, 700.0] {
            assert!(middle.loudness_at(hertz) > THERE, "{hertz} Hz: {}", middle.loudness_at(hertz));
        }
        assert!(middle.loudness_at(1500.0) < -50.0);
    });
}

#[test]
fn a_callee_who_hangs_up_leaves_the_file_whole() {
    in_real_time(async {
        let mut line = Line::open().await;
        let leg = line.reach(1, number("60", "")).await;
        let name = format!("{leg}-cut");
        line.phones.record(leg, &name, true, line.soon()).await.unwrap();
        line.play(leg, 1, &tone_of(700.0, 30 * SECOND)).await;
        line.hear_out(leg).await;
        let recorded = recorded(name).await;
        let length = recorded.tone_for(700.0);
        assert!(length > SECOND / 2 && length < 4 * SECOND, "{length:?} of {:?}", recorded.length());
    });
}

#[test]
fn what_comes_during_a_pause_is_left_out() {
    in_real_time(async {
        let mut line = Line::open().await;
        let leg = line.reach(1, number("10", "")).await;
        let name = format!("{leg}-paused");
        line.phones.record(leg, &name, true, line.soon()).await.unwrap();
        plays(&mut line, leg, 1, 700.0, 2 * SECOND).await;
        line.phones.record(leg, &name, false, line.soon()).await.unwrap();
        plays(&mut line, leg, 2, 1200.0, 3 * SECOND).await;
        line.phones.record(leg, &name, true, line.soon()).await.unwrap();
        plays(&mut line, leg, 3, 1600.0, 2 * SECOND).await;
        line.bye(leg).await;
        let recorded = recorded(name).await;
        let [before, during, after] = [700.0, 1200.0, 1600.0].map(|hertz| recorded.tone_for(hertz));
        assert!(
            before.abs_diff(2 * SECOND) < SECOND / 2 && after.abs_diff(2 * SECOND) < SECOND / 2,
            "{before:?} {after:?}"
        );
        assert!(during < SECOND / 5, "{during:?}");
        assert!(recorded.length().abs_diff(4 * SECOND) < SECOND, "{:?}", recorded.length());
    });
}

#[test]
fn a_recording_in_a_folder_of_its_own_can_be_paused_too() {
    in_real_time(async {
        let into = |settings| AsteriskSettings { recordings: "ours/today/".to_owned(), ..settings };
        let mut line = Line::with(Arc::new(client_with(vec![node(bed())], into))).await;
        let leg = line.reach(1, number("10", "")).await;
        let name = format!("{leg}-paused");
        let file = format!("ours/today/{name}");
        let place = line.phones.record(leg, &name, true, line.soon()).await.unwrap().unwrap();
        assert!(place.ends_with(&format!("recordings/stored/{}/file", file.replace('/', "%2F"))), "{place}");
        plays(&mut line, leg, 1, 700.0, 2 * SECOND).await;
        line.phones.record(leg, &name, false, line.soon()).await.unwrap();
        plays(&mut line, leg, 2, 1200.0, SECOND).await;
        // What came before is written by now.
        let before = kept(&file);
        plays(&mut line, leg, 3, 1200.0, 3 * SECOND).await;
        assert_eq!(kept(&file), before, "it grows although it is paused");
        line.phones.record(leg, &name, true, line.soon()).await.unwrap();
        plays(&mut line, leg, 4, 1600.0, 2 * SECOND).await;
        line.bye(leg).await;
        let recorded = recorded(file).await;
        let [before, during, after] = [700.0, 1200.0, 1600.0].map(|hertz| recorded.tone_for(hertz));
        assert!(before > SECOND && after > SECOND && during < SECOND / 5, "{before:?} {during:?} {after:?}");
    });
}

#[test]
fn a_recording_that_has_not_begun_yet_is_paused_once_it_has() {
    in_real_time(async {
        let mut line = Line::open().await;
        let leg = line.reach(1, number("10", "")).await;
        let name = format!("{leg}-not-yet");
        // An ear that is busy: what it is to record waits until it is free.
        let (ear, busy) = (format!("{leg}_rec"), format!("{leg}-busy"));
        let asks = |method: &'static str, path: String| bed().ari(method, &path).status;
        assert_eq!(asks("POST", format!("/channels/{leg}/snoop/{ear}?spy=both&app=robocall-{}", line.app)), 200);
        while asks("POST", format!("/channels/{ear}/play/{busy}?media=tone:1004")) != 201 {
            pause().await;
        }
        line.phones.record(leg, &name, true, line.soon()).await.unwrap();
        let live = format!("/recordings/live/{name}");
        assert!(bed().ari("GET", &live).body.contains("\"queued\""), "{}", bed().ari("GET", &live).body);
        let frees = async {
            pause().await;
            assert_eq!(asks("DELETE", format!("/playbacks/{busy}")), 204);
        };
        let (paused, ()) = tokio::join!(line.phones.record(leg, &name, false, line.soon()), frees);
        paused.unwrap();
        assert!(bed().ari("GET", &live).body.contains("\"paused\""), "{}", bed().ari("GET", &live).body);
        line.bye(leg).await;
    });
}

#[test]
fn turning_a_recording_on_or_off_twice_is_harmless() {
    in_real_time(async {
        let mut line = Line::open().await;
        let leg = line.reach(1, number("10", "")).await;
        let name = format!("{leg}-twice");
        line.phones.record(leg, &name, false, line.soon()).await.unwrap();
        for (playback, on) in [(1, true), (2, true), (3, false), (4, false), (5, true)] {
            line.phones.record(leg, &name, on, line.soon()).await.unwrap();
            plays(&mut line, leg, playback, 700.0, SECOND).await;
        }
        line.bye(leg).await;
        let recorded = recorded(name).await;
        let length = recorded.tone_for(700.0);
        assert!(length.abs_diff(3 * SECOND) < SECOND / 2, "{length:?} of {:?}", recorded.length());
    });
}

#[test]
fn a_call_that_is_hung_up_during_a_pause_leaves_what_came_before() {
    in_real_time(async {
        let mut line = Line::open().await;
        let leg = line.reach(1, number("10", "")).await;
        let name = format!("{leg}-in-a-pause");
        line.phones.record(leg, &name, true, line.soon()).await.unwrap();
        plays(&mut line, leg, 1, 700.0, 2 * SECOND).await;
        line.phones.record(leg, &name, false, line.soon()).await.unwrap();
        line.bye(leg).await;
        let length = recorded(name).await.tone_for(700.0);
        assert!(length.abs_diff(2 * SECOND) < SECOND / 2, "{length:?}");
    });
}

#[test]
fn a_recording_goes_on_through_a_transfer_and_has_both() {
    in_real_time(async {
        let (mut line, callee) = (Line::open().await, number("17", ""));
        let leg = line.reach(1, callee).await;
        let name = format!("{leg}-joined");
        line.phones.record(leg, &name, true, line.soon()).await.unwrap();
        let other = LegId::transfer(leg.attempt, 1);
        line.dial(other, Target::External(number("18", "")), 0, 30).await;
        line.until(other, |event| *event == LegEvent::Answered).await;
        line.phones.bridge(leg, other, line.soon()).await.unwrap();
        hears_for(callee, 3 * SECOND).await;
        line.bye(other).await;
        line.bye(leg).await;
        let recorded = recorded(name).await;
        let end = recorded.part(recorded.length().saturating_sub(2 * SECOND), SECOND);
        for hertz in [CALLEES, 620.0] {
            assert!(end.loudness_at(hertz) > THERE, "{hertz} Hz: {}", end.loudness_at(hertz));
        }
    });
}

#[test]
fn a_recording_is_handed_out_in_parts_and_deleted_and_nothing_else_is() {
    in_real_time(async {
        let mut line = Line::open().await;
        let leg = line.reach(1, number("17", "")).await;
        let name = format!("{leg}/handed-out");
        let place = line.phones.record(leg, &name, true, line.soon()).await.unwrap().unwrap();
        line.play(leg, 1, &tone_of(700.0, SECOND)).await;
        line.until(leg, |event| *event == finished(1)).await;
        line.bye(leg).await;
        recorded(name.clone()).await;
        let file = std::fs::read(bed().recording(&name)).unwrap();
        let archive = AsteriskArchive::new(&[node(bed())], Arc::clone(&line.clock)).unwrap();
        let read = async |part: Part| {
            let Sound { size, range, mut bytes } = archive.open(&place, part).await.unwrap();
            let mut heard = Vec::new();
            while let Some(piece) = bytes.next().await {
                heard.extend(piece.unwrap());
            }
            (size, range, heard)
        };
        let size = file.len() as u64;
        // What a busy machine loses is less than half of it.
        assert!(size > 10_000, "{size}");
        assert_eq!(read(Part::Whole).await, (size, Some(0..size), file.clone()));
        assert_eq!(read(Part::Between(44, 9_999)).await, (size, Some(44..10_000), file[44..10_000].to_vec()));
        assert_eq!(read(Part::Last(1)).await, (size, Some(size - 1..size), file[file.len() - 1..].to_vec()));
        assert_eq!(read(Part::From(size)).await, (size, None, Vec::new()));
        let base = place.split_once("recordings/").unwrap().0;
        for elsewhere in [
            "http://127.0.0.1:1/ari/recordings/stored/x/file".to_owned(),
            format!("{base}channels"),
            format!("{base}recordings/stored/../../channels/file"),
            format!("{base}recordings/stored/x/file?y=/file"),
        ] {
            assert_eq!(archive.open(&elsewhere, Part::Whole).await.err(), Some(ArchiveError::Elsewhere), "{elsewhere}");
            assert_eq!(archive.delete(&elsewhere).await, Err(ArchiveError::Elsewhere), "{elsewhere}");
        }
        archive.delete(&place).await.unwrap();
        assert!(!bed().recording(&name).exists());
        assert_eq!(archive.delete(&place).await, Err(ArchiveError::Missing));
        assert_eq!(archive.open(&place, Part::Whole).await.err(), Some(ArchiveError::Missing));
    });
}
