//! Ports for a server of a test's own: a block of a thousand, below those that the system gives out by itself, so that
//! nobody takes one while the server is dead.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

const FIRST: u16 = 10_000;
const LAST: u16 = 32_000;
const SIZE: u16 = 1_000;

/// A block of ports: nobody else's as long as this lives.
pub struct Ports {
    first: u16,
    _held: UdpSocket,
}

impl Ports {
    /// A block that nobody holds.
    pub fn hold() -> Self {
        // Not everybody begins with the same one.
        let blocks = (LAST - FIRST) / SIZE;
        let begin = u16::try_from(std::process::id() % u32::from(blocks)).unwrap();
        for block in 0..blocks {
            let first = FIRST + (begin + block) % blocks * SIZE;
            let udp = |offset| UdpSocket::bind((Ipv4Addr::LOCALHOST, first + offset));
            let (Ok(held), Ok(_sip), Ok(_callee)) = (udp(0), udp(1), udp(3)) else { continue };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, first + 2)).is_ok() {
                return Self { first, _held: held };
            }
        }
        panic!("all blocks of ports from {FIRST} to {LAST} are in use");
    }

    /// For SIP.
    pub fn sip(&self) -> u16 {
        self.first + 1
    }

    /// For HTTP.
    pub fn http(&self) -> u16 {
        self.first + 2
    }

    /// For another program that speaks SIP.
    pub fn callee(&self) -> u16 {
        self.first + 3
    }

    /// For commands to that program.
    pub fn callee_control(&self) -> u16 {
        self.first + 5
    }

    /// Where nobody listens.
    pub fn nobody(&self) -> u16 {
        self.first + 4
    }

    /// For sound.
    pub fn sound(&self) -> RangeInclusive<u16> {
        self.first + 10..=self.first + SIZE - 101
    }

    /// For sound of that other program.
    pub fn callee_sound(&self) -> u16 {
        self.first + SIZE - 100
    }
}
