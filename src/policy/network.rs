//! Which addresses somebody else may have us connect to: those of the public internet, and what the operator allows.
//!
//! An address that only wraps another one (IPv4 in IPv6, NAT64, 6to4, Teredo) is judged by the one inside, too.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network: an address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, width: u8| {
            let dropped = u32::from(width - self.bits);
            one.checked_shr(dropped).unwrap_or(0) == other.checked_shr(dropped).unwrap_or(0)
        };
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same(own.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => same(own.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network, such as 10.1.0.0/16, 192.0.2.7 or fd00::/8")]
pub struct InvalidNetwork(String);

impl FromStr for Network {
    type Err = InvalidNetwork;
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|digit| digit.is_ascii_digit()) => bits.parse().map_err(|_| invalid())?,
            Some(_) => return Err(invalid()),
            None => most,
        };
        if bits <= most { Ok(Self { address, bits }) } else { Err(invalid()) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Whether an address may be connected to for somebody else: it is on the public internet, or in a network that is
/// allowed.
pub fn may_be_reached(address: IpAddr, allowed: &[Network]) -> bool {
    // An allowed network names what is connected to in the end, however that is written.
    let plain = match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    };
    allowed.iter().any(|network| network.contains(address) || network.contains(plain)) || is_public(plain)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// By the registry of special-purpose addresses (RFC 6890 and its successors).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    !match a {
        // This network; private; loopback.
        0 | 10 | 127 => true,
        // Shared behind a carrier's translator.
        100 => b & 0xc0 == 64,
        // Link-local, and there the metadata of clouds.
        169 => b == 254,
        168 => (b, c, d) == (63, 129, 16),
        172 => b & 0xf0 == 16,
        192 => matches!((b, c), (0, 0 | 2) | (88, 99) | (168, _) | (31, 196) | (52, 193) | (175, 48)),
        // Measuring; documentation.
        198 => matches!(b, 18 | 19) || (b, c) == (51, 100),
        203 => (b, c) == (0, 113),
        // Multicast, reserved, broadcast.
        224.. => true,
        _ => false,
    }
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // NAT64 with the well-known prefix, and 6to4: as good as the address within.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // NAT64 of somebody's own, discarded, Teredo, ORCHID, documentation: nobody's business.
        [0x64, 0xff9b, ..] | [0x100, ..] | [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] => false,
        [0x3fff, 0..=0xfff, ..] | [0x5f00, ..] => false,
        // What is global unicast; all else is loopback, unspecified, local, mapped, multicast or not assigned.
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(address: &str, allowed: &[&str]) -> bool {
        let allowed: Vec<Network> = allowed.iter().map(|network| network.parse().unwrap()).collect();
        may_be_reached(address.parse().unwrap(), &allowed)
    }

    #[test]
    fn the_public_internet_may_be_reached() {
        for address in ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.0.1.1"]
        {
            assert!(reached(address, &[]), "{address}");
        }
        for address in
            ["2606:4700::1111", "2a00:1450:4001:81b::200e", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"]
        {
            assert!(reached(address, &[]), "{address}");
        }
    }

    #[test]
    fn nothing_of_ours_may_be_reached_however_it_is_written() {
        for address in [
            "127.0.0.1",
            "127.255.255.255",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001::1",
            "2001:db8::1",
            "100::1",
            "3fff::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(!reached(address, &[]), "{address}");
        }
    }

    #[test]
    fn what_is_allowed_may_be_reached_and_nothing_beside_it() {
        assert!(reached("10.1.2.3", &["10.1.0.0/16"]) && !reached("10.2.0.1", &["10.1.0.0/16"]));
        assert!(reached("::ffff:10.1.2.3", &["10.1.0.0/16"]));
        assert!(reached("127.0.0.1", &["127.0.0.1"]) && !reached("127.0.0.2", &["127.0.0.1"]));
        assert!(reached("fd00::1", &["fd00::/8"]) && !reached("fe80::1", &["fd00::/8"]));
        assert!(reached("192.168.0.1", &["0.0.0.0/0"]) && !reached("::1", &["0.0.0.0/0"]));
        assert!(reached("::1", &["::/0"]));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["", "10", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "example.com/8", "10.0.0.0/8/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        assert_eq!("10.0.0.0/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }
}
