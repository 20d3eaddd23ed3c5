//! Asterisk's REST interface, as thin as it can be: requests over kept connections, events over a WebSocket.
//!
//! Asterisk's own words stay in here and one room further up: nothing outside the adapter sees a channel.

pub(super) mod event;
pub(super) mod http;
pub(super) mod socket;
