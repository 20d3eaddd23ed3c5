//! The world outside, one folder per neighbour, each behind a port.
//!
//! **Invariant:** no adapter imports another; only the composition root names them.

pub mod amqp;
pub mod asterisk;
pub mod clock;
pub mod http;
pub mod memory;
pub mod redis;
pub mod simulator;
pub mod speech;
