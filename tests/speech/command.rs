//! An operator's program, and recorded files.

use std::io::BufRead as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use robocall::adapters::speech::{Engine, EngineSpeech, Form};
use robocall::callflow::program::{Gender, Utterance};
use robocall::conformance::ManualClock;
use robocall::model::StepStatus;
use robocall::ports::{Audio, Clock, Speech as _, SpeechError};

use crate::scene::{Folder, command, english, file, heard, place, prepare, runner, runtime, says, shell, voice, wav};

/// A program that notes that it ran, and says the same whatever it is told.
fn noting(folder: &Folder) -> String {
    let sound = folder.file("said.wav", &wav(16_000, 2, 16_000));
    format!("cat >/dev/null; echo $1 $2 $3 $4 >>'{}/ran'; cat '{}'", folder.path().display(), sound.display())
}

fn is_refused(told: &Result<Audio, SpeechError>) -> bool {
    matches!(told, Err(SpeechError::Refused { status: StepStatus::ErrorMsgCannotConvertText, .. }))
}

#[test]
fn it_is_told_the_voice_and_hears_the_text() {
    let folder = Folder::new();
    let script = format!("{}; cat >'{}/text' <&3", "exec 3<&0", folder.path().display());
    let script = format!("{script}; {}", noting(&folder).replace("cat >/dev/null; ", ""));
    let speech = command(&folder, shell(&script));
    let told = says("Hé\0llo\n\"$x\" -v", &voice("de-DE-1996", Gender::Male, 3, 7));
    let sound = heard(&runtime().block_on(prepare(&speech, &told)).unwrap());
    assert_eq!(sound.samples.len(), 8_000, "two channels at 16 kHz become one at 8 kHz");
    assert_eq!(std::fs::read_to_string(folder.path().join("ran")).unwrap(), "de-DE male 3 7\n");
    assert_eq!(std::fs::read_to_string(folder.path().join("text")).unwrap(), "Hé llo \"$x\" -v");
    assert!(speech.speaks("en-AU") && !speech.speaks("de") && !speech.speaks("fr"));
}

#[test]
fn the_same_prompt_runs_it_once() {
    let folder = Folder::new();
    let script = noting(&folder);
    runtime().block_on(async {
        let speech = command(&folder, shell(&script));
        let hello = english("hello");
        let all = join_all((0..50).map(|_| prepare(&speech, &hello))).await;
        assert!(all.windows(2).all(|two| two[0] == two[1]) && all[0].is_ok());
        assert_eq!(folder.lines("ran"), 1, "however many ask at once");
        prepare(&speech, &hello).await.unwrap();
        let restarted = command(&folder, shell(&script));
        prepare(&restarted, &hello).await.unwrap();
        assert_eq!(folder.lines("ran"), 1, "nor later, nor after a restart");
        for other in [
            english("hallo"),
            says("hello", &voice("en", Gender::Female, 5, 6)),
            says("hello", &voice("en", Gender::Male, 5, 5)),
        ] {
            prepare(&speech, &other).await.unwrap();
        }
        assert_eq!(folder.lines("ran"), 4, "what sounds different is another prompt");
        let changed = command(&folder, shell(&format!("{script} #")));
        prepare(&changed, &hello).await.unwrap();
        assert_eq!(folder.lines("ran"), 5, "and so is what another program says");
    });
}

#[test]
fn a_damaged_file_is_made_anew() {
    let folder = Folder::new();
    let script = noting(&folder);
    runtime().block_on(async {
        let audio = prepare(&command(&folder, shell(&script)), &english("hello")).await.unwrap();
        let whole = std::fs::read(file(&audio)).unwrap();
        std::fs::write(file(&audio), &whole[..whole.len() - 1]).unwrap();
        prepare(&command(&folder, shell(&script)), &english("hello")).await.unwrap();
        assert_eq!((folder.lines("ran"), std::fs::read(file(&audio)).unwrap()), (2, whole));
    });
}

#[test]
fn raw_samples_and_files_are_taken_too() {
    let folder = Folder::new();
    let sound = folder.file("said.raw", &wav(24_000, 1, 24_000)[44..]);
    let raw = Form::raw(24_000, 1);
    let line =
        robocall::adapters::speech::CommandLine { raw: Some(raw), ..shell(&format!("cat '{}'", sound.display())) };
    let runtime = runtime();
    let audio = runtime.block_on(prepare(&command(&folder, line), &english("hello"))).unwrap();
    assert_eq!(heard(&audio).samples.len(), 8_000);
    let sound = folder.file("said.wav", &wav(11_025, 1, 11_025));
    let mut line = shell(&format!("echo talk; cp '{}' \"$5\"", sound.display()));
    line.words.push("{output}".to_owned());
    let speech = command(&folder, line);
    let audio = runtime.block_on(prepare(&speech, &english("hello"))).unwrap();
    assert_eq!(heard(&audio).samples.len(), 8_000);
    let left = std::fs::read_dir(speech.folder()).unwrap().flatten();
    assert!(left.map(|entry| entry.path()).all(|path| path.is_dir()), "its own file is gone");
}

#[test]
fn what_it_refuses_is_refused_and_what_it_cannot_do_now_is_asked_again() {
    let runtime = runtime();
    for (script, why) in [
        ("echo 'no such word' >&2; exit 3", "no such word"),
        ("kill -SEGV $$", "signal: 11"),
        ("echo hello", "it is no WAV file"),
        ("exit 0", "it is no WAV file"),
        ("yes", "more than"),
    ] {
        let folder = Folder::new();
        let told = runtime.block_on(prepare(&command(&folder, shell(script)), &english("hello")));
        assert!(is_refused(&told), "{script}: {told:?}");
        let told = told.unwrap_err().to_string();
        assert!(told.contains(why), "{script}: {told}");
    }
    let folder = Folder::new();
    let mut absent = shell("");
    absent.words[0] = "/no/such/program".to_owned();
    for line in [shell("kill -TERM $$"), absent] {
        let told = runtime.block_on(prepare(&command(&folder, line), &english("hello")));
        assert!(matches!(told, Err(SpeechError::Unavailable(_))), "{told:?}");
    }
}

#[test]
fn one_that_takes_too_long_is_given_up() {
    let folder = Folder::new();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let clock = Arc::new(ManualClock::default());
    let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let engine = Engine::command(shell(&format!("echo up >'{}'; sleep 100", pipe.display())), runner(&time));
    let speech = EngineSpeech::new(time, engine, place(&folder)).unwrap();
    runtime().block_on(async {
        let up = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            std::io::BufReader::new(std::fs::File::open(pipe).unwrap()).read_line(&mut line).unwrap();
        });
        let late = async {
            up.await.unwrap();
            clock.advance(Duration::from_secs(10));
        };
        let hello = english("hello");
        let (told, ()) = tokio::join!(prepare(&speech, &hello), late);
        assert!(matches!(told, Err(SpeechError::Unavailable(ref why)) if why.contains("within 10s")), "{told:?}");
    });
}

#[test]
fn recorded_files_are_played_as_telephones_play_them() {
    let folder = Folder::new();
    folder.file("media/jingle.wav", &wav(44_100, 2, 44_100));
    folder.file("media/text.wav", b"hello");
    folder.file("secret.wav", &wav(8_000, 1, 8_000));
    std::os::unix::fs::symlink("../secret.wav", folder.path().join("media/link.wav")).unwrap();
    let jingle = Utterance::Media("jingle.wav".into());
    runtime().block_on(async {
        let speech = command(&folder, shell("exit 1"));
        let audio = prepare(&speech, &jingle).await.unwrap();
        assert_eq!(heard(&audio).samples.len(), 8_000);
        assert_eq!(audio.length, Duration::from_secs(1));
        assert!(speech.is_ready(&jingle));
        assert_eq!(prepare(&speech, &jingle).await.unwrap(), audio);
        for name in ["none.wav", "text.wav", "link.wav", "../secret.wav", "a\0b"] {
            let told = prepare(&speech, &Utterance::Media(name.into())).await;
            assert!(is_refused(&told), "{name}: {told:?}");
        }
        folder.file("media/jingle.wav", &wav(8_000, 1, 4_000));
        let restarted = command(&folder, shell("exit 1"));
        assert_eq!(prepare(&restarted, &jingle).await.unwrap().length, Duration::from_millis(500));
    });
}
