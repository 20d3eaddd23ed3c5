//! What the tests themselves lean on: settings that are changed, sound that is measured.

use std::time::Duration;

use crate::asterisk::settings::edited;
use crate::sound::Sound;

const TEXT: &str = "[a]\nbind = 1 ; one\n;bind = 2\n[a](b)\ncontact => 3\n[c]\nbind=4\nbind=5\n";

#[test]
fn a_setting_is_changed_where_it_stands() {
    let text = edited(TEXT, "a", "bind", "9").unwrap();
    assert_eq!(text, TEXT.replace("bind = 1 ; one", "bind = 9"));
    assert_eq!(edited(TEXT, "a", "contact", "9").unwrap(), TEXT.replace("contact => 3", "contact = 9"));
}

#[test]
fn a_setting_that_is_not_there_or_not_alone_is_refused() {
    for (section, key) in [("a", "port"), ("b", "bind"), ("c", "bind")] {
        assert!(edited(TEXT, section, key, "9").is_err(), "{key} of {section}");
    }
}

#[test]
fn a_tone_is_as_loud_as_it_was_made_and_at_its_frequency() {
    let tone = Sound::tone(1004.0, -10.0, Duration::from_secs(1));
    assert!((tone.loudness() + 13.0).abs() < 0.1, "{}", tone.loudness());
    assert!((tone.loudness_at(1004.0) + 13.0).abs() < 0.1, "{}", tone.loudness_at(1004.0));
    assert!(tone.loudness_at(620.0) < -50.0, "{}", tone.loudness_at(620.0));
    assert_eq!(Sound::silence(Duration::from_secs(1)).loudness(), -100.0);
}

#[test]
fn what_is_written_is_read() {
    let sound = Sound::tone(400.0, 0.0, Duration::from_millis(250)).then(&Sound::silence(Duration::from_millis(250)));
    assert_eq!(Sound::read(&sound.wav()), Ok(sound.clone()));
    assert_eq!(sound.length(), Duration::from_millis(500));
    assert_eq!(sound.louder_than(-40.0), Duration::from_millis(260), "250 ms reach into the thirteenth step");
    assert_eq!(Sound::read(&sound.wav()[..900]), Err("cut off"));
    assert_eq!(Sound::silence(Duration::from_millis(250)).then(&sound).begins(-40.0), Some(Duration::from_millis(240)));
}
