//! Limits on requests in flight: how many there may be, and how much memory they may use, in the
//! whole process and for each peer. A request counts until its reply is in the write buffer of its
//! connection, or if that has closed, until it is finished.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{ClientNetwork, NetworkPrefix};

/// The memory that a request is assumed to use besides its message, in bytes: its task and its
/// buffers in the database driver.
const TASK_MEMORY: usize = 4096;

/// Numbers by which a limit is divided for one end user of a trusted peer: an IPv4 address or an
/// IPv6 /64 has an eighth, an IPv6 /56 a quarter, and a /48 a half.
pub(super) const END_USER_DIVISORS: [usize; 3] = [8, 4, 2];

/// Limits on the requests in flight of the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Maximum number of requests in flight.
    pub requests: usize,
    /// Maximum memory that the requests in flight may use, in bytes.
    pub memory: usize,
}

/// Origin of a request, which decides the limits that apply to it.
#[derive(Debug, Clone, Copy)]
pub(super) enum RequestOrigin {
    /// A peer in this network, which is not trusted.
    Untrusted(ClientNetwork),
    /// A trusted peer, on behalf of an end user in this network; `None` if the peer named none.
    Trusted(Option<ClientNetwork>),
}

/// Limiter of the requests in flight of one process.
pub struct RequestLimiter {
    limits: RequestLimits,
    used: Mutex<HashMap<Party, Share>>,
}

/// Slot of a request in flight. Dropping it releases the request's part of the limits.
pub(super) struct RequestSlot {
    limiter: Arc<RequestLimiter>,
    charges: Vec<Charge>,
    memory: usize,
}

/// Number of requests in flight of a party, and the memory in bytes that they use.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Share {
    requests: usize,
    memory: usize,
}

/// Clients that together may use a part of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Party {
    Everyone,
    UntrustedPeers,
    /// The untrusted peers in a network.
    Peers(NetworkPrefix),
    /// The end users in a network, behind trusted peers.
    EndUsers(NetworkPrefix),
}

/// A party that a request counts against, and the number by which the process's limits are divided
/// for it.
type Charge = (Party, usize);

impl RequestLimiter {
    #[must_use]
    pub fn new(limits: RequestLimits) -> Self {
        Self { limits, used: Mutex::default() }
    }

    /// Counts a request with a message of `message` bytes, or returns `None` if it would exceed the
    /// limits of one of its parties.
    pub(super) fn acquire(
        self: &Arc<Self>,
        origin: RequestOrigin,
        message: usize,
    ) -> Option<RequestSlot> {
        let (charges, memory) = (charges(origin), message + TASK_MEMORY);
        let mut used = self.used();
        let fits = |(party, divisor): &Charge| {
            let share = used.get(party).copied().unwrap_or_default();
            share.requests < self.limits.requests / divisor
                && share.memory + memory <= self.limits.memory / divisor
        };
        if !charges.iter().all(fits) {
            return None;
        }
        for (party, _) in &charges {
            let share = used.entry(*party).or_default();
            share.requests += 1;
            share.memory += memory;
        }
        Some(RequestSlot { limiter: self.clone(), charges, memory })
    }

    fn used(&self) -> MutexGuard<'_, HashMap<Party, Share>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the parties that a request counts against. Untrusted peers together have half of the
/// limits, and one of them the part of that half that an end user of a trusted peer has of the
/// whole.
fn charges(origin: RequestOrigin) -> Vec<Charge> {
    let mut charges = vec![(Party::Everyone, 1)];
    match origin {
        RequestOrigin::Trusted(None) => {}
        RequestOrigin::Trusted(Some(user)) => {
            charges.extend(user.prefixes().map(Party::EndUsers).zip(END_USER_DIVISORS));
        }
        RequestOrigin::Untrusted(peer) => {
            charges.push((Party::UntrustedPeers, 2));
            let divisors = END_USER_DIVISORS.map(|divisor| 2 * divisor);
            charges.extend(peer.prefixes().map(Party::Peers).zip(divisors));
        }
    }
    charges
}

impl Drop for RequestSlot {
    fn drop(&mut self) {
        let mut used = self.limiter.used();
        for (party, _) in &self.charges {
            if let Some(share) = used.get_mut(party) {
                share.requests -= 1;
                share.memory -= self.memory;
                if *share == Share::default() {
                    used.remove(party);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(requests: usize, memory: usize) -> Arc<RequestLimiter> {
        Arc::new(RequestLimiter::new(RequestLimits { requests, memory }))
    }

    fn network(ip: &str) -> ClientNetwork {
        ip.parse::<std::net::IpAddr>().unwrap().into()
    }

    fn peer(ip: &str) -> RequestOrigin {
        RequestOrigin::Untrusted(network(ip))
    }

    fn user(ip: &str) -> RequestOrigin {
        RequestOrigin::Trusted(Some(network(ip)))
    }

    /// Acquires slots until the limiter refuses one.
    fn fill(limiter: &Arc<RequestLimiter>, origin: RequestOrigin) -> Vec<RequestSlot> {
        std::iter::from_fn(|| limiter.acquire(origin, 100)).collect()
    }

    #[test]
    fn one_address_has_an_eighth_of_the_half_of_untrusted_peers() {
        let limiter = limiter(1600, usize::MAX);
        let slots = fill(&limiter, peer("192.0.2.1"));
        assert_eq!(slots.len(), 100);
        for same in ["::ffff:192.0.2.1", "64:ff9b::192.0.2.1", "2002:c000:201::7", "::192.0.2.1"] {
            assert_eq!(fill(&limiter, peer(same)).len(), 0, "{same}");
        }
        assert_eq!(fill(&limiter, peer("192.0.2.2")).len(), 100);
        drop(slots);
        assert_eq!(fill(&limiter, peer("192.0.2.1")).len(), 100);
        assert!(limiter.used().is_empty());
    }

    /// Asserts that an IPv6 /64 gets an eighth of `most` requests, a /56 a quarter, and a /48 a
    /// half.
    fn a_site_has_its_share(origin: fn(&str) -> RequestOrigin, most: usize) {
        let limiter = limiter(1600, usize::MAX);
        let mut slots = fill(&limiter, origin("2001:db8:1::1"));
        assert_eq!(slots.len(), most / 8, "a /64");
        for subnet in 1..256 {
            slots.extend(fill(&limiter, origin(&format!("2001:db8:1:{subnet:x}::1"))));
        }
        assert_eq!(slots.len(), most / 4, "a /56");
        for subnet in 256..2048 {
            slots.extend(fill(&limiter, origin(&format!("2001:db8:1:{subnet:x}::1"))));
        }
        assert_eq!(slots.len(), most / 2, "a /48");
    }

    #[test]
    fn an_ipv6_site_cannot_use_more_by_its_many_networks() {
        a_site_has_its_share(peer, 800);
        a_site_has_its_share(user, 1600);
    }

    #[test]
    fn untrusted_peers_leave_half_to_the_gateways() {
        let limiter = limiter(1600, usize::MAX);
        let slots: Vec<_> =
            (1..=20).flat_map(|host| fill(&limiter, peer(&format!("192.0.2.{host}")))).collect();
        assert_eq!(slots.len(), 800);
        let gateway = fill(&limiter, RequestOrigin::Trusted(None));
        assert_eq!(gateway.len(), 800);
    }

    #[test]
    fn one_end_user_has_an_eighth_behind_a_gateway() {
        let limiter = limiter(1600, usize::MAX);
        let slots = fill(&limiter, user("2001:db8::1"));
        assert_eq!(slots.len(), 200);
        assert!(limiter.acquire(user("2001:db8::2"), 100).is_none(), "the same household");
        assert!(limiter.acquire(user("2001:db8:0:1::2"), 100).is_some());
    }

    #[test]
    fn memory_is_limited_like_the_number() {
        let limiter = limiter(usize::MAX, 16 * 10 * (TASK_MEMORY + 100));
        assert_eq!(fill(&limiter, peer("192.0.2.1")).len(), 10);
        assert!(limiter.acquire(peer("192.0.2.2"), 64 * 1024).is_none());
    }

    #[test]
    fn a_released_slot_leaves_the_others_counted() {
        let limiter = limiter(1600, usize::MAX);
        let mut slots: Vec<_> =
            (0..3).map(|_| limiter.acquire(RequestOrigin::Trusted(None), 100).unwrap()).collect();
        slots.pop();
        let rest = Share { requests: 2, memory: 2 * (TASK_MEMORY + 100) };
        assert_eq!(limiter.used().get(&Party::Everyone), Some(&rest));
    }

    #[test]
    fn sixteen_threads_never_get_more_than_the_limit() {
        let limiter = limiter(1600, usize::MAX);
        let slots: usize = std::thread::scope(|scope| {
            let fill = || fill(&limiter, peer("192.0.2.1"));
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(fill)).collect();
            let slots: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            slots.iter().map(Vec::len).sum()
        });
        assert_eq!(slots, 100);
    }
}
