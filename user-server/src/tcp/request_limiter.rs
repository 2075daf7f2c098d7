//! Limits on requests in flight: how many there may be, and how much memory they may use, in the
//! whole process and for each peer. A request counts until it is finished, even after its
//! connection has closed.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The memory that a request is assumed to use besides its message, in bytes: its task and its
/// buffers in the database driver.
const TASK_MEMORY: usize = 4096;

/// Limits of the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// The largest number of requests in flight.
    pub requests: usize,
    /// The largest amount of memory that they use, in bytes.
    pub memory: usize,
}

/// Origin of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum RequestOrigin {
    /// A peer at this address, which is not trusted.
    Untrusted(IpAddr),
    /// A trusted peer, on behalf of the end user at this address, where it named one.
    Trusted(Option<IpAddr>),
}

/// The requests of one process.
pub struct RequestLimiter {
    limits: RequestLimits,
    used: Mutex<Used>,
}

/// A request in flight. Dropping it frees its share.
pub(super) struct RequestSlot {
    limiter: Arc<RequestLimiter>,
    charges: Charges,
    memory: usize,
}

/// What is in use, by whom.
#[derive(Default)]
struct Used {
    total: Share,
    untrusted: Share,
    networks: HashMap<Network, Share>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Share {
    requests: usize,
    memory: usize,
}

/// A network that has a share of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    /// An untrusted peer: the first bits of its address.
    Peer { bits: u128, prefix: u8 },
    /// An end user behind a trusted peer.
    EndUser(u128),
}

/// The shares that one request counts against, each with the divisor of the process's limits.
struct Charges {
    untrusted: bool,
    networks: Vec<(Network, usize)>,
}

impl RequestLimiter {
    #[must_use]
    pub fn new(limits: RequestLimits) -> Self {
        Self { limits, used: Mutex::default() }
    }

    /// Counts a request with a message of this many bytes, or returns `None` where one of its
    /// shares is used up.
    pub(super) fn acquire(
        self: &Arc<Self>,
        origin: RequestOrigin,
        message: usize,
    ) -> Option<RequestSlot> {
        let (charges, memory) = (Charges::of(origin), message + TASK_MEMORY);
        let mut used = self.used();
        let fits = |share: Share, divisor: usize| {
            share.requests < self.limits.requests / divisor
                && share.memory + memory <= self.limits.memory / divisor
        };
        let network = |network: &Network| used.networks.get(network).copied().unwrap_or_default();
        let allowed = fits(used.total, 1)
            && (!charges.untrusted || fits(used.untrusted, 2))
            && charges.networks.iter().all(|(key, divisor)| fits(network(key), *divisor));
        if !allowed {
            return None;
        }
        used.total.add(memory);
        if charges.untrusted {
            used.untrusted.add(memory);
        }
        for (key, _) in &charges.networks {
            used.networks.entry(*key).or_default().add(memory);
        }
        Some(RequestSlot { limiter: self.clone(), charges, memory })
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Charges {
    fn of(origin: RequestOrigin) -> Self {
        match origin {
            // Untrusted peers together have half of the limits; one address or /64 an eighth of
            // that half, a /56 a quarter of it, and a /48 half of it.
            RequestOrigin::Untrusted(ip) => {
                let (bits, is_v4) = bits(ip);
                let prefixes: &[(u8, usize)] =
                    if is_v4 { &[(128, 16)] } else { &[(64, 16), (56, 8), (48, 4)] };
                let network = |(prefix, divisor): &(u8, usize)| {
                    let bits = bits & !u128::MAX.checked_shr((*prefix).into()).unwrap_or(0);
                    (Network::Peer { bits, prefix: *prefix }, *divisor)
                };
                Self { untrusted: true, networks: prefixes.iter().map(network).collect() }
            }
            RequestOrigin::Trusted(None) => Self { untrusted: false, networks: Vec::new() },
            RequestOrigin::Trusted(Some(ip)) => {
                let (bits, is_v4) = bits(ip);
                let bits = if is_v4 { bits } else { bits & !u128::from(u64::MAX) };
                Self { untrusted: false, networks: vec![(Network::EndUser(bits), 8)] }
            }
        }
    }
}

/// Returns an address as the bits of an IPv6 address, and whether it is an IPv4 address.
fn bits(ip: IpAddr) -> (u128, bool) {
    match ip.to_canonical() {
        IpAddr::V4(v4) => (Ipv4Addr::to_ipv6_mapped(&v4).to_bits(), true),
        IpAddr::V6(v6) => (v6.to_bits(), false),
    }
}

impl Share {
    fn add(&mut self, memory: usize) {
        self.requests += 1;
        self.memory += memory;
    }

    fn remove(&mut self, memory: usize) {
        self.requests -= 1;
        self.memory -= memory;
    }
}

impl Drop for RequestSlot {
    fn drop(&mut self) {
        let mut used = self.limiter.used();
        used.total.remove(self.memory);
        if self.charges.untrusted {
            used.untrusted.remove(self.memory);
        }
        for (key, _) in &self.charges.networks {
            if let Some(share) = used.networks.get_mut(key) {
                share.remove(self.memory);
                if *share == Share::default() {
                    used.networks.remove(key);
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

    fn peer(ip: &str) -> RequestOrigin {
        RequestOrigin::Untrusted(ip.parse().unwrap())
    }

    /// Acquires slots for as long as it is allowed.
    fn fill(limiter: &Arc<RequestLimiter>, origin: RequestOrigin) -> Vec<RequestSlot> {
        std::iter::from_fn(|| limiter.acquire(origin, 100)).collect()
    }

    #[test]
    fn one_address_has_an_eighth_of_the_half_of_untrusted_peers() {
        let limiter = limiter(1600, usize::MAX);
        let slots = fill(&limiter, peer("192.0.2.1"));
        assert_eq!(slots.len(), 100);
        assert_eq!(fill(&limiter, peer("::ffff:192.0.2.1")).len(), 0, "the same address");
        assert_eq!(fill(&limiter, peer("192.0.2.2")).len(), 100);
        drop(slots);
        assert_eq!(fill(&limiter, peer("192.0.2.1")).len(), 100);
        assert!(limiter.used().networks.is_empty() && limiter.used().total == Share::default());
    }

    #[test]
    fn an_ipv6_site_cannot_use_more_by_its_many_networks() {
        let limiter = limiter(1600, usize::MAX);
        let mut slots = fill(&limiter, peer("2001:db8:1::1"));
        assert_eq!(slots.len(), 100, "a /64");
        for subnet in 1..256 {
            slots.extend(fill(&limiter, peer(&format!("2001:db8:1:{subnet:x}::1"))));
        }
        assert_eq!(slots.len(), 200, "a /56");
        for subnet in 256..2048 {
            slots.extend(fill(&limiter, peer(&format!("2001:db8:1:{subnet:x}::1"))));
        }
        assert_eq!(slots.len(), 400, "a /48");
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
        let user = |ip: &str| RequestOrigin::Trusted(Some(ip.parse().unwrap()));
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
