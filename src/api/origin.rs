//! Where a question comes from, if proxies are between: who may be tried how often is counted by that.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use crate::policy::network::Network;

/// The header in which each proxy writes down, behind what is there, whom it was asked by.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Most proxies between a client and us.
const MOST: usize = 16;

/// The address of whoever asks: that of the connection, unless it is a proxy's that is trusted. Then it is the last one that
/// proxies have written down and that is not a trusted proxy's itself: what stands before it, anybody may have written.
pub(super) fn origin(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let mut from = peer.to_canonical();
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let named = lines.flat_map(|line| line.as_bytes().rsplit(|mark| *mark == b','));
    for named in named.take(MOST) {
        if !proxies.iter().any(|proxy| proxy.contains(from)) {
            break;
        }
        // A proxy that does not say whom it was asked by stands for them.
        let Some(address) = address(named) else { break };
        from = address;
    }
    from
}

/// The address that is written down; some proxies write a port behind it.
fn address(named: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(named).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|with_port| with_port.ip()));
    parsed.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, lines: &[&str]) -> String {
        let proxies = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        origin(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn whoever_is_no_trusted_proxy_speaks_for_nobody() {
        assert_eq!(from("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(from("192.0.2.1", &["198.51.100.1, 10.0.0.1"]), "192.0.2.1");
        assert_eq!(from("192.0.2.1", &[]), "192.0.2.1");
    }

    #[test]
    fn the_last_that_is_no_trusted_proxy_counts() {
        assert_eq!(from("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["203.0.113.9,198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["198.51.100.1, fd00::1,\t10.9.9.9"]), "198.51.100.1");
        assert_eq!(
            from("10.0.0.1", &["203.0.113.9", "198.51.100.1", "10.0.0.2"]),
            "198.51.100.1",
            "lines count as one"
        );
        assert_eq!(from("10.0.0.1", &["203.0.113.9, 10.0.0.3", "10.0.0.2"]), "203.0.113.9");
        assert_eq!(from("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3", "somebody among the proxies");
    }

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        assert_eq!(from("10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(from("fd00::5", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(from("fd00::5", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(from("::ffff:10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn a_proxy_that_names_nobody_stands_for_them() {
        for nobody in ["", "unknown", "_hidden", "198.51.100.1 10.0.0.1", "198.51.100", "\u{fc}"] {
            assert_eq!(from("10.0.0.1", &["203.0.113.9", nobody]), "10.0.0.1", "{nobody}");
        }
        assert_eq!(from("10.0.0.1", &["203.0.113.9, , 10.0.0.2"]), "10.0.0.2");
    }

    #[test]
    fn a_line_of_proxies_without_end_is_not_followed() {
        let many = ["198.51.100.1"].into_iter().chain(["10.0.0.2"; 10_000]).collect::<Vec<_>>().join(",");
        assert_eq!(from("10.0.0.1", &[&many]), "10.0.0.2");
    }
}
