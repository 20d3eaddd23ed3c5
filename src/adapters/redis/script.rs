//! The scripts, and a call of one of them: an organisation's operations one after the other in one script.

use redis::{Cmd, Script};

use crate::model::{AttemptId, CallId, LegId, LegRole, Timestamp};
use crate::ports::store::Held;

/// Everything an organisation's transitions are made of, in the order in which the parts know each other.
const ORGANISATION: &str = concat!(
    include_str!("lua/10_organisation.lua"),
    include_str!("lua/20_request.lua"),
    include_str!("lua/30_lanes.lua"),
    include_str!("lua/40_ready.lua"),
    include_str!("lua/50_claims.lua"),
    include_str!("lua/60_transitions.lua"),
    include_str!("lua/70_leases.lua"),
    include_str!("lua/80_intake.lua"),
    include_str!("lua/90_control.lua"),
    include_str!("lua/99_main.lua"),
);

/// The scripts.
pub(super) struct Scripts {
    pub organisation: Script,
    pub ring: Script,
    pub app: Script,
}

impl Scripts {
    pub fn new() -> Self {
        Self {
            organisation: Script::new(ORGANISATION),
            ring: Script::new(include_str!("lua/ring.lua")),
            app: Script::new(include_str!("lua/app.lua")),
        }
    }
}

/// Operations of one organisation on their way.
pub(super) struct Ops(pub Cmd);

/// An absent number: scripts read it as none.
const NONE: &str = "";

impl Ops {
    /// Arguments for a script, from the key's on.
    pub fn new(script: &Script, key: &str, now: Option<Timestamp>) -> Self {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(script.get_hash()).arg(1).arg(key);
        let ops = Self(cmd);
        match now {
            Some(now) => ops.int(now.as_millis()),
            None => ops.text(NONE),
        }
    }

    pub fn text(mut self, text: &str) -> Self {
        self.0.arg(text);
        self
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.arg(bytes);
        self
    }

    pub fn int(mut self, number: impl Into<i64>) -> Self {
        self.0.arg(number.into());
        self
    }

    pub fn time(self, time: Option<Timestamp>) -> Self {
        match time {
            Some(time) => self.int(time.as_millis()),
            None => self.text(NONE),
        }
    }

    pub fn request(self, call: CallId) -> Self {
        self.text(&request_hash(call))
    }

    pub fn attempt(mut self, attempt: AttemptId) -> Self {
        self.0.arg(attempt.call.to_string()).arg(attempt.claim);
        self
    }

    /// A call, its claim and its holder's proof.
    pub fn held(mut self, held: &Held) -> Self {
        self = self.attempt(held.attempt);
        self.0.arg(held.token.0);
        self
    }
}

/// The hash that all calls of a request share, as it is part of keys.
pub(super) fn request_hash(call: CallId) -> String {
    super::reply::hexadecimal(&call.request_hash())
}

/// A second leg's name within its call.
pub(super) fn leg_name(leg: LegId) -> String {
    let role = match leg.role {
        LegRole::Callee => "c",
        LegRole::Transfer => "t",
        LegRole::Participant => "p",
        LegRole::Supervisor => "s",
    };
    format!("{role}{}", leg.ordinal)
}
