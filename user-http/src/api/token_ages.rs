//! The age of access tokens, without the clock of this machine: it may differ from that of the
//! service, which states when it has issued a token.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// Relation of the service's clock to the time for which this process runs, as far as tokens have
/// shown it. Until it is known exactly, tokens count as younger than they are.
#[derive(Debug)]
pub struct TokenAges {
    started: Instant,
    /// Seconds between the clock of the service and the start of this process: the smallest
    /// difference that a token has shown since the last one that was issued.
    difference: AtomicI64,
}

impl Default for TokenAges {
    fn default() -> Self {
        Self { started: Instant::now(), difference: AtomicI64::new(i64::MAX) }
    }
}

impl TokenAges {
    /// Learns from a token that the service has issued just now, or a few seconds ago.
    pub(super) fn issued(&self, issued_at: u64) {
        self.difference.store(difference(issued_at, self.now()), Ordering::Relaxed);
    }

    /// Returns the age in seconds of a valid token.
    pub(super) fn age(&self, issued_at: u64) -> u64 {
        self.age_at(issued_at, self.now())
    }

    fn age_at(&self, issued_at: u64, now: u64) -> u64 {
        let shown = difference(issued_at, now);
        let smallest = self.difference.fetch_min(shown, Ordering::Relaxed).min(shown);
        u64::try_from(shown.saturating_sub(smallest)).unwrap_or_default()
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}

fn difference(issued_at: u64, now: u64) -> i64 {
    let signed = |seconds| i64::try_from(seconds).unwrap_or(i64::MAX);
    signed(now).saturating_sub(signed(issued_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_does_not_depend_on_the_difference_between_the_clocks() {
        let local = 1_800_000_000_u64;
        for service in [local - 90, local, local + 90, 1000] {
            let ages = TokenAges::default();
            // `now` is the time for which the process runs, or that of any other clock.
            for own in [0, local] {
                ages.difference.store(difference(service, own), Ordering::Relaxed);
                assert_eq!(ages.age_at(service, own), 0);
                assert_eq!(ages.age_at(service, own + 61), 61, "{service}");
                assert_eq!(ages.age_at(service + 61, own + 61), 0, "{service}");
                assert_eq!(ages.age_at(service - 300, own + 61), 361, "{service}");
            }
        }
    }

    #[test]
    fn before_a_token_was_issued_the_youngest_one_counts_as_new() {
        let ages = TokenAges::default();
        assert_eq!(ages.age_at(1000, 5), 0);
        assert_eq!(ages.age_at(1000, 66), 61);
        assert_eq!(ages.age_at(1200, 66), 0);
        assert_eq!(ages.age_at(1000, 66), 200);
        // The clock of the service was set back.
        ages.issued(500);
        assert_eq!(ages.age_at(500, ages.now()), 0);
    }
}
