//! Events as Asterisk writes them (22, `rest-api/api-docs/events.json`), read tolerantly: what is not known here, a
//! kind of event or a field, is passed over.

use std::borrow::Cow;

use serde::Deserialize;

/// The events that are asked for; every other one stays on the other side.
pub const ASKED_FOR: [&str; 10] = [
    "ApplicationReplaced",
    "ChannelDestroyed",
    "ChannelDtmfReceived",
    "ChannelHangupRequest",
    "ChannelStateChange",
    "Dial",
    "PlaybackFinished",
    "RecordingFailed",
    "RecordingFinished",
    "StasisStart",
];

/// What kind of event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Kind {
    /// Another socket has opened the app.
    ApplicationReplaced,
    /// A channel is gone.
    ChannelDestroyed,
    /// A key was pressed.
    ChannelDtmfReceived,
    /// Somebody hangs up.
    ChannelHangupRequest,
    /// A channel is in another state now.
    ChannelStateChange,
    /// How far a dial is.
    Dial,
    /// A playback is over.
    PlaybackFinished,
    /// A recording could not be made.
    RecordingFailed,
    /// A recording is over.
    RecordingFinished,
    /// A channel is handed to the app.
    StasisStart,
    /// Something else.
    #[serde(other)]
    Other,
}

/// A channel as an event or a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Channel<'a> {
    /// Its name, ours where we made it.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// `Down`, `Ringing`, `Up`, …
    #[serde(borrow, default)]
    pub state: Cow<'a, str>,
    /// Whose it is: the app that made it.
    #[serde(borrow, default)]
    pub accountcode: Cow<'a, str>,
}

/// A playback.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Playback<'a> {
    /// Its name, which is ours.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// `done`, `failed`, …
    #[serde(borrow, default)]
    pub state: Cow<'a, str>,
}

/// A recording.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Recording<'a> {
    /// Its name, which is ours.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Why it failed, if it did.
    #[serde(borrow, default)]
    pub cause: Option<Cow<'a, str>>,
}

/// One event: the fields of all kinds, of which each has some.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AriEvent<'a> {
    /// Which kind.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Whom it is about.
    #[serde(borrow, default)]
    pub channel: Option<Channel<'a>>,
    /// Of a dial: whom it is about.
    #[serde(borrow, default)]
    pub peer: Option<Channel<'a>>,
    /// Of a playback's end.
    #[serde(borrow, default)]
    pub playback: Option<Playback<'a>>,
    /// Of a recording.
    #[serde(borrow, default)]
    pub recording: Option<Recording<'a>>,
    /// What a channel was handed over with.
    #[serde(borrow, default)]
    pub args: Vec<Cow<'a, str>>,
    /// Which key.
    #[serde(borrow, default)]
    pub digit: Cow<'a, str>,
    /// `RINGING`, `PROGRESS`, …; empty at the beginning of a dial.
    #[serde(borrow, default)]
    pub dialstatus: Cow<'a, str>,
    /// Q.850 cause.
    #[serde(default)]
    pub cause: Option<i64>,
    /// What the channel's own protocol said: a SIP status.
    #[serde(default)]
    pub tech_cause: Option<i64>,
    /// Whether this side asked for the hang-up.
    #[serde(default)]
    pub soft: bool,
}

impl<'a> AriEvent<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// When it is no event at all.
    pub fn read(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// The channel it is about, if it is about one.
    pub fn about(&self) -> Option<&Channel<'a>> {
        self.channel.as_ref().or(self.peer.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_whatever_else_stands_in_it() {
        let text = r#"{"type":"ChannelDestroyed","timestamp":"2026-11-21T17:46:23.649+0000","cause":17,"tech_cause":486,
            "cause_txt":"User busy","channel":{"id":"ab-0.1","name":"PJSIP/carrier-00000003","state":"Down",
            "caller":{"name":"\u00e9","number":"+65"},"accountcode":"app","dialplan":{"priority":1},"new":[{}]},
            "asterisk_id":"02:00","application":"app"}"#;
        let event = AriEvent::read(text).unwrap();
        assert_eq!((event.kind, event.cause, event.tech_cause), (Kind::ChannelDestroyed, Some(17), Some(486)));
        let channel = event.about().unwrap();
        assert_eq!((&*channel.id, &*channel.state, &*channel.accountcode), ("ab-0.1", "Down", "app"));
    }

    #[test]
    fn an_unknown_kind_is_passed_over_and_an_escaped_text_is_read() {
        assert_eq!(AriEvent::read(r#"{"type":"ChannelTransfer","state":{}}"#).unwrap().kind, Kind::Other);
        let event = AriEvent::read(r#"{"type":"StasisStart","args":["a\"b"],"channel":{"id":"x\/y"}}"#).unwrap();
        assert_eq!((&*event.args[0], &*event.about().unwrap().id), ("a\"b", "x/y"));
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        for bad in ["", "{}", "[]", r#"{"type":7}"#, r#"{"type":"Dial","#] {
            assert!(AriEvent::read(bad).is_err(), "{bad}");
        }
    }
}
