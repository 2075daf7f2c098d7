//! Places for connections: how many there may be in all, and of one peer. Who is believed has no
//! limit of its own, and the last tenth of all places besides, so that no crowd of strangers keeps
//! the gateway out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::ClientNetwork;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceLimits {
    /// In all.
    pub all: usize,
    /// Of one peer that is not trusted: an IPv4 address or an IPv6 /64.
    pub per_peer: usize,
}

/// The places of one server.
pub(super) struct Places {
    limits: PlaceLimits,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    of_peers: HashMap<ClientNetwork, usize>,
}

/// The place of a connection; dropping it makes room.
pub(super) struct Place {
    places: Arc<Places>,
    /// Where it counts among its peer's.
    network: Option<ClientNetwork>,
    /// Whether it counts among all.
    settled: bool,
}

impl Places {
    pub(super) fn new(limits: PlaceLimits) -> Self {
        Self { limits, taken: Mutex::default() }
    }

    /// A place for a connection that has come, unless its peer has too many. It counts among all
    /// once it has settled.
    pub(super) fn arrive(self: &Arc<Self>, ip: IpAddr, trusted: bool) -> Option<Place> {
        let network = (!trusted).then(|| ClientNetwork::from(ip));
        if let Some(network) = network {
            let mut taken = self.taken();
            let of_peer = taken.of_peers.entry(network).or_default();
            if *of_peer >= self.limits.per_peer {
                return None;
            }
            *of_peer += 1;
        }
        Some(Place { places: self.clone(), network, settled: false })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Counts it among all, where there is room. Who turns out to be trusted no longer counts among
    /// its peer's.
    pub(super) fn settle(&mut self, trusted: bool) -> bool {
        let PlaceLimits { all, .. } = self.places.limits;
        let most = if trusted { all } else { all - all / 10 };
        let mut taken = self.places.taken();
        if taken.all >= most {
            return false;
        }
        taken.all += 1;
        self.settled = true;
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

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= usize::from(self.settled);
        taken.leave(self.network.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(all: usize, per_peer: usize) -> Arc<Places> {
        Arc::new(Places::new(PlaceLimits { all, per_peer }))
    }

    fn arrive(places: &Arc<Places>, ip: &str, trusted: bool) -> Option<Place> {
        let mut place = places.arrive(ip.parse().unwrap(), trusted)?;
        place.settle(trusted).then_some(place)
    }

    #[test]
    fn a_peer_has_its_share_and_a_household_is_one_peer() {
        let places = places(100, 2);
        let mut held = vec![
            arrive(&places, "2001:db8::1", false).unwrap(),
            arrive(&places, "2001:db8::2", false).unwrap(),
        ];
        assert!(arrive(&places, "2001:db8::3", false).is_none());
        assert!(arrive(&places, "2001:db8:0:1::3", false).is_some());
        held.pop();
        assert!(arrive(&places, "2001:db8::3", false).is_some());
        held.clear();
        assert!(places.taken().of_peers.is_empty() && places.taken().all == 0);
    }

    #[test]
    fn the_last_tenth_is_for_who_is_trusted() {
        let places = places(20, 100);
        let strangers: Vec<_> =
            (0..30).filter_map(|_| arrive(&places, "192.0.2.1", false)).collect();
        assert_eq!(strangers.len(), 18);
        let gateways: Vec<_> = (0..30).filter_map(|_| arrive(&places, "192.0.2.2", true)).collect();
        assert_eq!(gateways.len(), 2);
        drop(strangers);
        let gateways: Vec<_> =
            (0..30).filter_map(|_| arrive(&places, "192.0.2.2", true)).chain(gateways).collect();
        assert_eq!(gateways.len(), 20, "it may have the whole");
    }

    #[test]
    fn who_proves_itself_leaves_its_peers_share() {
        let places = places(100, 1);
        let ip = "192.0.2.1".parse().unwrap();
        let mut proved = places.arrive(ip, false).unwrap();
        assert!(places.arrive(ip, false).is_none());
        assert!(proved.settle(true));
        assert!(places.arrive(ip, false).is_some());
        drop(proved);
        assert!(places.taken().of_peers.is_empty() && places.taken().all == 0);
    }
}
