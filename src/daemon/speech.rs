//! The speech of a deployment: what speaks, where prompts are kept, and who serves them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::addresses::check_address;
use super::checkup::{Finding, millis};
use super::silent_speech;
use super::worker::DaemonError;
use crate::adapters::http::Sounds;
use crate::adapters::speech::{CommandLine, Engine, EngineSpeech, Form, Place, Runner, SilentSpeech};
use crate::config::{self, SpeechEngine, SpeechOutput};
use crate::ports::{Clock, Speech};

/// What `doctor` calls it.
const CHECK: &str = "speech";

/// Room on a disk that is left when somebody should know of it, in bytes.
const LITTLE_ROOM: u64 = 256 << 20;

/// The speech of a deployment.
pub(super) struct Voices {
    /// What dispatch asks.
    pub speech: Arc<dyn Speech>,
    /// What telephony servers ask, if they do.
    pub sounds: Option<Sounds>,
}

/// Whether the settings name something that can speak; nothing is run.
///
/// # Errors
/// When they do not.
pub(super) fn check(settings: &config::Speech) -> Result<(), DaemonError> {
    let wrong = |key: &str, why: &str| Err(DaemonError::Settings(format!("speech.{key}: {why}")));
    if settings.engine == SpeechEngine::Silent {
        return Ok(());
    }
    if settings.folder.as_os_str().is_empty() {
        return wrong("folder", "is empty: prompts must be kept somewhere");
    }
    if settings.folder.to_str().is_none_or(|name| name.contains(|c: char| c.is_control() || "&,|{}".contains(c))) {
        return wrong("folder", "has characters in its name that telephony servers take for something else");
    }
    if settings.cache_mb == 0 {
        return wrong("cache_mb", "must be at least 1");
    }
    if settings.processes == 0 || settings.timeout_secs == 0 {
        return wrong("processes", "and timeout_secs must be at least 1");
    }
    if settings.engine == SpeechEngine::Command {
        if let Some(fault) = command_line(settings).fault() {
            return wrong("command", &fault);
        }
        if settings.languages.is_empty() {
            return wrong("languages", "is empty: nobody knows what the program of speech.command speaks");
        }
        if raw(settings).is_some_and(|form| !form.is_known()) {
            return wrong("sample_rate", "and channels are none that can be read: 4000 to 384000 Hz, 1 to 16 channels");
        }
    }
    match (settings.url.as_str(), settings.listen.as_str()) {
        ("", "") => Ok(()),
        ("", _) => wrong("listen", "is of no use without speech.url, under which the telephony server fetches prompts"),
        (_, "") => wrong("url", "needs speech.listen, where a worker serves prompts"),
        (url, _) if !is_url(url) => wrong("url", "must be http://HOST:PORT or https://…, without ? # & , | and blanks"),
        (_, at) => check_address("speech.listen", at),
    }
}

/// Whether something may stand before a prompt's name: what follows a host is taken as it is.
fn is_url(url: &str) -> bool {
    let host = url.strip_prefix("http://").or(url.strip_prefix("https://"));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
        && !url.contains(|c: char| !c.is_ascii_graphic() || "?#&,|\"<>{}".contains(c))
}

/// What speaks the languages of the engine that the settings name, as far as they tell: whoever checks requests has no engine.
pub fn promised_speech(settings: &config::Speech) -> Arc<dyn Speech> {
    match settings.engine {
        SpeechEngine::Command => Arc::new(SilentSpeech::speaking(&settings.languages)),
        // Which languages espeak-ng speaks hardly differs between its versions.
        SpeechEngine::Espeak | SpeechEngine::Silent => silent_speech(),
    }
}

fn raw(settings: &config::Speech) -> Option<Form> {
    (settings.output == SpeechOutput::Raw).then(|| Form::raw(settings.sample_rate, settings.channels))
}

fn command_line(settings: &config::Speech) -> CommandLine {
    CommandLine { words: settings.command.clone(), languages: settings.languages.clone(), raw: raw(settings) }
}

/// What speaks, if anything does: found, and asked what it can.
async fn engine(settings: &config::Speech, clock: &Arc<dyn Clock>) -> Result<Option<Engine>, DaemonError> {
    let within = Duration::from_secs(settings.timeout_secs.into());
    let runner = Runner::new(Arc::clone(clock), settings.processes.into(), within);
    match settings.engine {
        SpeechEngine::Silent => Ok(None),
        SpeechEngine::Command => Ok(Some(Engine::command(command_line(settings), runner))),
        SpeechEngine::Espeak => {
            let engine = Engine::espeak(runner).await;
            engine.map(Some).map_err(|error| DaemonError::Settings(format!("speech.engine: {error}")))
        }
    }
}

/// What can be heard with these settings; none: they are silent.
async fn audible(settings: &config::Speech, clock: &Arc<dyn Clock>) -> Result<Option<EngineSpeech>, DaemonError> {
    let Some(engine) = engine(settings, clock).await? else { return Ok(None) };
    let place = Place {
        folder: settings.folder.clone(),
        most_bytes: settings.cache_mb << 20,
        media: Some(settings.media.clone()).filter(|folder: &PathBuf| !folder.as_os_str().is_empty()),
        url: Some(settings.url.clone()).filter(|url| !url.is_empty()),
    };
    let folder = settings.folder.display();
    let speech = EngineSpeech::new(Arc::clone(clock), engine, place);
    speech.map(Some).map_err(|error| DaemonError::Settings(format!("speech.folder: {folder} cannot be used: {error}")))
}

/// The speech of a deployment, ready.
///
/// # Errors
/// When its engine cannot be run, its folder not be written to, or nobody can listen.
pub(super) async fn open(settings: &config::Speech, clock: &Arc<dyn Clock>) -> Result<Voices, DaemonError> {
    check(settings)?;
    let Some(speech) = audible(settings, clock).await? else {
        return Ok(Voices { speech: silent_speech(), sounds: None });
    };
    let sounds = match settings.listen.as_str() {
        "" => None,
        at => {
            let sounds = Sounds::listen(at, speech.folder()).await;
            Some(sounds.map_err(|error| DaemonError::Settings(format!("speech.listen: {error}")))?)
        }
    };
    let (engine, folder) = (speech.engine().name(), speech.folder().display());
    tracing::info!(engine, %folder, languages = speech.engine().languages().count(), "prompts are spoken");
    Ok(Voices { speech: Arc::new(speech), sounds })
}

/// Whether somebody would hear something.
pub(super) async fn look(settings: &config::Speech, clock: &Arc<dyn Clock>) -> Finding {
    let speech = match check(settings) {
        Ok(()) => audible(settings, clock).await,
        Err(error) => Err(error),
    };
    let speech = match speech {
        Ok(Some(speech)) => speech,
        Ok(None) => return Finding::ok(CHECK, "silent: for the simulated network, nobody hears anything"),
        Err(error) => return Finding::fail(CHECK, error.to_string(), advice(settings)),
    };
    let begun = clock.now();
    if let Err(error) = speech.try_out().await {
        return Finding::fail(CHECK, error.to_string(), advice(settings));
    }
    let spoken_in = millis(clock.now().since(begun));
    if !settings.media.as_os_str().is_empty() && !settings.media.is_dir() {
        let message = format!("speech.media: {} is no folder", settings.media.display());
        return Finding::fail(CHECK, message, "make it, or no recorded file can be played");
    }
    let languages = speech.engine().languages().count();
    let (engine, folder) = (speech.engine().name(), speech.folder().display());
    let message = format!("{engine} knows {languages} languages and speaks in {spoken_in}; {folder} can be written to");
    match rustix::fs::statvfs(speech.folder()) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let message = format!("{message}, {} MiB are free", free >> 20);
            if free < LITTLE_ROOM {
                Finding::warn(CHECK, message, "make room: without any, no prompt can be made and nobody is called")
            } else {
                Finding::ok(CHECK, message)
            }
        }
        Err(error) => {
            let message = format!("{message}; how much room there is cannot be told: {error}");
            Finding::warn(CHECK, message, "look at the disk")
        }
    }
}

fn advice(settings: &config::Speech) -> &'static str {
    match settings.engine {
        SpeechEngine::Espeak => "install espeak-ng, and let robocall write to speech.folder",
        _ => "see that speech.command can be run, and let robocall write to speech.folder",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::Verdict;

    fn espeak() -> config::Speech {
        config::Speech { engine: SpeechEngine::Espeak, ..config::Speech::default() }
    }

    fn say() -> config::Speech {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        config::Speech {
            engine: SpeechEngine::Command,
            command: words(&["say", "{language}"]),
            languages: words(&["en"]),
            ..config::Speech::default()
        }
    }

    #[test]
    fn settings_that_can_speak_are_taken() {
        check(&config::Speech::default()).unwrap();
        check(&espeak()).unwrap();
        check(&say()).unwrap();
        let served =
            |url: &str| check(&config::Speech { url: url.to_owned(), listen: "0.0.0.0:7461".to_owned(), ..espeak() });
        for url in ["http://10.0.0.7:7461", "https://sounds.example/prompts/"] {
            served(url).unwrap();
        }
        for url in ["ftp://x", "http://", "http:///x", "http://x/?a=b", "http://x/a b", "http://x/a&b"] {
            assert!(served(url).unwrap_err().to_string().contains("speech.url"), "{url}");
        }
    }

    #[test]
    fn settings_that_cannot_are_refused_with_their_key() {
        let wrong = [
            ("speech.folder", config::Speech { folder: PathBuf::new(), ..espeak() }),
            ("speech.folder", config::Speech { folder: PathBuf::from("/a&b"), ..espeak() }),
            ("speech.cache_mb", config::Speech { cache_mb: 0, ..espeak() }),
            ("speech.processes", config::Speech { processes: 0, ..espeak() }),
            ("speech.command", config::Speech { command: Vec::new(), ..say() }),
            ("speech.command", config::Speech { command: vec!["say".to_owned(), "{text}".to_owned()], ..say() }),
            ("speech.languages", config::Speech { languages: Vec::new(), ..say() }),
            ("speech.sample_rate", config::Speech { output: SpeechOutput::Raw, sample_rate: 10, ..say() }),
            ("speech.url", config::Speech { url: "http://x".to_owned(), ..espeak() }),
            ("speech.listen", config::Speech { listen: "127.0.0.1:1".to_owned(), ..espeak() }),
            ("speech.listen", config::Speech { url: "http://x".to_owned(), listen: "7461".to_owned(), ..espeak() }),
        ];
        for (key, settings) in wrong {
            let error = check(&settings).unwrap_err().to_string();
            assert!(error.contains(key), "{key}: {error}");
        }
    }

    #[test]
    fn who_checks_requests_knows_what_the_engine_is_said_to_speak() {
        let languages = vec!["tlh".to_owned(), "de-DE".to_owned()];
        let program = promised_speech(&config::Speech { languages, ..say() });
        assert!(
            program.speaks("tlh") && program.speaks("de-de-1996") && !program.speaks("de") && !program.speaks("en")
        );
        let espeak = promised_speech(&espeak());
        assert!(espeak.speaks("en-AU") && espeak.speaks("vi") && !espeak.speaks("tlh"));
    }

    #[test]
    fn doctor_hears_the_engine() {
        let folder = std::env::temp_dir().join(format!("robocall-doctor-speech-{}", std::process::id()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(crate::adapters::clock::SystemClock::new());
        let found = |settings: config::Speech| {
            let found = runtime.block_on(look(&config::Speech { folder: folder.clone(), ..settings }, &clock));
            (found.status, found.message)
        };
        let (status, message) = found(espeak());
        // The disk may be nearly full.
        assert_ne!(status, Verdict::Fail, "{message}");
        assert!(message.starts_with("espeak-ng ") && message.contains(" speaks in "), "{message}");
        let (status, message) = found(config::Speech { command: vec!["/no/such/program".to_owned()], ..say() });
        assert_eq!(status, Verdict::Fail);
        assert!(message.contains("/no/such/program cannot be run"), "{message}");
        let (status, message) = found(config::Speech { media: folder.join("absent"), ..espeak() });
        assert_eq!(status, Verdict::Fail);
        assert!(message.contains("is no folder"), "{message}");
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found(config::Speech::default()).0, Verdict::Ok);
        assert!(!folder.exists(), "silence needs no folder");
    }
}
