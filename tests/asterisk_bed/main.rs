//! The real Asterisks that other tests use do what these rely on.

#[path = "../support/asterisk/mod.rs"]
mod asterisk;
#[path = "../support/sound.rs"]
mod sound;

use asterisk::Bed;

#[test]
fn ours_answers_with_its_version() {
    let bed = Bed::start();
    let info = bed.ari("GET", "/asterisk/info");
    assert!(info.status == 200 && info.body.contains(r#""version":"22."#), "{info:?}");
    let made =
        bed.ari("POST", "/channels?endpoint=PJSIP/%2B9991000001@carrier&context=robocall-amd&extension=s&priority=1");
    assert_eq!(made.status, 200, "{made:?}");
    bed.carrier.wait_for("answered", "+9991000001");
    assert_eq!(bed.carrier.invites("+9991000001"), 1);
}
