//! Rate limit for lookups of unknown ids and tokens. A lookup costs one read and never a write, so
//! it is counted in the memory of this node.

use std::time::Duration;

use tokio::time::Instant;

use super::budgets::UNNAMED;
use crate::domain::{ClientNetwork, NetworkCharge, NetworkCounters, Refusal};

/// Maximum number of requests with unknown ids or tokens per minute from one network.
pub const UNKNOWN_PER_MINUTE: u32 = 600;
const MINUTE: Duration = Duration::from_secs(60);

/// Counters of lookups per network in the current minute.
pub struct UnknownIds(NetworkCounters);

impl UnknownIds {
    #[must_use]
    pub(super) fn new(now: Instant) -> Self {
        Self(NetworkCounters::new(UNKNOWN_PER_MINUTE, MINUTE, UNNAMED, now))
    }

    /// Counts the lookup of an id or a token from a network, before it is made.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] if the network has made too many lookups of unknown ids in this
    /// minute.
    pub fn charge(
        &self,
        network: Option<ClientNetwork>,
        now: Instant,
    ) -> Result<NetworkCharge, Refusal> {
        self.0.charge(network, now).map_err(|exhausted| Refusal::RateLimited {
            retry_after: exhausted.until.saturating_duration_since(now),
        })
    }

    /// Refunds the lookup of an id or a token that exists.
    pub fn refund(&self, network: Option<ClientNetwork>, charge: NetworkCharge, now: Instant) {
        self.0.refund(network, charge, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_ends_with_the_minute() {
        let now = Instant::now();
        let unknown = UnknownIds::new(now);
        for _ in 0..UNNAMED * UNKNOWN_PER_MINUTE {
            assert!(unknown.charge(None, now).is_ok());
        }
        let refused = unknown.charge(None, now + Duration::from_secs(20));
        assert!(
            matches!(refused, Err(Refusal::RateLimited { retry_after }) if retry_after == MINUTE * 2 / 3)
        );
    }
}
