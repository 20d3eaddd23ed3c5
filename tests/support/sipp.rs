//! A telephone that has nothing of Asterisk's: SIPp with a scenario of our own, on the loopback, ended with the test.

#![allow(dead_code, reason = "each test program uses what it needs")]
#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

use std::fs::{self, File};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/callee.xml");

/// How often it is asked whether it listens, a hundred times a second.
const LOOKS: u32 = 3000;

/// A telephone that answers calls as callee.xml says.
pub struct Sipp {
    folder: PathBuf,
    child: Child,
    watchdog: Child,
}

impl Sipp {
    /// Has one listen at a port; sound comes to another, and to the one two further on; a third is for commands.
    pub fn start(port: u16, sound: u16, control: u16) -> Self {
        let folder = std::env::temp_dir().join(format!("robocall-sipp-{}-{port}", std::process::id()));
        let _nothing_there = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let out = File::create(folder.join("out")).unwrap();
        let mut program = Command::new("sipp");
        program.current_dir(&folder).args(["-sf", SCENARIO, "-i", "127.0.0.1", "-ci", "127.0.0.1"]);
        for (option, value) in [("-p", port), ("-mp", sound), ("-cp", control)] {
            program.args([option, &value.to_string()]);
        }
        program.args([
            "-nostdin",
            "-rtp_echo",
            "-trace_logs",
            "-log_file",
            "calls",
            "-trace_err",
            "-error_file",
            "errors",
        ]);
        let child = program.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).spawn();
        let child =
            child.unwrap_or_else(|error| panic!("sipp is not installed here: ./dev test installs it ({error})"));
        let script = format!("read -r _; kill -9 {}; rm -rf '{}'", child.id(), folder.display());
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let watchdog = watchdog.spawn().unwrap();
        let mut sipp = Self { folder, child, watchdog };
        for _ in 0..LOOKS {
            if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
                return sipp;
            }
            let ended = sipp.child.try_wait().unwrap();
            assert!(ended.is_none(), "SIPp has ended ({ended:?}):\n{}", sipp.said());
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("SIPp does not listen:\n{}", sipp.said());
    }

    /// How many INVITEs have come for a number.
    pub fn invites(&self, number: &str) -> usize {
        let calls = fs::read_to_string(self.folder.join("calls")).unwrap_or_default();
        calls.lines().filter(|line| line.ends_with(&format!("invite {number}"))).count()
    }

    /// What went wrong, if anything did.
    pub fn said(&self) -> String {
        let text = |name| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        text("errors") + &text("out")
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        // Its watchdog first: it must not find another process under the same number.
        let _ = (self.watchdog.kill(), self.watchdog.wait());
        let _ = (self.child.kill(), self.child.wait());
        let _ = fs::remove_dir_all(&self.folder);
    }
}
