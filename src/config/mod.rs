//! What a daemon is told before it starts: defaults < files < environment < options. This room alone reads files of
//! settings and, beside `main`, the environment.
//!
//! The value of a key is taken as it is written: nothing guesses that a password of digits is a number.

mod asterisk;
mod choices;
mod hooks;
mod metrics;
mod settings;
mod speech;
mod strays;

use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat};

pub use asterisk::Asterisk;
pub use hooks::Hooks;
pub use metrics::Metrics;
pub use settings::{Amqp, Api, Backend, Redis, Settings, Telephony, Voice, Worker};
pub use speech::{Speech, SpeechEngine, SpeechOutput};
pub use strays::stray_variables;

/// What environment variables begin with: `ROBOCALL__REDIS__URL` is `redis.url`. Two underscores, since clusters make
/// up variables such as `ROBOCALL_PORT` for every service of that name.
const PREFIX: &str = "ROBOCALL";
const SEPARATOR: &str = "__";

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A folder or file cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is no TOML, or has keys or values that mean nothing.
    #[error("{0}")]
    Invalid(String),
}

/// Reads settings: every `*.toml` of a folder in the order of their names, or one file, then the environment.
///
/// # Errors
/// When something cannot be read, or says what means nothing; with the key.
pub fn read(place: Option<&Path>) -> Result<Settings, ConfigError> {
    from(place, Environment::with_prefix(PREFIX).prefix_separator(SEPARATOR).separator(SEPARATOR))
}

fn from(place: Option<&Path>, environment: Environment) -> Result<Settings, ConfigError> {
    let mut builder = Config::builder();
    for file in files(place)? {
        builder = builder.add_source(File::from(file).format(FileFormat::Toml));
    }
    let config = builder.add_source(environment).build().map_err(invalid)?;
    let settings: Settings = serde_path_to_error::deserialize(config).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        ConfigError::Invalid(if path == "." || message.contains(&path) {
            message
        } else {
            format!("{path}: {message}")
        })
    })?;
    settings.with_secrets_of_files()
}

fn invalid(error: config::ConfigError) -> ConfigError {
    ConfigError::Invalid(without_source(&error.to_string()))
}

/// What is wrong with a file, in one line: without what is written there, which may be a password.
fn without_source(text: &str) -> String {
    let is_source = |line: &str| {
        line.split_once('|').is_some_and(|(margin, _)| margin.chars().all(|c| c == ' ' || c.is_ascii_digit()))
    };
    let mut lines = text.lines().filter(|line| !is_source(line)).map(str::trim);
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |told, line| if line.starts_with("in ") { told + " " + line } else { told + ": " + line })
}

fn files(place: Option<&Path>) -> Result<Vec<PathBuf>, ConfigError> {
    let Some(place) = place else { return Ok(Vec::new()) };
    let unreadable = |error| ConfigError::Unreadable { path: place.to_owned(), error };
    if !std::fs::metadata(place).map_err(unreadable)?.is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(place).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn given(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let source = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let environment = Environment::with_prefix(PREFIX).prefix_separator(SEPARATOR).separator(SEPARATOR);
        from(None, environment.source(Some(source)))
    }

    fn written(name: &str, text: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("robocall-config-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("one.toml"), text).unwrap();
        folder
    }

    #[test]
    fn the_file_that_is_shipped_lists_every_key_with_its_default() {
        let text = include_str!("../../config/robocall.toml");
        let uncommented: String = text
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line))
            // No default: without it another rule holds.
            .filter(|line| {
                !["id =", "flows =", "url_file =", "trusted_file =", "password_file ="]
                    .iter()
                    .any(|key| line.starts_with(key))
            })
            .collect::<Vec<_>>()
            .join("\n");
        let folder = written("shipped", &uncommented);
        let shipped = from(Some(&folder), Environment::with_prefix("NOTHING")).unwrap();
        let defaults = given(&[]).unwrap();
        assert_eq!(format!("{shipped:?}"), format!("{defaults:?}"));
        assert_eq!(shipped.redis.url.expose_secret(), defaults.redis.url.expose_secret());
        assert_eq!(shipped.amqp.url.expose_secret(), defaults.amqp.url.expose_secret());
        let known = serde_json::to_value(&defaults).unwrap();
        for (section, keys) in known.as_object().unwrap() {
            for key in keys.as_object().unwrap().keys() {
                let there = text.lines().any(|line| line.starts_with(&format!("# {key} = ")));
                assert!(there, "{section}.{key} is not listed");
            }
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn without_anything_there_are_defaults() {
        let settings = given(&[]).unwrap();
        assert_eq!(settings.redis.url.expose_secret(), "redis://127.0.0.1:6379/");
        assert_eq!(settings.worker.capacity, 10_000);
    }

    #[test]
    fn variables_are_taken_as_they_are_written() {
        let settings = given(&[
            ("ROBOCALL__REDIS__PREFIX", "0012345"),
            ("ROBOCALL__WORKER__CAPACITY", "20"),
            ("ROBOCALL_PORT", "tcp://10.0.0.1:80"),
            ("ROBOCALL__ASTERISK__TRUNKS", "first second"),
            ("ROBOCALL__ASTERISK__PASSWORD", "0012345"),
            ("ROBOCALL__TELEPHONY__BACKEND", "asterisk"),
        ]);
        let settings = settings.unwrap();
        assert_eq!((settings.telephony.backend, settings.asterisk.trunks.len()), (Backend::Asterisk, 2));
        assert_eq!(settings.asterisk.password.expose_secret(), "0012345");
        assert_eq!((settings.redis.prefix.as_str(), settings.worker.capacity), ("0012345", 20));
    }

    #[test]
    fn a_list_may_be_written_with_blanks() {
        let settings = given(&[("ROBOCALL__SPEECH__COMMAND", "say --voice {language}")]).unwrap();
        assert_eq!(settings.speech.command, ["say", "--voice", "{language}"]);
        let folder = written("list", "[speech]\ncommand = [\"say\", \"two words\"]\nlanguages = \"de fr\"\n");
        let settings = from(Some(&folder), Environment::with_prefix("NOTHING")).unwrap();
        assert_eq!((settings.speech.command[1].as_str(), settings.speech.languages.len()), ("two words", 2));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_means_nothing_is_an_error_with_its_key() {
        for (key, value, named) in [
            ("ROBOCALL__REDIS__ULR", "x", "ulr"),
            ("ROBOCALL__WORKER__CAPACITY", "many", "capacity"),
            ("ROBOCALL__WROKER__ID", "w", "wroker"),
            ("ROBOCALL__TELEPHONY__BACKEND", "pigeons", "telephony.backend"),
            ("ROBOCALL__WORKER__ID", "a b", "worker.id"),
            ("ROBOCALL__SPEECH__ENGINE", "festival", "speech.engine"),
            ("ROBOCALL__AMQP__URL_FILE", "/nowhere/at/all", "/nowhere/at/all"),
        ] {
            let error = given(&[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_file_is_overridden_by_a_variable_and_secrets_may_have_files() {
        let folder = written("secrets", "[redis]\nprefix = \"a\"\nurl_file = \"SECRET\"\n[worker]\ncapacity = 5\n");
        let secret = folder.join("secret");
        std::fs::write(&secret, "redis://:0012345@db/\n").unwrap();
        let text = std::fs::read_to_string(folder.join("one.toml")).unwrap();
        std::fs::write(folder.join("one.toml"), text.replace("SECRET", secret.to_str().unwrap())).unwrap();
        let source = [("ROBOCALL__WORKER__CAPACITY".to_owned(), "7".to_owned())].into_iter().collect();
        let environment = Environment::with_prefix(PREFIX).prefix_separator(SEPARATOR).separator(SEPARATOR);
        let settings = from(Some(&folder), environment.source(Some(source))).unwrap();
        assert_eq!((settings.redis.prefix.as_str(), settings.worker.capacity), ("a", 7));
        assert_eq!(settings.redis.url.expose_secret(), "redis://:0012345@db/");
        assert!(!format!("{settings:?}").contains("0012345"), "secrets are not shown");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
