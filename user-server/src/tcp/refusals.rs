//! Rate limit for the refused requests of untrusted peers, so that answering a flood of them does
//! not take the processor from the requests of others. Nothing is refused because of it: the
//! connections of the peer are read more slowly.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use user_proto::{ErrorClass, ErrorCode, Reply};

use crate::domain::{ClientNetwork, NetworkPrefix};

/// Maximum number of refused requests per second from an IPv4 address or an IPv6 /64.
const PER_SECOND: u32 = 256;
/// Factors by which the limit is multiplied for an IPv4 address or IPv6 /64, for a /56, and for a
/// /48.
const FACTORS: [u32; 3] = [1, 4, 16];
/// Maximum number of networks that are counted in one second. Further networks are not limited
/// until the second ends.
const MAX_NETWORKS: usize = 65_536;
const SECOND: Duration = Duration::from_secs(1);

/// Counters of the refused requests of each network in the current second. A request counts from
/// its start, since many start before the first one is refused.
pub struct RefusalLimiter(Mutex<Counters>);

struct Counters {
    /// Start of the current second.
    since: Instant,
    networks: HashMap<NetworkPrefix, u32>,
}

/// Charge for a request that may be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RefusalCharge {
    /// Start of the second in which it was made.
    second: Instant,
}

/// Error if a network has too many refused requests in this second.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted {
    /// Time at which the second ends.
    pub(super) until: Instant,
}

impl Default for RefusalLimiter {
    fn default() -> Self {
        Self(Mutex::new(Counters { since: Instant::now(), networks: HashMap::new() }))
    }
}

impl RefusalLimiter {
    /// Reports whether a reply counts as a refusal: an error that the client caused.
    pub(super) fn counts(reply: &Reply<'_>) -> bool {
        match reply {
            Reply::ErrorReply(error) => {
                error.code.class() != ErrorClass::Server && error.code != ErrorCode::BUSY
            }
            _ => false,
        }
    }

    /// Checks that a request of a network may be answered, without counting it.
    pub(super) fn check(&self, network: ClientNetwork, now: Instant) -> Result<(), Exhausted> {
        self.counters(now).check(network)
    }

    /// Counts a request of a network before it is executed, unless the limit is reached.
    pub(super) fn charge(
        &self,
        network: ClientNetwork,
        now: Instant,
    ) -> Result<RefusalCharge, Exhausted> {
        let mut counters = self.counters(now);
        counters.check(network)?;
        counters.add(network);
        Ok(RefusalCharge { second: counters.since })
    }

    /// Counts a request that was refused without having been charged.
    pub(super) fn add(&self, network: ClientNetwork, now: Instant) {
        self.counters(now).add(network);
    }

    /// Refunds a request that was not refused, if its second has not ended. The counters of a later
    /// second do not contain it.
    pub(super) fn refund(&self, network: ClientNetwork, charge: RefusalCharge, now: Instant) {
        let mut counters = self.counters(now);
        if counters.since != charge.second {
            return;
        }
        for prefix in network.prefixes() {
            if let Some(count) = counters.networks.get_mut(&prefix) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Returns the counters, reset if the last second has ended.
    fn counters(&self, now: Instant) -> MutexGuard<'_, Counters> {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(counters.since) >= SECOND {
            counters.since = now;
            counters.networks.clear();
        }
        counters
    }
}

impl Counters {
    fn check(&self, network: ClientNetwork) -> Result<(), Exhausted> {
        let exhausted = |(prefix, factor): (NetworkPrefix, u32)| {
            self.networks.get(&prefix).is_some_and(|count| *count >= PER_SECOND * factor)
        };
        if network.prefixes().zip(FACTORS).any(exhausted) {
            return Err(Exhausted { until: self.since + SECOND });
        }
        Ok(())
    }

    fn add(&mut self, network: ClientNetwork) {
        for prefix in network.prefixes() {
            if self.networks.len() < MAX_NETWORKS || self.networks.contains_key(&prefix) {
                *self.networks.entry(prefix).or_default() += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> ClientNetwork {
        text.parse::<std::net::IpAddr>().unwrap().into()
    }

    #[test]
    fn a_network_is_refused_a_number_of_times_a_second() {
        let (limiter, peer) = (RefusalLimiter::default(), network("192.0.2.7"));
        let now = limiter.counters(Instant::now()).since;
        for number in 0..PER_SECOND {
            assert!(limiter.charge(peer, now).is_ok(), "{number}");
            let charge = limiter.charge(network("192.0.2.9"), now).unwrap();
            limiter.refund(network("192.0.2.9"), charge, now);
        }
        let exhausted = Exhausted { until: now + SECOND };
        assert_eq!(limiter.charge(peer, now + SECOND / 2), Err(exhausted));
        assert!(limiter.check(peer, now).is_err());
        assert_eq!(limiter.check(network("192.0.2.9"), now), Ok(()), "its requests succeed");
        assert!(limiter.charge(peer, now + SECOND).is_ok(), "the next second");
        for _ in 0..PER_SECOND {
            limiter.add(peer, now + SECOND);
        }
        assert!(limiter.check(peer, now + SECOND).is_err());
    }

    #[test]
    fn a_request_that_ends_in_a_later_second_refunds_nothing() {
        let (limiter, peer) = (RefusalLimiter::default(), network("192.0.2.7"));
        let now = limiter.counters(Instant::now()).since;
        let charge = limiter.charge(peer, now).unwrap();
        for _ in 0..PER_SECOND {
            limiter.add(peer, now + SECOND);
        }
        limiter.refund(peer, charge, now + SECOND);
        assert!(limiter.check(peer, now + SECOND).is_err());
    }

    #[test]
    fn many_networks_of_one_site_share_a_limit() {
        let limiter = RefusalLimiter::default();
        let now = limiter.counters(Instant::now()).since;
        let charge = |number| limiter.charge(network(&format!("2001:db8:1:{number:x}::1")), now);
        let allowed = (0..20_000).filter(|number| charge(*number).is_ok()).count();
        assert_eq!(allowed, 16 * PER_SECOND as usize, "a /48");
    }

    #[test]
    fn the_number_of_networks_is_bounded() {
        let limiter = RefusalLimiter::default();
        let now = limiter.counters(Instant::now()).since;
        for number in 0..70_000_u32 {
            limiter.add(std::net::IpAddr::from(number.to_be_bytes()).into(), now);
        }
        assert_eq!(limiter.counters(now).networks.len(), MAX_NETWORKS);
    }

    #[test]
    fn only_errors_that_the_client_caused_count() {
        let reply = |code| {
            let message = "m".into();
            Reply::ErrorReply(user_proto::ErrorReply {
                code,
                message,
                retry_after_ms: None,
                field: None,
            })
        };
        for code in [ErrorCode::INVALID_TOKEN, ErrorCode::RATE_LIMITED, ErrorCode::MALFORMED] {
            assert!(RefusalLimiter::counts(&reply(code)), "{code:?}");
        }
        for code in [ErrorCode::BUSY, ErrorCode::UNAVAILABLE, ErrorCode::SHUTTING_DOWN] {
            assert!(!RefusalLimiter::counts(&reply(code)), "{code:?}");
        }
    }
}
