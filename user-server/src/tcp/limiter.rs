//! The connection limiter: bounds the number of connections in total and per peer. Trusted peers
//! have no limit per peer, and the last tenth of the total is reserved for them, so that other
//! clients cannot keep the gateway out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{ClientNetwork, NetworkPrefix};

/// Limits on the number of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxConnections {
    /// Maximum number of connections in total.
    pub total: usize,
    /// Maximum number of connections from one peer that is not trusted: an IPv4 address or an IPv6
    /// /64. An IPv6 /56 may have twice as many, and a /48 four times.
    pub per_peer: usize,
}

/// Factors by which the limit of a peer is multiplied for an IPv4 address or IPv6 /64, for a /56,
/// and for a /48.
const FACTORS: [usize; 3] = [1, 2, 4];

/// The connection limiter of one server.
pub(super) struct ConnectionLimiter {
    limits: MaxConnections,
    counts: Mutex<SlotCounts>,
}

#[derive(Default)]
struct SlotCounts {
    total: usize,
    per_peer: HashMap<NetworkPrefix, usize>,
}

/// Slot of one connection in the limiter, which is released when this guard is dropped.
pub(super) struct ConnectionSlot {
    limiter: Arc<ConnectionLimiter>,
    /// Network of the peer that the connection is counted for; `None` for a trusted peer.
    network: Option<ClientNetwork>,
    /// Set once the connection is counted in the total number.
    established: bool,
}

impl ConnectionLimiter {
    pub(super) fn new(limits: MaxConnections) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// Returns a slot for a new connection, or `None` if its peer has too many connections. The
    /// connection counts towards the total once it is established.
    pub(super) fn acquire(self: &Arc<Self>, ip: IpAddr, trusted: bool) -> Option<ConnectionSlot> {
        let network = (!trusted).then(|| ClientNetwork::from(ip));
        if let Some(network) = network {
            let mut counts = self.counts();
            let full = |(prefix, factor): (NetworkPrefix, usize)| {
                let of_peer = counts.per_peer.get(&prefix).copied().unwrap_or(0);
                of_peer >= self.limits.per_peer.saturating_mul(factor)
            };
            if network.prefixes().zip(FACTORS).any(full) {
                return None;
            }
            for prefix in network.prefixes() {
                *counts.per_peer.entry(prefix).or_default() += 1;
            }
        }
        Some(ConnectionSlot { limiter: self.clone(), network, established: false })
    }

    fn counts(&self) -> MutexGuard<'_, SlotCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionSlot {
    /// Counts the connection towards the total, and returns false if that limit is reached. A
    /// client that has turned out to be trusted is no longer counted for its peer.
    pub(super) fn establish(&mut self, trusted: bool) -> bool {
        let MaxConnections { total, .. } = self.limiter.limits;
        let max = if trusted { total } else { total - total / 10 };
        let mut counts = self.limiter.counts();
        if counts.total >= max {
            return false;
        }
        counts.total += 1;
        self.established = true;
        if trusted {
            counts.release(self.network.take());
        }
        true
    }
}

impl SlotCounts {
    /// Removes one connection from the count of its peer. Does nothing for a trusted peer (`None`).
    fn release(&mut self, network: Option<ClientNetwork>) {
        for prefix in network.into_iter().flat_map(ClientNetwork::prefixes) {
            if let Some(of_peer) = self.per_peer.get_mut(&prefix) {
                *of_peer -= 1;
                if *of_peer == 0 {
                    self.per_peer.remove(&prefix);
                }
            }
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut counts = self.limiter.counts();
        counts.total -= usize::from(self.established);
        counts.release(self.network.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(total: usize, per_peer: usize) -> Arc<ConnectionLimiter> {
        Arc::new(ConnectionLimiter::new(MaxConnections { total, per_peer }))
    }

    fn connect(
        limiter: &Arc<ConnectionLimiter>,
        ip: &str,
        trusted: bool,
    ) -> Option<ConnectionSlot> {
        let mut slot = limiter.acquire(ip.parse().unwrap(), trusted)?;
        slot.establish(trusted).then_some(slot)
    }

    #[test]
    fn a_peer_has_its_share_and_an_ipv6_64_is_one_peer() {
        let limiter = limiter(100, 2);
        let mut slots = vec![
            connect(&limiter, "2001:db8::1", false).unwrap(),
            connect(&limiter, "2001:db8::2", false).unwrap(),
        ];
        assert!(connect(&limiter, "2001:db8::3", false).is_none());
        assert!(connect(&limiter, "2001:db8:0:1::3", false).is_some());
        slots.pop();
        assert!(connect(&limiter, "2001:db8::3", false).is_some());
        slots.clear();
        assert!(limiter.counts().per_peer.is_empty() && limiter.counts().total == 0);
    }

    #[test]
    fn the_many_networks_of_an_ipv6_site_share_a_limit() {
        let limiter = limiter(1000, 2);
        let connections = |subnets: std::ops::Range<u32>| {
            let from = |subnet| connect(&limiter, &format!("2001:db8:1:{subnet:x}::1"), false);
            subnets.filter_map(from).collect::<Vec<_>>()
        };
        let of_56 = connections(0..256);
        assert_eq!(of_56.len(), 4);
        let of_48 = connections(256..2048);
        assert_eq!(of_56.len() + of_48.len(), 8);
        assert!(connect(&limiter, "2001:db8:2::1", false).is_some());
        drop((of_56, of_48));
        assert!(limiter.counts().per_peer.is_empty());
        let _mapped = [(); 2].map(|()| connect(&limiter, "2002:c000:207::1", false).unwrap());
        assert!(connect(&limiter, "192.0.2.7", false).is_none(), "the same address");
    }

    #[test]
    fn the_last_tenth_is_reserved_for_trusted_peers() {
        let limiter = limiter(20, 100);
        let untrusted: Vec<_> =
            (0..30).filter_map(|_| connect(&limiter, "192.0.2.1", false)).collect();
        assert_eq!(untrusted.len(), 18);
        let trusted: Vec<_> =
            (0..30).filter_map(|_| connect(&limiter, "192.0.2.2", true)).collect();
        assert_eq!(trusted.len(), 2);
        drop(untrusted);
        let trusted: Vec<_> =
            (0..30).filter_map(|_| connect(&limiter, "192.0.2.2", true)).chain(trusted).collect();
        assert_eq!(trusted.len(), 20, "a trusted peer may use all slots");
    }

    #[test]
    fn a_client_that_proves_its_identity_leaves_the_share_of_its_peer() {
        let limiter = limiter(100, 1);
        let ip = "192.0.2.1".parse().unwrap();
        let mut trusted = limiter.acquire(ip, false).unwrap();
        assert!(limiter.acquire(ip, false).is_none());
        assert!(trusted.establish(true));
        assert!(limiter.acquire(ip, false).is_some());
        drop(trusted);
        assert!(limiter.counts().per_peer.is_empty() && limiter.counts().total == 0);
    }
}
