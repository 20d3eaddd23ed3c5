//! An ARI application of a test: it makes calls, and hears what becomes of them.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use crate::asterisk::Bed;
use crate::sound::Sound;

/// Longest wait for anything that ought to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// An application that listens.
pub struct App<'b> {
    bed: &'b Bed,
    name: String,
    socket: WebSocket<TcpStream>,
}

impl<'b> App<'b> {
    /// Listens under a name.
    pub fn listen(bed: &'b Bed, name: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", bed.ours.ports().http())).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = bed.url().replace("http://", "ws://");
        let url = format!("{url}/events?app={name}&api_key={}:{}", bed.user(), bed.password());
        let (socket, _) = tungstenite::client(url, stream).unwrap();
        Self { bed, name: name.to_owned(), socket }
    }

    /// Makes a channel and dials it; the channel's name.
    pub fn dial(&mut self, endpoint: &str) -> String {
        self.dial_for(endpoint, 30)
    }

    /// The same, ringing for so many seconds at most.
    pub fn dial_for(&mut self, endpoint: &str, seconds: u32) -> String {
        let channel = format!("{}-{}", self.name, endpoint.replace(|face: char| !face.is_ascii_alphanumeric(), "-"));
        let endpoint = endpoint.replace('+', "%2B");
        let app = self.name.clone();
        self.ask("POST", &format!("/channels/create?endpoint={endpoint}&app={app}&channelId={channel}"));
        // Before that the channel is not the application's.
        self.until(&channel, |event| event["type"] == "StasisStart");
        self.ask("POST", &format!("/channels/{channel}/variable?variable=ROBOCALL_APP&value={app}"));
        self.ask("POST", &format!("/channels/{channel}/dial?timeout={seconds}"));
        channel
    }

    /// Dials somebody and waits for the answer.
    pub fn reach(&mut self, endpoint: &str) -> String {
        let channel = self.dial(endpoint);
        self.until(&channel, |event| event["channel"]["state"] == "Up");
        channel
    }

    /// Asks ARI for something that succeeds.
    pub fn ask(&self, method: &str, path: &str) -> Value {
        let answer = self.bed.ari(method, path);
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    /// Plays something to its end.
    pub fn play(&mut self, channel: &str, media: &str) {
        let playback = self.ask("POST", &format!("/channels/{channel}/play?media={media}"))["id"].clone();
        let event = self.next(|event| event["type"] == "PlaybackFinished" && event["playback"]["id"] == playback);
        assert_eq!(event["playback"]["state"], "done", "{event}\n{}", self.bed.ours.log());
    }

    /// Waits for something that happens to a channel.
    pub fn until(&mut self, channel: &str, found: impl Fn(&Value) -> bool) -> Value {
        self.next(|event| (event["channel"]["id"] == *channel || event["peer"]["id"] == *channel) && found(event))
    }

    /// Waits for the end of a channel: its cause and SIP status.
    pub fn end(&mut self, channel: &str) -> (u64, u64) {
        let end = self.until(channel, |event| event["type"] == "ChannelDestroyed");
        (end["cause"].as_u64().unwrap(), end["tech_cause"].as_u64().unwrap_or_default())
    }

    /// Hangs up, and waits for the end.
    pub fn hang_up(&mut self, channel: &str) {
        self.ask("DELETE", &format!("/channels/{channel}"));
        self.end(channel);
    }

    /// Begins to record what a channel's callee says.
    pub fn record(&mut self, channel: &str, name: &str) {
        // Not the channel itself: one that was dialled is in a bridge of ARI's own, and cannot be recorded.
        self.ask("POST", &format!("/channels/{channel}/snoop?app={}&spy=in&snoopId={name}", self.name));
        self.until(name, |event| event["type"] == "StasisStart");
        self.ask("POST", &format!("/channels/{name}/record?name={name}&format=wav"));
    }

    /// Ends a recording: what was said.
    pub fn recorded(&mut self, name: &str) -> Sound {
        self.ask("POST", &format!("/recordings/live/{name}/stop"));
        self.next(|event| event["type"] == "RecordingFinished" && event["recording"]["name"] == name);
        Sound::read(&std::fs::read(self.bed.recording(name)).unwrap()).unwrap()
    }

    fn next(&mut self, found: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.socket.read().unwrap_or_else(|error| panic!("nothing more has come: {error}"));
            if let Message::Text(text) = message {
                let event: Value = serde_json::from_str(&text).unwrap();
                if found(&event) {
                    return event;
                }
            }
        }
    }
}
