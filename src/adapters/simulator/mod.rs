//! A simulated phone network: calls without telephones, in real or virtual time.
//!
//! The network belongs to nobody: workers come and go, its calls go on. It behaves towards them as an Asterisk does
//! that is driven as the real adapter drives it: a leg's name can be used once, what happens while nobody listens is
//! lost, a leg that was never dialled ends as 21/603, one that lives too long ends by itself with cause 0, a playback
//! that a hang-up cuts off is reported as not played, and one that is asked for while another plays waits for it.
//! Like a careful driver of Asterisk, it makes no leg for an app without a listener.
//!
//! # Magic numbers
//! `+999`, two digits that say what happens, five digits of serial that make the number one's own:
//!
//! | number | what happens | how it ends |
//! |---|---|---|
//! | `+99910…` | rings, a person answers and listens for ever | |
//! | `+99913…` | rings, an answering machine answers; its beep is over after about 6 s | |
//! | `+99920…` | busy | 17/486 |
//! | `+99930…` | rings until one gives up | 19/480 |
//! | `+99940…` | unknown number, as is every other `+999` | 1/404 |
//! | `+99950…` | rings, is declined | 21/603 |
//! | `+99960…` | rings, a person answers and hangs up 1.5 s later | 16 or 0 |
//! | `+99970…` | rings, a person answers and presses the digits behind the serial, one whenever asked for a key | |
//! | `+99980…` | congestion | 34/503 |
//! | `+99990…` | unreachable, without ringing | 19/480 |
//!
//! Every other number belongs to the [`Population`]; extensions, queues and SIP addresses to its [`Staff`]. How
//! everybody behaves follows from the network's seed, the leg's name and its target, and from nothing else.
//!
//! **Invariant:** no chance but the seed's, no time but the clock's, no order but that of the commands.

mod agenda;
mod callee;
mod dial_log;
mod dice;
mod exchange;
mod happenings;
mod leg;
mod log;
mod network;
mod population;
mod remote;
mod server;
mod telephony;
mod wire;

pub use log::{Counters, Invite, Seen, Witness};
pub use network::{OnInvite, SimulatedNetwork};
pub use population::{Chance, InvalidSetting, Keys, NetworkSettings, Population, Shares, Span, Staff};
pub use remote::{RemoteNetwork, RemoteSettings};
pub use server::{ServerError, ServerSettings, SimulatorServer};
pub use wire::{BETWEEN_WRITES, MOST_BYTES};

/// Audio of this reference cannot be played, as a file that is not there.
pub const MISSING_AUDIO: &str = "missing";
