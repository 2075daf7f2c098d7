//! Rate limit for the refused requests of untrusted peers, so that answering a flood of them does
//! not take the processor from the requests of others. Nothing is refused because of it: the
//! connections of the peer are read more slowly.

use std::time::Duration;

use tokio::time::Instant;
use user_proto::{ErrorClass, ErrorCode, Reply};

use crate::domain::{ClientNetwork, Exhausted, NetworkCharge, NetworkCounters};

/// Maximum number of refused requests per second from an IPv4 address or an IPv6 /64.
const PER_SECOND: u32 = 256;

/// Counters of the refused requests of each network in the current second. A request counts from
/// its start, since many start before the first one is refused.
pub struct RefusalLimiter(NetworkCounters);

impl Default for RefusalLimiter {
    fn default() -> Self {
        // The network of an untrusted peer is always known.
        Self(NetworkCounters::new(PER_SECOND, Duration::from_secs(1), 1, Instant::now()))
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
        self.0.check(Some(network), now)
    }

    /// Counts a request of a network before it is executed, unless the limit is reached.
    pub(super) fn charge(
        &self,
        network: ClientNetwork,
        now: Instant,
    ) -> Result<NetworkCharge, Exhausted> {
        self.0.charge(Some(network), now)
    }

    /// Counts a request that was refused without having been charged.
    pub(super) fn add(&self, network: ClientNetwork, now: Instant) {
        self.0.add(Some(network), now);
    }

    /// Refunds a request that was not refused.
    pub(super) fn refund(&self, network: ClientNetwork, charge: NetworkCharge, now: Instant) {
        self.0.refund(Some(network), charge, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
