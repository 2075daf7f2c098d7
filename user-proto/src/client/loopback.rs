//! Recognises loopback addresses: packets to them do not leave the machine.

use std::net::IpAddr;

/// Returns `true` if `addr` (`host:port`) is an IP address of the loopback interface, or the name
/// `localhost`. Any other name counts as remote, since only its resolver decides on its address.
#[must_use]
pub fn is_loopback(addr: &str) -> bool {
    let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host).trim_matches(['[', ']']);
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => host.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_and_localhost_are_local() {
        for local in
            ["127.0.0.1:3001", "127.9.9.9:1", "[::1]:3001", "[::ffff:127.0.0.1]:1", "LocalHost:1"]
        {
            assert!(is_loopback(local), "{local}");
        }
        for remote in [
            "10.0.0.1:3001",
            "0.0.0.0:3001",
            "[::]:1",
            "[::ffff:10.0.0.1]:1",
            "users.example.com:3001",
            "localhost.example.com:1",
            "127.0.0.1.example.com:1",
            "2130706433:1",
        ] {
            assert!(!is_loopback(remote), "{remote}");
        }
    }
}
