//! Rate limit for lookups of unknown ids and tokens. A lookup costs one read and never a write, so
//! it is counted in the memory of this node.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::budgets::UNNAMED;
use crate::domain::{ClientNetwork, Refusal};

/// Maximum number of requests with unknown ids or tokens per minute from one network.
pub const UNKNOWN_PER_MINUTE: u32 = 600;
/// Maximum number of networks that are counted in one minute. Further networks are not limited
/// until the minute ends.
const MAX_NETWORKS: usize = 65_536;
const MINUTE: Duration = Duration::from_secs(60);

/// Counters of lookups per network in the current minute.
pub struct UnknownIds(Mutex<Counters>);

struct Counters {
    /// Start of the current minute.
    since: Instant,
    networks: HashMap<String, u32>,
}

impl UnknownIds {
    #[must_use]
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(Counters { since: now, networks: HashMap::new() }))
    }

    /// Counts the lookup of an id or a token from a network, before it is made.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] if the network has made too many lookups of unknown ids in this
    /// minute.
    pub fn charge(&self, network: Option<ClientNetwork>, now: Instant) -> Result<(), Refusal> {
        let mut counters = self.counters(now);
        let scopes = scopes(network);
        let exhausted = |(name, factor): &(String, u32)| {
            counters.networks.get(name).is_some_and(|count| *count >= UNKNOWN_PER_MINUTE * factor)
        };
        if scopes.iter().any(exhausted) {
            let retry_after = MINUTE.saturating_sub(now - counters.since);
            return Err(Refusal::RateLimited { retry_after });
        }
        for (name, _) in scopes {
            if counters.networks.len() < MAX_NETWORKS || counters.networks.contains_key(&name) {
                *counters.networks.entry(name).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Refunds the lookup of an id or a token that exists.
    pub fn refund(&self, network: Option<ClientNetwork>, now: Instant) {
        let mut counters = self.counters(now);
        for (name, _) in scopes(network) {
            if let Some(count) = counters.networks.get_mut(&name) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Returns the counters, reset if the last minute has ended.
    fn counters(&self, now: Instant) -> MutexGuard<'_, Counters> {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(counters.since) >= MINUTE {
            *counters = Counters { since: now, networks: HashMap::new() };
        }
        counters
    }
}

fn scopes(network: Option<ClientNetwork>) -> Vec<(String, u32)> {
    network.map_or_else(|| vec![(String::new(), UNNAMED)], ClientNetwork::scopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Option<ClientNetwork> {
        Some(text.parse::<std::net::IpAddr>().unwrap().into())
    }

    #[test]
    fn a_network_has_a_budget_for_each_minute() {
        let now = Instant::now();
        let unknown = UnknownIds::new(now);
        for number in 0..UNKNOWN_PER_MINUTE {
            assert!(unknown.charge(network("192.0.2.7"), now).is_ok(), "{number}");
            assert!(unknown.charge(network("192.0.2.9"), now).is_ok(), "{number}");
            unknown.refund(network("192.0.2.9"), now);
        }
        let refused = unknown.charge(network("192.0.2.7"), now + Duration::from_secs(20));
        let retry_after = Duration::from_secs(40);
        assert!(
            matches!(refused, Err(Refusal::RateLimited { retry_after: r }) if r == retry_after)
        );
        assert!(unknown.charge(network("192.0.2.9"), now).is_ok(), "known ids are free");
        assert!(unknown.charge(None, now).is_ok(), "an end user without an address");
        assert!(unknown.charge(network("192.0.2.7"), now + MINUTE).is_ok(), "the next minute");
    }

    #[test]
    fn many_networks_of_one_site_share_a_budget() {
        let now = Instant::now();
        let unknown = UnknownIds::new(now);
        let mut allowed = 0;
        for number in 0..20_000u32 {
            let network = network(&format!("2001:db8:1:{:x}::1", number % 0x1_0000));
            allowed += u32::from(unknown.charge(network, now).is_ok());
        }
        assert_eq!(allowed, UNKNOWN_PER_MINUTE * 16, "a /48");
    }

    #[test]
    fn the_number_of_networks_is_bounded() {
        let now = Instant::now();
        let unknown = UnknownIds::new(now);
        assert!(unknown.charge(network("203.0.113.1"), now).is_ok());
        for number in 0..70_000u32 {
            let ip = std::net::IpAddr::from(number.to_be_bytes());
            assert!(unknown.charge(Some(ip.into()), now).is_ok());
        }
        assert_eq!(unknown.counters(now).networks.len(), MAX_NETWORKS);
        for _ in 1..UNKNOWN_PER_MINUTE {
            assert!(unknown.charge(network("203.0.113.1"), now).is_ok());
        }
        assert!(unknown.charge(network("203.0.113.1"), now).is_err(), "it is counted as before");
    }
}
