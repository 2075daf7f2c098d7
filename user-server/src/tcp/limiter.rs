//! ConnectionLimiter for connections: how many there may be in all, and of one peer. Who is believed has no
//! limit of its own, and the last tenth of all limiter besides, so that no crowd of strangers keeps
//! the gateway out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::ClientNetwork;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxConnections {
    /// In all.
    pub all: usize,
    /// Of one peer that is not trusted: an IPv4 address or an IPv6 /64.
    pub per_peer: usize,
}

/// The limiter of one server.
pub(super) struct ConnectionLimiter {
    limits: MaxConnections,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    of_peers: HashMap<ClientNetwork, usize>,
}

/// The place of a connection; dropping it makes room.
pub(super) struct ConnectionSlot {
    limiter: Arc<ConnectionLimiter>,
    /// Where it counts among its peer's.
    network: Option<ClientNetwork>,
    /// Whether it counts among all.
    established: bool,
}

impl ConnectionLimiter {
    pub(super) fn new(limits: MaxConnections) -> Self {
        Self { limits, taken: Mutex::default() }
    }

    /// A place for a connection that has come, unless its peer has too many. It counts among all
    /// once it has established.
    pub(super) fn arrive(self: &Arc<Self>, ip: IpAddr, trusted: bool) -> Option<ConnectionSlot> {
        let network = (!trusted).then(|| ClientNetwork::from(ip));
        if let Some(network) = network {
            let mut taken = self.taken();
            let of_peer = taken.of_peers.entry(network).or_default();
            if *of_peer >= self.limits.per_peer {
                return None;
            }
            *of_peer += 1;
        }
        Some(ConnectionSlot { limiter: self.clone(), network, established: false })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionSlot {
    /// Counts it among all, where there is room. Who turns out to be trusted no longer counts among
    /// its peer's.
    pub(super) fn establish(&mut self, trusted: bool) -> bool {
        let MaxConnections { all, .. } = self.limiter.limits;
        let most = if trusted { all } else { all - all / 10 };
        let mut taken = self.limiter.taken();
        if taken.all >= most {
            return false;
        }
        taken.all += 1;
        self.established = true;
        if trusted {
            taken.leave(self.network.take());
        }
        true
    }
}

impl Taken {
    fn leave(&mut self, network: Option<ClientNetwork>) {
        let Some(network) = network else { return };
        if let Some(of_peer) = self.of_peers.get_mut(&network) {
            *of_peer -= 1;
            if *of_peer == 0 {
                self.of_peers.remove(&network);
            }
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut taken = self.limiter.taken();
        taken.all -= usize::from(self.established);
        taken.leave(self.network.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(all: usize, per_peer: usize) -> Arc<ConnectionLimiter> {
        Arc::new(ConnectionLimiter::new(MaxConnections { all, per_peer }))
    }

    fn arrive(limiter: &Arc<ConnectionLimiter>, ip: &str, trusted: bool) -> Option<ConnectionSlot> {
        let mut place = limiter.arrive(ip.parse().unwrap(), trusted)?;
        place.establish(trusted).then_some(place)
    }

    #[test]
    fn a_peer_has_its_share_and_a_household_is_one_peer() {
        let limiter = limiter(100, 2);
        let mut held = vec![
            arrive(&limiter, "2001:db8::1", false).unwrap(),
            arrive(&limiter, "2001:db8::2", false).unwrap(),
        ];
        assert!(arrive(&limiter, "2001:db8::3", false).is_none());
        assert!(arrive(&limiter, "2001:db8:0:1::3", false).is_some());
        held.pop();
        assert!(arrive(&limiter, "2001:db8::3", false).is_some());
        held.clear();
        assert!(limiter.taken().of_peers.is_empty() && limiter.taken().all == 0);
    }

    #[test]
    fn the_last_tenth_is_for_who_is_trusted() {
        let limiter = limiter(20, 100);
        let strangers: Vec<_> =
            (0..30).filter_map(|_| arrive(&limiter, "192.0.2.1", false)).collect();
        assert_eq!(strangers.len(), 18);
        let gateways: Vec<_> =
            (0..30).filter_map(|_| arrive(&limiter, "192.0.2.2", true)).collect();
        assert_eq!(gateways.len(), 2);
        drop(strangers);
        let gateways: Vec<_> =
            (0..30).filter_map(|_| arrive(&limiter, "192.0.2.2", true)).chain(gateways).collect();
        assert_eq!(gateways.len(), 20, "it may have the whole");
    }

    #[test]
    fn who_proves_itself_leaves_its_peers_share() {
        let limiter = limiter(100, 1);
        let ip = "192.0.2.1".parse().unwrap();
        let mut proved = limiter.arrive(ip, false).unwrap();
        assert!(limiter.arrive(ip, false).is_none());
        assert!(proved.establish(true));
        assert!(limiter.arrive(ip, false).is_some());
        drop(proved);
        assert!(limiter.taken().of_peers.is_empty() && limiter.taken().all == 0);
    }
}
