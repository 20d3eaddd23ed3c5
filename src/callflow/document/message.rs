//! Reads messages: text or a recorded file, and the voice to speak with.

use std::sync::Arc;

use serde_json::Value;

use super::Spoken;
use super::language::{meant, normal_language};
use super::read::Reader;
use crate::callflow::program::{Content, Gender, Voice};
use crate::callflow::schema::MESSAGE_FIELDS;
use crate::callflow::template::{MAX_CHARS, Template};
use crate::reading::{Fields, did_you_mean, not_an_object, unspeakable};

const DEFAULT_LANGUAGE: &str = "en";
const GENDERS: [(&str, Gender); 2] = [("female", Gender::Female), ("male", Gender::Male)];
const MIDDLE: u8 = 5;

impl Reader<'_> {
    pub(super) fn message(&mut self, value: &Value, path: String) -> Option<Spoken> {
        let speaks = self.speaks;
        if !value.is_object() {
            self.problems.add(path, not_an_object(value, "msg"));
            return None;
        }
        let mut fields = Fields::of(value, path, self.problems)?;
        let content = content(&mut fields);
        let language = language(&mut fields, speaks);
        let gender = fields.word("gender", &GENDERS).unwrap_or_default();
        let pitch = degree(&mut fields, "pitch");
        let rate = degree(&mut fields, "rate");
        super::read::close(fields, value, &MESSAGE_FIELDS, "a message");
        let voice = self.shared(Voice { language, gender, pitch, rate });
        Some(Spoken { content: content?, voice })
    }

    /// The voice, the same one for all messages that use it.
    fn shared(&mut self, voice: Voice) -> Arc<Voice> {
        if let Some(known) = self.voices.iter().find(|known| ***known == voice) {
            return Arc::clone(known);
        }
        let voice = Arc::new(voice);
        self.voices.push(Arc::clone(&voice));
        voice
    }
}

fn content(fields: &mut Fields) -> Option<Content> {
    let text = fields.optional("msg");
    let media = fields.optional("media");
    match (text, media) {
        (Some(_), None) => fields.string("msg").and_then(|text| self::text(fields, text)),
        (None, Some(_)) => fields.string("media").and_then(|name| self::media(fields, name)),
        (Some(_), Some(_)) => {
            fields.refuse("media", "stands beside `msg`: a message is a text or a recorded file, not both");
            None
        }
        (None, None) => {
            fields.refuse("msg", "is missing");
            None
        }
    }
}

fn text(fields: &mut Fields, text: &str) -> Option<Content> {
    if let Some(fault) = unspeakable(text) {
        fields.refuse("msg", fault);
        return None;
    }
    match Template::compile(text) {
        Ok(template) if template.placeholders().next().is_none() && !is_speakable(text) => {
            fields.refuse("msg", format!("must have 1 to {MAX_CHARS} characters, and not only blanks"));
            None
        }
        Ok(template) => Some(Content::Text(template)),
        Err(error) => {
            fields.refuse("msg", error.to_string());
            None
        }
    }
}

/// Whether there is anything in a text that could be heard.
pub(in crate::callflow) fn is_speakable(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !c.is_control())
}

/// A recorded file's name ends up in a path: no part of it may lead out of the folder of recordings.
fn media(fields: &mut Fields, name: &str) -> Option<Content> {
    let part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    if name.len() > 128 || !name.split('/').all(part) {
        fields.refuse("media", "must be a file's name: at most 128 letters, digits and . _ - in parts joined by /");
        return None;
    }
    Some(Content::Media(name.into()))
}

fn language(fields: &mut Fields, speaks: &dyn Fn(&str) -> bool) -> Box<str> {
    let mut read = |name: &'static str| {
        let written = fields.string(name)?;
        let normal = normal_language(written);
        match &normal {
            None => {
                let hint = did_you_mean(meant(written, speaks).as_deref());
                fields.refuse(name, format!("must be a language tag (BCP 47) such as en, en-GB or zh-Hant{hint}"));
            }
            Some(tag) if !speaks(tag) => {
                let hint = did_you_mean(meant(written, speaks).as_deref());
                fields.refuse(name, format!("no voice speaks `{tag}`{hint}"));
            }
            Some(_) => {}
        }
        normal
    };
    match (read("language"), read("lang")) {
        (Some(one), Some(other)) if one != other => {
            fields
                .refuse("lang", format!("differs from `language`, which is `{one}`: they are two names for one thing"));
            one.into()
        }
        (Some(tag), _) | (None, Some(tag)) => tag.into(),
        (None, None) => DEFAULT_LANGUAGE.into(),
    }
}

fn degree(fields: &mut Fields, name: &'static str) -> u8 {
    fields.integer(name, 0..=9).and_then(|degree| u8::try_from(degree).ok()).unwrap_or(MIDDLE)
}
