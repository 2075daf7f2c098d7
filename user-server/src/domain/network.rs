//! Networks of end users, to which budgets are charged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network of an end user: an IPv4 address, or the /64 of an IPv6 address, which one household
/// shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientNetwork(IpAddr);

impl From<IpAddr> for ClientNetwork {
    fn from(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
            v4 => v4,
        })
    }
}

impl ClientNetwork {
    /// Returns the network as it is shown to the owner of a session: an IPv4 /24 or an IPv6 /48.
    #[must_use]
    pub fn coarse(&self) -> String {
        match self.0 {
            IpAddr::V4(v4) => format!("{}/24", Ipv4Addr::from_bits(v4.to_bits() & !0xff)),
            IpAddr::V6(v6) => {
                format!("{}/48", Ipv6Addr::from_bits(v6.to_bits() & !(u128::MAX >> 48)))
            }
        }
    }
}

impl std::fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::ClientNetwork;

    #[test]
    fn a_network_is_shown_coarsely() {
        let coarse =
            |text: &str| ClientNetwork::from(text.parse::<std::net::IpAddr>().unwrap()).coarse();
        assert_eq!(coarse("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(coarse("2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
        assert_eq!(coarse("::ffff:192.0.2.7"), "192.0.2.0/24");
    }

    #[test]
    fn one_household_is_one_network() {
        let network = |text: &str| ClientNetwork::from(text.parse::<std::net::IpAddr>().unwrap());
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.7"));
        assert_ne!(network("192.0.2.7"), network("192.0.2.8"));
    }
}
