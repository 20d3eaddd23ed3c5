//! A deployment whose phone network is a real Asterisk.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::asterisk::Bed;
use crate::redis;
use crate::sound::Sound;
use crate::world::{World, broker};

/// The servers that most tests of this program share.
pub fn bed() -> &'static Bed {
    static BED: OnceLock<Bed> = OnceLock::new();
    BED.get_or_init(Bed::start)
}

/// A deployment on a bed, and nobody to work; ARI is where `url` says.
pub fn deployment(bed: &Bed, url: &str) -> World {
    let folder: PathBuf = std::env::temp_dir().join(format!("robocall-prompts-{}", std::process::id()));
    World::of_servers(&broker().url(), &redis::shared().url(), "127.0.0.1:1").with([
        ("ROBOCALL__TELEPHONY__BACKEND", "asterisk".to_owned()),
        ("ROBOCALL__ASTERISK__NODES", url.to_owned()),
        ("ROBOCALL__ASTERISK__USER", bed.user().to_owned()),
        ("ROBOCALL__ASTERISK__PASSWORD", bed.password().to_owned()),
        ("ROBOCALL__SPEECH__ENGINE", "espeak".to_owned()),
        ("ROBOCALL__SPEECH__FOLDER", folder.display().to_string()),
    ])
}

/// A worker's name that no other test has: on Asterisk they all are neighbours.
pub fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("w{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A number of a kind that nobody has dialled yet.
pub fn number(kind: &str, keys: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let serial = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("+999{kind}{serial:05}{keys}")
}

/// A request to a number.
pub fn request(id: &str, phone: &str, steps: &Value) -> Value {
    json!({"requestId": id, "maxCallDurationSecs": 60, "destinations": [{"phone": phone}], "callFlow": {"steps": steps}})
}

/// A step that speaks.
pub fn says(text: &str) -> Value {
    json!({"name": "play", "message": {"msg": text}})
}

/// What became of the only call of a request.
pub fn details(world: &World, request: &str) -> Value {
    world.answer(&["status", request])["details"][0].clone()
}

/// The names of steps that were gone through, and how they ended.
pub fn steps(call: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let steps = call["callFlowSteps"].as_array().unwrap();
    steps.iter().map(|step| (text(&step["stepName"]), text(&step["info"]["status"]))).collect()
}

/// What was recorded of a call, fetched from where its status says.
pub fn recorded(bed: &Bed, call: &Value) -> Sound {
    let place = call["recordingUrl"].as_str().unwrap_or_else(|| panic!("{call:#}"));
    let path = place.strip_prefix(&bed.url()).unwrap();
    assert_eq!(bed.ari("GET", path).status, 200, "{place}");
    // As a file: what is fetched comes as text here.
    let name = path.trim_start_matches("/recordings/stored/").trim_end_matches("/file");
    Sound::read(&std::fs::read(bed.recording(name)).unwrap()).unwrap()
}
