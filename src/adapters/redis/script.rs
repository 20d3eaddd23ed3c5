//! What is carried out at the server: four pieces of Lua, and the arguments that they are called with.
//!
//! A server that keeps functions defines each piece once. As a script it is defined anew by every call, which costs several
//! times what most transitions do; older servers, and those that allow no functions, do so.

use redis::{Arg, Cmd, Script};

use crate::model::{AttemptId, CallId, LegId, LegRole, Timestamp};
use crate::ports::store::Held;

/// An organisation's transitions, in the order in which the parts know each other: it defines `main`.
const ORGANISATION: &str = concat!(
    include_str!("lua/10_organisation.lua"),
    include_str!("lua/20_request.lua"),
    include_str!("lua/25_listing.lua"),
    include_str!("lua/30_lanes.lua"),
    include_str!("lua/40_ready.lua"),
    include_str!("lua/50_claims.lua"),
    include_str!("lua/55_recordings.lua"),
    include_str!("lua/60_transitions.lua"),
    include_str!("lua/70_leases.lua"),
    include_str!("lua/75_once.lua"),
    include_str!("lua/80_intake.lua"),
    include_str!("lua/87_changes.lua"),
    include_str!("lua/90_control.lua"),
    include_str!("lua/92_notes.lua"),
    include_str!("lua/99_main.lua"),
);

/// The ready ring, names' locks, and what webhooks have yet to be sent: each reads its keys and arguments by itself.
const RING: &str = include_str!("lua/ring.lua");
const APP: &str = include_str!("lua/app.lua");
const HOOKS: &str = include_str!("lua/hooks.lua");

/// What can be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Organisation,
    Ring,
    App,
    Hooks,
}

/// All of it, as functions and as scripts.
pub(super) struct Scripts {
    /// The library's name, and the beginning of its functions' names. It says what is in it: versions of the program live
    /// side by side.
    name: String,
    library: String,
    organisation: Script,
    ring: Script,
    app: Script,
    hooks: Script,
}

impl Scripts {
    pub fn new() -> Self {
        let script = Script::new(&format!("{ORGANISATION}\nreturn main(KEYS, ARGV, true)"));
        let body = |name: &str| {
            format!(
                "{ORGANISATION}\n\
                 local function define(name, callback, flags)\n\
                 redis.register_function{{function_name='{name}_' .. name, callback=callback, flags=flags}}\nend\n\
                 define('organisation', main, {{}})\n\
                 define('organisation_always', main, {{'allow-oom'}})\n\
                 define('ring', function(KEYS, ARGV)\n{RING}\nend, {{'allow-oom'}})\n\
                 define('app', function(KEYS, ARGV)\n{APP}\nend, {{'allow-oom'}})\n\
                 define('hooks', function(KEYS, ARGV)\n{HOOKS}\nend, {{'allow-oom'}})\n"
            )
        };
        let name = format!("robocall_{}", Script::new(&body("")).get_hash());
        let library = format!("#!lua name={name}\n{}", body(&name));
        Self {
            name,
            library,
            organisation: script,
            ring: Script::new(RING),
            app: Script::new(APP),
            hooks: Script::new(HOOKS),
        }
    }

    /// A call of one of the library's functions.
    pub fn function(&self, code: Code, key: &str, ops: &Ops) -> Cmd {
        let what = match code {
            // A server without memory to spare takes in nothing more, and lets everything end.
            Code::Organisation if ops.grows => "organisation",
            Code::Organisation => "organisation_always",
            Code::Ring => "ring",
            Code::App => "app",
            Code::Hooks => "hooks",
        };
        with(redis::cmd("FCALL").arg(format!("{}_{what}", self.name)), key, ops)
    }

    /// A call of a script.
    pub fn evaluation(&self, code: Code, key: &str, ops: &Ops) -> Cmd {
        with(redis::cmd("EVALSHA").arg(self.script(code).get_hash()), key, ops)
    }

    pub fn script(&self, code: Code) -> &Script {
        match code {
            Code::Organisation => &self.organisation,
            Code::Ring => &self.ring,
            Code::App => &self.app,
            Code::Hooks => &self.hooks,
        }
    }

    /// What makes the library known.
    pub fn load(&self) -> Cmd {
        let mut command = redis::cmd("FUNCTION");
        command.arg("LOAD").arg(&self.library);
        command
    }
}

fn with(command: &mut Cmd, key: &str, ops: &Ops) -> Cmd {
    let mut command = std::mem::take(command);
    command.arg(1).arg(key);
    for argument in ops.arguments() {
        command.arg(argument);
    }
    command
}

/// Arguments on their way: an organisation's operations, or all that another piece of code wants.
pub(super) struct Ops {
    arguments: Cmd,
    count: usize,
    /// Operations.
    operations: usize,
    /// Whether they travel with nobody else's.
    alone: bool,
    /// Whether they bring something new, for which there must be memory.
    pub grows: bool,
    /// Whether they claim, and do nothing else.
    pub claims: bool,
}

/// Most transitions carried out at once: the database does nothing else meanwhile.
pub(super) const TOGETHER: usize = 32;

/// What may be carried out together with others': small, and frequent.
const SMALL: [&str; 9] =
    ["claim", "begin", "back", "checkpoint", "finish", "slot", "confirm_call", "confirm_request", "confirm_change"];

/// What is refused where memory is short.
const GROWS: [&str; 7] = ["open", "chunk", "seal", "claim", "begin", "annotate", "remember"];

/// An absent number: scripts read it as none.
const NONE: &str = "";

impl Ops {
    /// No arguments yet.
    pub fn none() -> Self {
        Self { arguments: Cmd::new(), count: 0, operations: 0, alone: false, grows: false, claims: false }
    }

    /// What every piece of code is told first: the time, unless it is the server's.
    pub fn at(now: Option<Timestamp>) -> Self {
        Self::none().time(now)
    }

    /// One operation more, whose arguments follow.
    pub fn op(mut self, name: &str) -> Self {
        self.operations += 1;
        self.alone |= !SMALL.contains(&name);
        self.grows |= GROWS.contains(&name);
        self.claims = name == "claim" && self.operations == 1;
        self.text(name)
    }

    /// How much of what is carried out at once they are.
    pub fn weight(&self) -> usize {
        if self.alone { TOGETHER + 1 } else { self.operations }
    }

    /// Another's arguments, after their number.
    pub fn group(mut self, other: &Self) -> Self {
        self = self.count(other.count);
        self.grows |= other.grows;
        for argument in other.arguments() {
            self = self.bytes(argument);
        }
        self
    }

    fn arguments(&self) -> impl Iterator<Item = &[u8]> {
        self.arguments.args_iter().filter_map(|argument| match argument {
            Arg::Simple(bytes) => Some(bytes),
            // What scans put in; there are none here.
            _ => None,
        })
    }

    fn arg(mut self, argument: impl redis::ToRedisArgs) -> Self {
        self.arguments.arg(argument);
        self.count += 1;
        self
    }

    pub fn text(self, text: &str) -> Self {
        self.arg(text)
    }

    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.arg(bytes)
    }

    pub fn int(self, number: impl Into<i64>) -> Self {
        self.arg(number.into())
    }

    pub fn unsigned(self, number: u64) -> Self {
        self.arg(number)
    }

    pub fn count(self, count: usize) -> Self {
        self.arg(count)
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

    pub fn attempt(self, attempt: AttemptId) -> Self {
        self.arg(attempt.call.to_string()).arg(attempt.claim)
    }

    /// A call, its claim and its holder's proof.
    pub fn held(self, held: &Held) -> Self {
        self.attempt(held.attempt).arg(held.token.0)
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
