//! Real Asterisks of a test's own: ours, as an operator has it from `deploy/asterisk`, and another that plays the phone
//! network. On ports and in folders of their own, gone with the test however it ends.

#![allow(dead_code, reason = "each test program uses what it needs")]
#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

pub mod carrier;
pub mod http;
mod ports;
mod server;
pub mod settings;

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use carrier::Carrier;
pub use server::Asterisk;
use settings::set;

use crate::sound::Sound;

/// The user of ours who may command.
const USER: &str = "robocall";

/// Its password. Anybody may know it: it is good for a test.
const PASSWORD: &str = "known-to-tests";

/// What those hear whom ours puts on hold, in Hz.
pub const ON_HOLD: f64 = 440.0;

/// Ours, and the phone network behind it.
pub struct Bed {
    /// The phone network.
    pub carrier: Carrier,
    /// Ours. Its trunks: `carrier`; `sipp`, to whatever listens at the port of that name; `refused`, where nobody
    /// listens; `hole`, where somebody listens and says nothing.
    pub ours: Asterisk,
    _hole: UdpSocket,
}

impl Bed {
    /// Starts both.
    pub fn start() -> Self {
        let carrier = Carrier::start();
        let hole = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ours = start_ours(carrier.sip(), hole.local_addr().unwrap().port());
        Self { carrier, ours, _hole: hole }
    }

    /// Where ARI of ours is, without a slash at the end.
    pub fn url(&self) -> String {
        self.ours.url()
    }

    /// Its user.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// Its user's password.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Asks ARI of ours: a method, and a path behind `/ari` with its query.
    pub fn ari(&self, method: &str, path: &str) -> http::Answer {
        let joint = if path.contains('?') { '&' } else { '?' };
        let path = format!("/ari{path}{joint}api_key={USER}:{PASSWORD}");
        http::ask(self.ours.ports().http(), method, &path).unwrap()
    }

    /// Gives ours something to play: how ARI calls it.
    pub fn put_sound(&self, name: &str, sound: &Sound) -> String {
        fs::write(self.ours.folder().join(format!("data/sounds/{name}.wav")), sound.wav()).unwrap();
        format!("sound:{name}")
    }

    /// Where ours keeps a recording.
    pub fn recording(&self, name: &str) -> PathBuf {
        self.ours.folder().join(format!("spool/recording/{name}.wav"))
    }
}

/// Starts ours: the files of deploy/asterisk, with another carrier, another password and other ports.
fn start_ours(carrier: u16, hole: u16) -> Asterisk {
    let server = Asterisk::start(
        "ours",
        &["deploy/asterisk"],
        |folder, ports| {
            let held = folder.join("data/moh");
            fs::create_dir(&held).unwrap();
            let hold = Sound::tone(ON_HOLD, -10.0, Duration::from_secs(5));
            fs::write(held.join("hold.wav"), hold.wav()).unwrap();
            vec![
                set("musiconhold.conf", "default", "directory", held.display()),
                set("http.conf", "general", "bindport", ports.http()),
                set("ari.conf", USER, "password", PASSWORD),
                set("pjsip.conf", "carrier-address", "contact", format!("sip:127.0.0.1:{carrier}")),
                set("pjsip.conf", "carrier-origin", "match", "127.0.0.1"),
            ]
        },
        |_, ports| {
            let trunk = |name: &str, port: u16, more: &str| {
                let contact = format!("sip:127.0.0.1:{port}{more}");
                format!("\n[{name}](trunk)\naors = {name}\n[{name}]\ntype = aor\ncontact = {contact}\n")
            };
            // Over UDP nobody learns that a port is closed.
            let tcp =
                format!("\n[transport-tcp]\ntype = transport\nprotocol = tcp\nbind = 127.0.0.1:{}\n", ports.sip());
            let refused =
                trunk("refused", ports.nobody(), ";transport=tcp").replace("aors", "transport = transport-tcp\naors");
            let trunks = [tcp, refused, trunk("sipp", ports.callee(), ""), trunk("hole", hole, "")];
            // The agent's telephone is one of the phone network's, as if it had registered.
            let agent = format!("\n[1000](+type=aor)\ncontact = sip:1000@127.0.0.1:{carrier}\n");
            Some(("pjsip.conf", trunks.concat() + &agent))
        },
    );
    let ping = http::ask(server.ports().http(), "GET", &format!("/ari/asterisk/ping?api_key={USER}:{PASSWORD}"));
    assert!(matches!(ping, Ok(http::Answer { status: 200, .. })), "ARI does not answer: {ping:?}\n{}", server.log());
    server
}
