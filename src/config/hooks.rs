//! Webhooks: how events are delivered to them, where they may be, and the operator's templates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Config, File, FileFormat};
use serde::{Deserialize, Serialize};

use super::settings::words;
use super::{ConfigError, invalid};
use crate::hooks::{TemplateDocument, Templates};
use crate::model::hook::TemplateName;

/// Templates that are built in.
const BUILT_IN: [(&str, &str); 1] = [("create_call", include_str!("../../config/hooks/create_call.toml"))];

/// Most bytes of a template's file.
const MOST_BYTES: u64 = 64 << 10;

/// How events are delivered to webhooks.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// Networks that may be sent to besides the public internet.
    #[serde(deserialize_with = "words")]
    pub allow: Vec<String>,
    /// Whether messages may be sent without TLS.
    pub allow_http: bool,
    /// How long connecting to a receiver may take, in seconds.
    pub connect_secs: u16,
    /// How long a receiver may take to answer, connecting included, in seconds.
    pub timeout_secs: u16,
    /// Messages on their way to one receiver at a time.
    pub in_flight: u16,
    /// Messages on their way at a time, to all receivers.
    pub connections: u16,
    /// Events that wait for one receiver; what comes later is read from the log again.
    pub pending: u32,
    /// MiB of these.
    pub pending_mb: u32,
    /// MiB of what waits for all receivers of an organisation; past that each has room for a few events only.
    pub organisation_mb: u32,
    /// How long an event is tried, in hours, before it is a dead letter.
    pub give_up_hours: u32,
    /// Dead letters kept of each organisation.
    pub dead_letters: u32,
    /// How long dead letters are kept, in days.
    pub dead_days: u32,
    /// How long receivers' answers about calls are kept, in days.
    pub answer_days: u32,
    /// MiB of the largest recording that is attached; larger ones are left out.
    pub recording_mb: u32,
    /// MiB of recordings that are held at a time to be attached.
    pub recordings_mb: u32,
    /// Folder of the operator's templates, `NAME.toml` each; empty: only those built in.
    pub templates: PathBuf,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_http: false,
            connect_secs: 5,
            timeout_secs: 15,
            in_flight: 4,
            connections: 256,
            pending: 1_000,
            pending_mb: 4,
            organisation_mb: 64,
            give_up_hours: 72,
            dead_letters: 1_000,
            dead_days: 14,
            answer_days: 7,
            recording_mb: 16,
            recordings_mb: 64,
            templates: PathBuf::new(),
        }
    }
}

impl Hooks {
    /// Reads the operator's templates; one of them may stand in the place of one that is built in.
    ///
    /// # Errors
    /// When one cannot be read or used; with its file.
    pub fn templates(&self) -> Result<Templates, ConfigError> {
        let mut texts: BTreeMap<TemplateName, (String, String)> = BTreeMap::new();
        for (name, text) in BUILT_IN {
            let parsed = name.parse().map_err(|why| ConfigError::Invalid(format!("{name}: {why}")))?;
            texts.insert(parsed, (name.to_owned(), text.to_owned()));
        }
        if !self.templates.as_os_str().is_empty() {
            for path in super::files(Some(&self.templates))? {
                let shown = path.display().to_string();
                let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                let name = stem.parse().map_err(|why| ConfigError::Invalid(format!("{shown}: the name {why}")))?;
                texts.insert(name, (shown, small(&path)?));
            }
        }
        let compiled = texts.into_iter().map(|(name, (shown, text))| {
            let wrong = |why: String| ConfigError::Invalid(format!("{shown}: {why}"));
            let source = File::from_str(&text, FileFormat::Toml);
            let read = Config::builder().add_source(source).build().map_err(invalid)?;
            let document: TemplateDocument =
                serde_path_to_error::deserialize(read).map_err(|error| wrong(error.to_string()))?;
            Ok((name, document.compile().map_err(wrong)?))
        });
        compiled.collect()
    }
}

fn small(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |error| ConfigError::Unreadable { path: path.to_owned(), error };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MOST_BYTES {
        return Err(ConfigError::Invalid(format!("{}: has more than {MOST_BYTES} bytes", path.display())));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, text: &str) -> Result<Templates, String> {
        let folder = std::env::temp_dir().join(format!("robocall-templates-{}-{}", std::process::id(), name.len()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), text).unwrap();
        let read = Hooks { templates: folder.clone(), ..Hooks::default() }.templates();
        std::fs::remove_dir_all(folder).unwrap();
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn the_template_that_is_shipped_is_there_and_can_be_replaced() {
        let name: TemplateName = "create_call".parse().unwrap();
        assert!(Hooks::default().templates().unwrap()[&name].wants("call.ringing"));
        let text = include_str!("../../config/hooks/create_call.toml");
        let ours = with("create_call.toml", &text.replace("final_only = false", "final_only = true")).unwrap();
        assert!(ours.len() == 1 && !ours[&name].wants("call.ringing"));
    }

    #[test]
    fn a_template_that_cannot_be_used_is_an_error_with_its_file_and_what_is_wrong() {
        for (name, text, why) in [
            ("a.toml", "content = \"xml\"\nfields = {}", "xml"),
            ("ab.toml", "content = \"json\"\nfields = { x = \"{{y}}\" }", "{{y}} is not among the values"),
            ("abc.toml", "content = \"json\"\nfields = {}\nfinalOnly = true", "finalOnly"),
            ("abcd.toml", "content = \"json\"\nfields = {}\n[on.\"call.end\"]\n", "unknown event type"),
            ("abcdef.toml", "content = \"json\"\nfields = {}\nrecording = \"x\"", "multipart forms only"),
            ("Ab cd.toml", "content = \"json\"\nfields = {}", "the name must be"),
        ] {
            let error = with(name, text).unwrap_err();
            assert!(error.contains(why) && (error.contains(name) || error.contains("xml")), "{error}");
        }
    }
}
