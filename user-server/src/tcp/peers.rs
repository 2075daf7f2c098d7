//! Trusted peers, by their addresses.

use std::net::IpAddr;

/// Networks of the peers that may state the address of the end user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedPeers(Vec<Network>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    ip: IpAddr,
    prefix: u32,
}

impl TrustedPeers {
    /// Parses a comma-separated list such as `127.0.0.1, 10.1.0.0/16, ::1`.
    ///
    /// # Errors
    /// The first item that is neither an address nor a network.
    pub fn parse(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items
            .map(|item| Network::parse(item).ok_or_else(|| item.to_owned()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Returns true if a peer with this address is trusted.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(ip.to_canonical()))
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (ip, prefix) =
            text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
        let ip: IpAddr = ip.parse().ok()?;
        let max = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(max), |prefix| prefix.parse().ok())?;
        (prefix <= max).then_some(Self { ip, prefix })
    }

    fn contains(self, other: IpAddr) -> bool {
        use std::net::IpAddr::{V4, V6};
        match (self.ip, other) {
            (V4(own), V4(other)) => {
                same_prefix(own.to_bits().into(), other.to_bits().into(), 32, self.prefix)
            }
            (V6(own), V6(other)) => same_prefix(own.to_bits(), other.to_bits(), 128, self.prefix),
            _ => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, width: u32, prefix: u32) -> bool {
    (a ^ b).checked_shr(width - prefix).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::TrustedPeers;

    #[test]
    fn networks_contain_their_addresses() {
        let peers = TrustedPeers::parse("127.0.0.0/8, 10.1.0.0/16, ::1, 2001:db8::/32").unwrap();
        for (ip, trusted) in [
            ("127.0.0.1", true),
            ("127.255.0.1", true),
            ("10.1.255.9", true),
            ("10.2.0.1", false),
            ("::1", true),
            ("::2", false),
            ("2001:db8:ffff::1", true),
            ("::ffff:127.0.0.1", true),
        ] {
            assert_eq!(peers.contains(ip.parse().unwrap()), trusted, "{ip}");
        }
        assert!(TrustedPeers::parse("0.0.0.0/0").unwrap().contains("203.0.113.9".parse().unwrap()));
        assert!(TrustedPeers::parse("").unwrap().0.is_empty());
        for invalid in ["x", "10.0.0.0/33", "::1/129", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(TrustedPeers::parse(invalid).is_err(), "{invalid}");
        }
    }
}
