//! The counters of a verifier.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

use super::verdict::{Status, VerifyError};

const STRIPES: usize = 16;

/// Counters in stripes, so that cores that check different tokens do not share a cache line.
#[derive(Default)]
pub(super) struct Counters([Stripe; STRIPES]);

#[derive(Default)]
#[repr(align(64))]
struct Stripe([AtomicU64; 7]);

#[derive(Clone, Copy)]
pub(super) enum Counter {
    Valid,
    Invalid,
    Expired,
    Revoked,
    CacheHit,
    Asked,
    Unavailable,
}

impl Counters {
    /// Adds 1 to a counter. `stripe` should differ between tokens.
    pub(super) fn add(&self, counter: Counter, stripe: usize) {
        if let Some(Stripe(counters)) = self.0.get(stripe % STRIPES)
            && let Some(value) = counters.get(counter as usize)
        {
            value.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts the result of a check in memory.
    pub(super) fn count<T>(&self, result: &Result<T, VerifyError>, stripe: usize) {
        let counter = match result {
            Ok(_) => Counter::Valid,
            Err(VerifyError::Invalid) => Counter::Invalid,
            Err(VerifyError::Expired) => Counter::Expired,
            Err(VerifyError::Revoked) => Counter::Revoked,
            Err(VerifyError::Unavailable) => Counter::Unavailable,
        };
        self.add(counter, stripe);
    }

    /// Returns a status with the sums of all counters.
    pub(super) fn status(&self) -> Status {
        let sums: [u64; 7] = array::from_fn(|index| {
            let counter = |stripe: &Stripe| stripe.0.get(index).map(|n| n.load(Ordering::Relaxed));
            self.0.iter().filter_map(counter).sum()
        });
        let [valid, invalid, expired, revoked, cache_hits, asked, unavailable] = sums;
        Status {
            valid,
            invalid,
            expired,
            revoked,
            cache_hits,
            asked,
            unavailable,
            ..Status::default()
        }
    }
}
