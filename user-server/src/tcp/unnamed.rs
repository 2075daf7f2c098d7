//! Requests of trusted peers that state no client_address. All of them share one rate-limiting
//! budget, which is hardly what the operator of a gateway wants, so a warning says so.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::ConnectionMetrics;

/// Number of requests before the first warning: a gateway soon sends more, but an operator who
/// tries the service by hand does not.
const UNNOTICED: u64 = 100;
/// Interval between two warnings.
const WARN_EVERY: Duration = Duration::from_secs(3600);

/// Counter of requests from trusted peers that state no `client_address`, with a warning once an
/// hour.
pub struct UnnamedRequests {
    origin: Instant,
    /// Number of requests so far.
    seen: AtomicU64,
    /// Earliest time of the next warning, in milliseconds after `origin`.
    next_warning: AtomicU64,
}

impl Default for UnnamedRequests {
    fn default() -> Self {
        Self { origin: Instant::now(), seen: AtomicU64::new(0), next_warning: AtomicU64::new(0) }
    }
}

impl UnnamedRequests {
    /// Counts a request of the trusted peer with the address `peer`, and logs a warning if one is
    /// due.
    pub(super) fn count(&self, metrics: &ConnectionMetrics, peer: IpAddr) {
        metrics.without_client_address.inc();
        let seen = self.seen.fetch_add(1, Ordering::Relaxed);
        if seen >= UNNOTICED && self.is_warning_due(self.origin.elapsed()) {
            tracing::warn!(
                %peer,
                "a trusted peer sends requests without client_address: all of its end users share \
                 one rate-limiting budget. Send the tag client_address (0xE1), or remove the peer \
                 from TRUSTED_PEERS"
            );
        }
    }

    /// Returns true if a warning is due at the time `elapsed` after `origin`, and schedules the
    /// next one.
    fn is_warning_due(&self, elapsed: Duration) -> bool {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let next = self.next_warning.load(Ordering::Relaxed);
        millis(elapsed) >= next
            && self
                .next_warning
                .compare_exchange(
                    next,
                    millis(elapsed.saturating_add(WARN_EVERY)),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_is_repeated_every_hour() {
        let requests = UnnamedRequests::default();
        let due = |seconds| requests.is_warning_due(Duration::from_secs(seconds));
        assert!(due(5));
        assert!(!due(5) && !due(3604));
        assert!(due(3605) && !due(3606));
    }
}
