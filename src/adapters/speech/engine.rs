//! Programs that speak: what each is told, and what its answers mean.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use super::languages::Languages;
use super::process::{Invocation, MOST_BYTES, Ran, Runner, Stopped};
use super::wav::{self, Form, Sound};
use crate::callflow::program::{Gender, Voice};
use crate::model::StepStatus;
use crate::ports::SpeechError;

/// The program that is known here by itself.
const ESPEAK: &str = "espeak-ng";

/// Words a minute at rate 0 to 9.
const WORDS_A_MINUTE: [u16; 10] = [90, 105, 120, 140, 157, 175, 200, 230, 265, 300];

/// What may stand in braces in an argument.
const PLACEHOLDERS: [&str; 5] = ["language", "gender", "pitch", "rate", "output"];

/// Signals with which a program ends by its own fault: another try would end the same way.
const OWN_FAULTS: [i32; 5] = [4, 6, 7, 8, 11];

/// An operator's program that speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The program, and its arguments with placeholders.
    pub words: Vec<String>,
    /// Languages it speaks (BCP 47), spelt as it wants them.
    pub languages: Vec<String>,
    /// What it writes if that is no WAV file.
    pub raw: Option<Form>,
}

impl CommandLine {
    /// What is wrong with it, if anything.
    pub fn fault(&self) -> Option<String> {
        if self.words.first().is_none_or(|program| program.trim().is_empty()) {
            return Some("names no program".to_owned());
        }
        if self.words.iter().any(|word| word.contains('\0')) {
            return Some("holds a character that no program can be told".to_owned());
        }
        let mut unknown = self.words.iter().flat_map(|word| placeholders(word));
        let unknown = unknown.find(|name| !PLACEHOLDERS.contains(name));
        unknown.map(|name| format!("has {{{name}}}, which means nothing: {{{}}} do", PLACEHOLDERS.join("}, {")))
    }

    fn writes_a_file(&self) -> bool {
        self.words.iter().any(|word| word.contains("{output}"))
    }
}

/// Names in braces: small letters and nothing else, so that what braces mean elsewhere stays.
fn placeholders(word: &str) -> impl Iterator<Item = &str> {
    let names = word.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    names.filter(|name| !name.is_empty() && name.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_'))
}

/// Something that speaks.
pub struct Engine {
    kind: Kind,
    languages: Languages,
    /// What it is, as far as it can be heard.
    identity: String,
    runner: Runner,
}

enum Kind {
    Espeak,
    Command(CommandLine),
}

impl Engine {
    /// espeak-ng, asked for its version and its voices.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn espeak(runner: Runner) -> Result<Self, SpeechError> {
        let version = ask(&runner, "--version").await?;
        let languages = Languages::of_espeak(&ask(&runner, "--voices").await?);
        if languages.count() == 0 {
            return Err(SpeechError::Unavailable(format!("{ESPEAK} has no voices")));
        }
        // Behind the version it says where its data is.
        let version = version.split("Data at").next().unwrap_or_default().trim();
        let version = version.rsplit(' ').next().unwrap_or_default();
        Ok(Self { kind: Kind::Espeak, languages, identity: format!("{ESPEAK} {version}"), runner })
    }

    /// An operator's program.
    pub fn command(line: CommandLine, runner: Runner) -> Self {
        let languages = Languages::listed(&line.languages);
        let identity = format!("{:?} {:?}", line.words, line.raw);
        Self { kind: Kind::Command(line), languages, identity, runner }
    }

    /// What it is, with its version or its arguments: another identity may sound different.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// What it is, for people.
    pub fn name(&self) -> &str {
        match &self.kind {
            Kind::Espeak => &self.identity,
            Kind::Command(line) => line.words.first().map_or("", String::as_str),
        }
    }

    /// What it speaks.
    pub fn languages(&self) -> &Languages {
        &self.languages
    }

    /// Speaks a text. `scratch` is where it may write a file of its own, which is gone afterwards.
    ///
    /// # Errors
    /// When the engine refuses the text, does not know the language, or does not answer.
    pub async fn speak(&self, text: &str, voice: &Voice, scratch: &Path) -> Result<Sound, SpeechError> {
        let Some(name) = self.languages.voice(&voice.language) else {
            return Err(unknown_language(&voice.language));
        };
        let (what, raw) = match &self.kind {
            Kind::Espeak => (espeak(name, voice), None),
            Kind::Command(line) => (command(line, name, voice, scratch)?, line.raw),
        };
        let scratch = what.writes.clone().map(Scratch);
        let ran = self.runner.run(&what, text.as_bytes()).await.map_err(|stopped| match stopped {
            Stopped::TooMuch(_) => refused(stopped.to_string()),
            Stopped::NotRun { .. } | Stopped::TooLong(..) => SpeechError::Unavailable(stopped.to_string()),
        })?;
        verdict(&what.program, &ran)?;
        let sound = move || {
            let written = scratch.as_ref().map(Scratch::read).transpose()?;
            let bytes = written.as_deref().unwrap_or(&ran.output);
            let sound = match raw {
                Some(form) => form.read(bytes),
                None => wav::read(bytes),
            };
            sound.map_err(|error| refused(format!("{}: {error}", what.program)))
        };
        let sound = tokio::task::spawn_blocking(sound).await;
        let sound = sound.map_err(|error| SpeechError::Unavailable(error.to_string()))??;
        if sound.samples.is_empty() {
            return Err(refused("nothing of it can be heard".to_owned()));
        }
        Ok(sound)
    }
}

/// A text as any engine may be told it: no character of it is an order to one.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Nobody speaks these, and engines keep them for themselves.
            c if c.is_control() || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..) => plain.push(' '),
            // Two of them begin what is to be pronounced letter by letter.
            '[' if plain.ends_with('[') => plain.push_str(" ["),
            c => plain.push(c),
        }
    }
    plain
}

/// That nobody here speaks a language.
pub fn unknown_language(tag: &str) -> SpeechError {
    SpeechError::Refused { status: StepStatus::ErrorMsgInvalidLanguage, reason: format!("nobody here speaks {tag}") }
}

/// That something cannot be made audible.
pub fn refused(reason: String) -> SpeechError {
    SpeechError::Refused { status: StepStatus::ErrorMsgCannotConvertText, reason }
}

/// What espeak-ng says of itself.
async fn ask(runner: &Runner, what: &str) -> Result<String, SpeechError> {
    let what = Invocation { program: ESPEAK.to_owned(), arguments: vec![what.to_owned()], writes: None };
    let ran = runner.run(&what, b"").await.map_err(|stopped| SpeechError::Unavailable(stopped.to_string()))?;
    verdict(ESPEAK, &ran)?;
    Ok(String::from_utf8_lossy(&ran.output).into_owned())
}

fn espeak(name: &str, voice: &Voice) -> Invocation {
    let gender = match voice.gender {
        Gender::Female => "f3",
        Gender::Male => "m3",
    };
    let rate = WORDS_A_MINUTE[usize::from(voice.rate.min(9))];
    let words = ["-b", "1", "-v", &format!("{name}+{gender}"), "-p", &(u16::from(voice.pitch.min(9)) * 10).to_string()]
        .map(str::to_owned)
        .into_iter()
        .chain(["-s".to_owned(), rate.to_string(), "--stdin".to_owned(), "--stdout".to_owned()]);
    Invocation { program: ESPEAK.to_owned(), arguments: words.collect(), writes: None }
}

fn command(line: &CommandLine, name: &str, voice: &Voice, scratch: &Path) -> Result<Invocation, SpeechError> {
    let output = scratch.to_str().ok_or_else(|| refused("the folder's name is no text".to_owned()))?;
    let gender = match voice.gender {
        Gender::Female => "female",
        Gender::Male => "male",
    };
    let (pitch, rate) = (voice.pitch.to_string(), voice.rate.to_string());
    let fill = |word: &String| {
        // What is filled in has no braces: neither tags nor numbers have any, and a folder's come last.
        let word = word.replace("{language}", name).replace("{gender}", gender);
        word.replace("{pitch}", &pitch).replace("{rate}", &rate).replace("{output}", output)
    };
    let mut words = line.words.iter().map(fill);
    let program = words.next().unwrap_or_default();
    let writes = line.writes_a_file().then(|| scratch.to_owned());
    Ok(Invocation { program, arguments: words.collect(), writes })
}

/// Whether a program that has ended did what it should.
/// EX_TEMPFAIL of sysexits.h.
const TRY_AGAIN: i32 = 75;

fn verdict(program: &str, ran: &Ran) -> Result<(), SpeechError> {
    let Ran { status, complaint, .. } = ran;
    if status.success() {
        return Ok(());
    }
    let reason = if complaint.is_empty() { format!("{program}: {status}") } else { format!("{program}: {complaint}") };
    match status.signal() {
        Some(signal) if !OWN_FAULTS.contains(&signal) => Err(SpeechError::Unavailable(reason)),
        // "Try again", and what a shell says of a program that a signal ended.
        None if status.code().is_some_and(|code| code == TRY_AGAIN || code > 128) => {
            Err(SpeechError::Unavailable(reason))
        }
        _ => Err(refused(reason)),
    }
}

/// A file that an engine writes, gone when this is dropped.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn read(&self) -> Result<Vec<u8>, SpeechError> {
        let length = std::fs::metadata(&self.0).map_err(|error| refused(format!("it has written no file: {error}")))?;
        if length.len() > MOST_BYTES {
            return Err(refused(format!("it has written more than {MOST_BYTES} bytes")));
        }
        std::fs::read(&self.0).map_err(|error| SpeechError::Unavailable(error.to_string()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _never_written = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(gender: Gender, pitch: u8, rate: u8) -> Voice {
        Voice { language: "en-GB-x".into(), gender, pitch, rate }
    }

    fn line(words: &[&str]) -> CommandLine {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        CommandLine { words, languages: vec!["en-GB".to_owned()], raw: None }
    }

    #[test]
    fn espeak_is_told_everything_but_the_text() {
        let what = espeak("gmw/en", &voice(Gender::Female, 5, 5));
        assert_eq!(
            (what.program.as_str(), what.arguments.join(" ").as_str()),
            ("espeak-ng", "-b 1 -v gmw/en+f3 -p 50 -s 175 --stdin --stdout")
        );
        let lowest = espeak("gmw/en", &voice(Gender::Male, 0, 0)).arguments.join(" ");
        assert_eq!(lowest, "-b 1 -v gmw/en+m3 -p 0 -s 90 --stdin --stdout");
        assert!(espeak("gmw/en", &voice(Gender::Male, 9, 9)).arguments.join(" ").contains("-p 90 -s 300"));
    }

    #[test]
    fn a_command_line_is_filled_in() {
        let given = line(&["say", "--voice={language}-{gender}", "{pitch}/{rate}", "-o", "{output}", "{\"a\": 1}"]);
        let what = command(&given, "en-GB", &voice(Gender::Male, 3, 7), Path::new("/tmp/x.part")).unwrap();
        assert_eq!(what.arguments, ["--voice=en-GB-male", "3/7", "-o", "/tmp/x.part", "{\"a\": 1}"]);
        assert_eq!(what.writes.as_deref(), Some(Path::new("/tmp/x.part")));
        let what = command(&line(&["say"]), "en-GB", &voice(Gender::Male, 3, 7), Path::new("/tmp/x")).unwrap();
        assert_eq!((what.arguments.len(), what.writes), (0, None));
    }

    #[test]
    fn a_command_line_that_cannot_be_used_says_why() {
        assert_eq!(line(&["say", "{language}", "{}", "{Text}", "{a b}"]).fault(), None);
        assert!(line(&[]).fault().is_some() && line(&[" "]).fault().is_some() && line(&["a\0"]).fault().is_some());
        let fault = line(&["say", "{text}"]).fault().unwrap();
        assert!(fault.contains("{text}") && fault.contains("{language}, {gender}"), "{fault}");
    }

    #[test]
    fn no_character_of_a_text_is_an_order() {
        assert_eq!(plain("a\u{1}b\0c\x1b\u{85}\u{e010}\u{f0001}"), "a b c    ");
        assert_eq!(plain("[[h@l]] [[["), "[ [h@l]] [ [ [");
        let kept = "\"; rm -rf / -v <speak>&amp; 日本 שלום 🎉";
        assert_eq!(plain(kept), kept);
    }

    #[test]
    fn who_ends_by_its_own_fault_is_not_asked_again() {
        let ran = |status| Ran {
            status: std::process::ExitStatus::from_raw(status),
            output: Vec::new(),
            complaint: "no such voice".to_owned(),
        };
        assert_eq!(verdict("say", &ran(0)), Ok(()));
        // The exit code stands in the upper byte, a signal in the lower.
        for (status, is_refused) in [(1 << 8, true), (11, true), (6, true), (9, false), (15, false)] {
            let error = verdict("say", &ran(status)).unwrap_err();
            assert_eq!(matches!(error, SpeechError::Refused { .. }), is_refused, "{status}");
            assert!(error.to_string().contains("say: no such voice"));
        }
    }
}
