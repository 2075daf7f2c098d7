//! Networks of end users, which rate limits (budgets) apply to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Network of an end user: an IPv4 address, or the /64 prefix of an IPv6 address, which one
/// household shares. An IPv6 address that embeds an IPv4 address counts as that IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientNetwork(IpAddr);

/// Network that requests are counted in: a [`ClientNetwork`], or the IPv6 /56 or /48 around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NetworkPrefix {
    first: IpAddr,
    /// Length of the prefix in bits.
    length: u32,
}

/// IPv6 prefix lengths, shorter than /64, that rate limits apply to as well, each with the factor
/// by which the limit of a /64 is multiplied. Providers assign /56 and /48 networks, so one
/// customer has many /64s.
const WIDER: [(u32, u32); 2] = [(56, 4), (48, 16)];

impl From<IpAddr> for ClientNetwork {
    fn from(ip: IpAddr) -> Self {
        Self(match ip {
            IpAddr::V6(v6) => {
                embedded_v4(v6).map_or_else(|| IpAddr::V6(masked(v6, 64)), IpAddr::V4)
            }
            v4 => v4,
        })
    }
}

impl ClientNetwork {
    /// Returns the network in the coarse form that users see in their list of sessions: an IPv4 /24
    /// or an IPv6 /48.
    #[must_use]
    pub fn coarse(&self) -> String {
        match self.0 {
            IpAddr::V4(v4) => format!("{}/24", Ipv4Addr::from_bits(v4.to_bits() & !0xff)),
            IpAddr::V6(v6) => format!("{}/48", masked(v6, 48)),
        }
    }

    /// Returns the network of one customer of a provider, as text: an IPv4 address, or the /56 of
    /// an IPv6 address.
    #[must_use]
    pub fn site(self) -> String {
        match self.0 {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("{}/56", masked(v6, 56)),
        }
    }

    /// Returns this network and, for IPv6, the /56 and the /48 that contain it, in this order.
    pub fn prefixes(self) -> impl Iterator<Item = NetworkPrefix> {
        let lengths: &'static [u32] = if self.0.is_ipv4() { &[32] } else { &[64, 56, 48] };
        lengths.iter().map(move |length| NetworkPrefix {
            first: match self.0 {
                IpAddr::V6(v6) => IpAddr::V6(masked(v6, *length)),
                v4 => v4,
            },
            length: *length,
        })
    }

    /// Returns this network and, for IPv6, the larger ones that contain it, each with the factor by
    /// which a rate limit is multiplied for it. A request counts against all of them.
    #[must_use]
    pub fn scopes(self) -> Vec<(String, u32)> {
        let mut scopes = vec![(self.to_string(), 1)];
        if let IpAddr::V6(v6) = self.0 {
            let wider = |(prefix, factor)| (format!("{}/{prefix}", masked(v6, prefix)), factor);
            scopes.extend(WIDER.map(wider));
        }
        scopes
    }
}

impl NetworkPrefix {
    /// Returns true if `network` is part of this one.
    #[must_use]
    pub fn contains(self, network: ClientNetwork) -> bool {
        match (self.first, network.0) {
            (IpAddr::V6(first), IpAddr::V6(v6)) => masked(v6, self.length) == first,
            (first, other) => first == other,
        }
    }
}

/// Returns an address with all but its first `prefix` bits (1 to 128) set to zero.
fn masked(v6: Ipv6Addr, prefix: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.checked_shl(128 - prefix).unwrap_or(0))
}

/// Returns the IPv4 address that is embedded in an IPv6 address, or `None` if there is none: mapped
/// (RFC 4291, section 2.5.5.2), compatible (section 2.5.5.1), translated (RFC 6052 and RFC 8215) or
/// 6to4 (RFC 3056).
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = v6.to_bits();
    let at = |shift: u32| {
        let [.., a, b, c, d] = (bits >> shift).to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match v6.segments() {
        // The unspecified and the loopback address, which embed nothing.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(at(0)),
        // A translator of the prefix /48 itself puts 16 bits before octet 8 and 16 after it; one
        // with a longer prefix of it, /96 as a rule, uses the last 32 bits.
        [0x64, 0xff9b, 1, high, middle, low, 0, 0] if low & 0xff == 0 && middle < 0x100 => {
            let [a, b] = high.to_be_bytes();
            let ([_, c], [d, _]) = (middle.to_be_bytes(), low.to_be_bytes());
            Some(Ipv4Addr::new(a, b, c, d))
        }
        [0x64, 0xff9b, 1, ..] => Some(at(0)),
        [0x2002, ..] => Some(at(80)),
        _ => None,
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

    #[test]
    fn an_embedded_ipv4_address_counts_as_itself() {
        let network = |text: &str| ClientNetwork::from(text.parse::<std::net::IpAddr>().unwrap());
        for text in [
            "::ffff:192.0.2.7",
            "::192.0.2.7",
            "64:ff9b::192.0.2.7",
            "64:ff9b:1:1:2:3:192.0.2.7",
            "64:ff9b:1:c000:2:700::",
            "2002:c000:207::1",
            "2002:c000:207:ffff::9",
        ] {
            assert_eq!(network(text), network("192.0.2.7"), "{text}");
        }
        for text in ["::1", "2001:db8::192.0.2.7", "64:ff9b:2::192.0.2.7"] {
            assert_ne!(network(text), network("192.0.2.7"), "{text}");
        }
    }

    #[test]
    fn a_network_is_contained_in_its_prefixes_only() {
        let network = |text: &str| ClientNetwork::from(text.parse::<std::net::IpAddr>().unwrap());
        let home = network("2001:db8:1:234::6");
        for (other, expected) in [
            ("2001:db8:1:234:5::", vec![true, true, true]),
            ("2001:db8:1:235::", vec![false, true, true]),
            ("2001:db8:1:334::", vec![false, false, true]),
            ("2001:db8:2:234::", vec![false, false, false]),
            ("192.0.2.7", vec![false, false, false]),
        ] {
            let contained: Vec<_> =
                home.prefixes().map(|prefix| prefix.contains(network(other))).collect();
            assert_eq!(contained, expected, "{other}");
        }
        let of_v4: Vec<_> = network("2002:c000:207::1").prefixes().collect();
        assert_eq!(of_v4, network("192.0.2.7").prefixes().collect::<Vec<_>>());
        assert!(of_v4.len() == 1 && of_v4[0].contains(network("192.0.2.7")));
        assert!(!of_v4[0].contains(network("192.0.2.8")) && !of_v4[0].contains(home));
    }

    #[test]
    fn ipv6_is_counted_in_wider_networks_too() {
        let scopes =
            |text: &str| ClientNetwork::from(text.parse::<std::net::IpAddr>().unwrap()).scopes();
        let of = |text: &str, factor| (text.to_owned(), factor);
        assert_eq!(scopes("192.0.2.7"), [of("192.0.2.7", 1)]);
        assert_eq!(
            scopes("2001:db8:1:234:5::6"),
            [of("2001:db8:1:234::", 1), of("2001:db8:1:200::/56", 4), of("2001:db8:1::/48", 16)]
        );
    }
}
