//! The real espeak-ng.

use robocall::adapters::speech::Sound;
use robocall::callflow::program::{Gender, Utterance};
use robocall::model::StepStatus;
use robocall::ports::{Speech as _, SpeechError};

use crate::scene::{Folder, english, espeak, file, heard, prepare, runtime, says, voice};

/// How high a voice is, in hertz: the middle of what its parts with most sound repeat at.
fn height(sound: &Sound) -> u32 {
    let mut heights: Vec<(i64, u32)> = Vec::new();
    for frame in sound.samples.chunks_exact(400) {
        let frame: Vec<i64> = frame.iter().map(|sample| i64::from(*sample)).collect();
        let alike = |lag: usize| (0..280).map(|n| frame[n] * frame[n + lag]).sum::<i64>();
        // From 67 to 400 Hz.
        let lag = (20..120).max_by_key(|lag| alike(*lag)).unwrap();
        heights.push((alike(lag), 8_000 / u32::try_from(lag).unwrap()));
    }
    heights.sort_unstable();
    let mut loudest: Vec<u32> = heights[heights.len() / 2..].iter().map(|(_, height)| *height).collect();
    loudest.sort_unstable();
    loudest[loudest.len() / 2]
}

#[test]
fn it_speaks_what_telephones_play() {
    runtime().block_on(async {
        let folder = Folder::new();
        let speech = espeak(&folder).await;
        let sound = heard(&prepare(&speech, &english("Good morning. This is your bank.")).await.unwrap());
        assert!((8_000..40_000).contains(&sound.samples.len()), "{} samples", sound.samples.len());
        assert!(sound.samples.iter().any(|sample| *sample > 5_000), "nothing is heard");
    });
}

#[test]
fn languages_and_genders_sound_different() {
    runtime().block_on(async {
        let folder = Folder::new();
        let speech = espeak(&folder).await;
        let mut sounds = Vec::new();
        for (language, gender) in [
            ("en", Gender::Female),
            ("en", Gender::Male),
            ("en-US", Gender::Female),
            ("de", Gender::Female),
            ("zh-Hant-TW", Gender::Female),
            ("fr-CA", Gender::Male),
        ] {
            let audio = prepare(&speech, &says("Hello 1 2 3", &voice(language, gender, 5, 5))).await.unwrap();
            sounds.push(heard(&audio));
        }
        for (place, sound) in sounds.iter().enumerate() {
            assert!(!sounds[..place].contains(sound), "number {place} sounds like one before");
        }
        assert!(height(&sounds[0]) > height(&sounds[1]), "a woman's voice is higher");
        for unknown in ["tlh", "xx-YY"] {
            let refused = prepare(&speech, &says("Hello", &voice(unknown, Gender::Female, 5, 5))).await;
            let Err(SpeechError::Refused { status: StepStatus::ErrorMsgInvalidLanguage, .. }) = refused else {
                panic!("{unknown}: {refused:?}")
            };
            assert!(!speech.speaks(unknown));
        }
        assert!(["en", "EN-gb-oed", "zh-Hans", "pt-BR", "yue"].iter().all(|known| speech.speaks(known)));
    });
}

#[test]
fn a_higher_rate_is_shorter_and_a_higher_pitch_is_higher() {
    runtime().block_on(async {
        let folder = Folder::new();
        let speech = espeak(&folder).await;
        let text = "The quick brown fox jumps over the lazy dog, again and again.";
        let mut lengths = Vec::new();
        for rate in 0..10 {
            lengths.push(prepare(&speech, &says(text, &voice("en", Gender::Female, 5, rate))).await.unwrap().length);
        }
        assert!(lengths.windows(2).all(|two| two[0] > two[1]), "{lengths:?}");
        let mut heights = Vec::new();
        for pitch in [0, 5, 9] {
            let audio = prepare(&speech, &says(text, &voice("en", Gender::Male, pitch, 5))).await.unwrap();
            heights.push(height(&heard(&audio)));
        }
        assert!(heights.windows(2).all(|two| two[0] + 10 < two[1]), "{heights:?} Hz");
    });
}

#[test]
fn hostile_text_is_only_text() {
    runtime().block_on(async {
        let folder = Folder::new();
        let speech = espeak(&folder).await;
        let long = "one two ".repeat(125);
        let texts = [
            "\"; rm -rf . ; $(touch owned) `touch owned` | touch owned",
            "-v",
            "--help",
            "<speak><audio src=\"/etc/passwd\"/>hi</speak>",
            "before\0after\u{1}10p\u{1b}[2J\u{7f}",
            "[[h@l'oU]]",
            "🎉",
            "שלום עולם",
            "\u{202e}abc\u{200b}\u{feff}\u{e001}\u{10ffff}",
            long.as_str(),
        ];
        for text in texts {
            let audio = prepare(&speech, &english(text)).await.unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert!(!heard(&audio).samples.is_empty(), "{text:?}");
        }
        // What would be an order is left out, or is spelt.
        let orders = prepare(&speech, &english("well\u{1}99p done")).await.unwrap();
        let spelt = prepare(&speech, &english("well 99p done")).await.unwrap();
        assert_eq!(file(&orders), file(&spelt));
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["prompts"], "nothing was run");
    });
}

#[test]
fn a_prompt_is_ready_once_it_was_made() {
    runtime().block_on(async {
        let folder = Folder::new();
        let speech = espeak(&folder).await;
        let hello = english("Hello");
        assert!(!speech.is_ready(&hello) && !speech.is_ready(&Utterance::Media("hello.wav".into())));
        let first = prepare(&speech, &hello).await.unwrap();
        assert!(speech.is_ready(&hello) && !speech.is_ready(&english("Goodbye")));
        assert_eq!(prepare(&speech, &hello).await.unwrap(), first);
        let written = std::fs::read(file(&first)).unwrap();
        // Another worker's process, or this one's after a restart, finds it.
        let other = espeak(&folder).await;
        assert!(!other.is_ready(&hello), "it has not looked yet");
        assert_eq!(prepare(&other, &hello).await.unwrap(), first);
        assert!(other.is_ready(&hello));
        assert_eq!(std::fs::read(file(&first)).unwrap(), written);
    });
}
