//! Rate limits per network that are counted in the memory of this node, in consecutive periods of
//! time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{ClientNetwork, NetworkPrefix};

/// Factors by which a limit is multiplied for an IPv4 address or IPv6 /64, for a /56, and for a
/// /48.
const FACTORS: [u32; 3] = [1, 4, 16];
/// Maximum number of networks that are counted in one period. Further networks are not limited
/// until the period ends.
const MAX_NETWORKS: usize = 65_536;

/// Counters of events of each network in the current period.
pub struct NetworkCounters {
    /// Maximum number of events per period of an IPv4 address or IPv6 /64.
    limit: u32,
    period: Duration,
    /// Factor by which the limit is multiplied for all events without a known network together.
    unnamed: u32,
    state: Mutex<Counters>,
}

struct Counters {
    /// Start of the current period.
    since: Instant,
    networks: HashMap<Option<NetworkPrefix>, u32>,
}

/// An event that was counted and can be refunded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkCharge {
    /// Start of the period in which it was counted.
    period: Instant,
}

/// Error if a network has reached its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// Time at which the period ends.
    pub until: Instant,
}

impl NetworkCounters {
    /// Creates counters, with a first period that begins at `now`.
    #[must_use]
    pub fn new(limit: u32, period: Duration, unnamed: u32, now: Instant) -> Self {
        let state = Mutex::new(Counters { since: now, networks: HashMap::new() });
        Self { limit, period, unnamed, state }
    }

    /// Checks that a network has not reached its limit.
    ///
    /// # Errors
    /// If it has.
    pub fn check(&self, network: Option<ClientNetwork>, now: Instant) -> Result<(), Exhausted> {
        self.check_locked(&self.counters(now), network)
    }

    /// Counts an event of a network, unless the limit is reached.
    ///
    /// # Errors
    /// If it is.
    pub fn charge(
        &self,
        network: Option<ClientNetwork>,
        now: Instant,
    ) -> Result<NetworkCharge, Exhausted> {
        let mut counters = self.counters(now);
        self.check_locked(&counters, network)?;
        counters.add(network);
        Ok(NetworkCharge { period: counters.since })
    }

    /// Counts an event of a network that has happened already.
    pub fn add(&self, network: Option<ClientNetwork>, now: Instant) {
        self.counters(now).add(network);
    }

    /// Refunds an event, if its period has not ended. The counters of a later period do not contain
    /// it.
    pub fn refund(&self, network: Option<ClientNetwork>, charge: NetworkCharge, now: Instant) {
        let mut counters = self.counters(now);
        if counters.since != charge.period {
            return;
        }
        for scope in scopes(network) {
            if let Some(count) = counters.networks.get_mut(&scope) {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn check_locked(
        &self,
        counters: &Counters,
        network: Option<ClientNetwork>,
    ) -> Result<(), Exhausted> {
        let factors = if network.is_some() { FACTORS } else { [self.unnamed; 3] };
        let is_exhausted = |(scope, factor): (Option<NetworkPrefix>, u32)| {
            counters.networks.get(&scope).is_some_and(|count| *count >= self.limit * factor)
        };
        match scopes(network).zip(factors).any(is_exhausted) {
            true => Err(Exhausted { until: counters.since + self.period }),
            false => Ok(()),
        }
    }

    /// Returns the counters, reset if the last period has ended.
    fn counters(&self, now: Instant) -> MutexGuard<'_, Counters> {
        let mut counters = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(counters.since) >= self.period {
            counters.since = now;
            counters.networks.clear();
        }
        counters
    }
}

impl Counters {
    fn add(&mut self, network: Option<ClientNetwork>) {
        for scope in scopes(network) {
            if self.networks.len() < MAX_NETWORKS || self.networks.contains_key(&scope) {
                *self.networks.entry(scope).or_default() += 1;
            }
        }
    }
}

/// Returns the networks against which an event counts; `None` stands for all unknown ones.
fn scopes(network: Option<ClientNetwork>) -> impl Iterator<Item = Option<NetworkPrefix>> {
    let prefixes = network.into_iter().flat_map(ClientNetwork::prefixes).map(Some);
    prefixes.chain(network.is_none().then_some(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u32 = 600;
    const MINUTE: Duration = Duration::from_secs(60);

    fn network(text: &str) -> Option<ClientNetwork> {
        Some(text.parse::<std::net::IpAddr>().unwrap().into())
    }

    fn counters(now: Instant) -> NetworkCounters {
        NetworkCounters::new(LIMIT, MINUTE, 20, now)
    }

    #[test]
    fn a_network_has_a_budget_for_each_period() {
        let now = Instant::now();
        let (counters, peer, other) = (counters(now), network("192.0.2.7"), network("192.0.2.9"));
        for number in 0..LIMIT {
            assert!(counters.charge(peer, now).is_ok(), "{number}");
            let charge = counters.charge(other, now).unwrap();
            counters.refund(other, charge, now);
        }
        let exhausted = Exhausted { until: now + MINUTE };
        assert_eq!(counters.charge(peer, now + MINUTE / 3), Err(exhausted));
        assert_eq!(counters.check(peer, now), Err(exhausted));
        assert_eq!(counters.check(other, now), Ok(()), "its events were refunded");
        assert!(counters.charge(peer, now + MINUTE).is_ok(), "the next period");
        for _ in 1..LIMIT {
            counters.add(peer, now + MINUTE);
        }
        assert!(counters.check(peer, now + MINUTE).is_err());
    }

    #[test]
    fn unknown_networks_share_a_budget() {
        let now = Instant::now();
        let counters = counters(now);
        let allowed = (0..20_000).filter(|_| counters.charge(None, now).is_ok()).count();
        assert_eq!(allowed, 20 * LIMIT as usize);
        assert!(counters.charge(network("192.0.2.7"), now).is_ok());
    }

    #[test]
    fn an_event_is_not_refunded_in_a_later_period() {
        let now = Instant::now();
        let (counters, peer) = (counters(now), network("192.0.2.7"));
        let charge = counters.charge(peer, now).unwrap();
        for _ in 0..LIMIT {
            counters.add(peer, now + MINUTE);
        }
        counters.refund(peer, charge, now + MINUTE);
        assert!(counters.check(peer, now + MINUTE).is_err());
    }

    #[test]
    fn many_networks_of_one_site_share_a_limit() {
        let now = Instant::now();
        for (sites, factor) in [(0x100, 4), (0x1_0000, 16)] {
            let counters = counters(now);
            let charge =
                |number: u32| counters.charge(network(&format!("2001:db8:1:{number:x}::1")), now);
            let allowed = (0..20_000).filter(|number| charge(*number % sites).is_ok()).count();
            assert_eq!(allowed, factor * LIMIT as usize, "a site of {sites} networks");
        }
    }

    #[test]
    fn the_number_of_networks_is_bounded() {
        let now = Instant::now();
        let (counters, first) = (counters(now), network("203.0.113.1"));
        counters.add(first, now);
        for number in 0..70_000_u32 {
            counters.add(Some(std::net::IpAddr::from(number.to_be_bytes()).into()), now);
        }
        assert_eq!(counters.counters(now).networks.len(), MAX_NETWORKS);
        for _ in 1..LIMIT {
            counters.add(first, now);
        }
        assert!(counters.check(first, now).is_err(), "it is counted as before");
    }
}
