//! Time as a parameter, so that tests can control it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The largest difference between the clocks of two nodes that the service allows for.
pub const CLOCK_SKEW: Duration = Duration::from_secs(2);

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Latest time that the protocol can express, in seconds since 1970: the largest integer that
    /// JavaScript represents exactly.
    pub const MAX_SECONDS: u64 = (1 << 53) - 1;

    /// Returns the time `span` later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// Returns the time `span` earlier.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// Returns the time that has passed since `earlier`, or zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns the Unix time in whole seconds, or zero for a time before 1970.
    #[must_use]
    pub fn seconds(self) -> u64 {
        u64::try_from(self.0 / 1000).unwrap_or(0)
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A source of the current time.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(0).plus(since)
    }
}

/// Clock that shows the time of the database server, which all nodes share: the local clock plus a
/// correction.
pub struct SharedClock {
    base: Arc<dyn Clock>,
    /// Correction to add to the local clock, in milliseconds.
    ahead: AtomicI64,
}

impl SharedClock {
    /// Creates a clock that shows the time of `base`, the local clock, until it is corrected.
    #[must_use]
    pub fn new(base: Arc<dyn Clock>) -> Self {
        Self { base, ahead: AtomicI64::new(0) }
    }

    /// Corrects the clock: the shared clock showed `shared` when the local one showed `local`, up
    /// to an `error`. A clock that is right within the error is left alone. Returns by how many
    /// milliseconds the shown time jumps.
    pub fn correct(&self, shared: Timestamp, local: Timestamp, error: Duration) -> i64 {
        let ahead = shared.0.saturating_sub(local.0);
        let jump = ahead.saturating_sub(self.ahead.load(Ordering::SeqCst));
        // The difference of two times in whole milliseconds is up to a millisecond off.
        let error = error.saturating_add(Duration::from_millis(1));
        if Duration::from_millis(jump.unsigned_abs()) <= error {
            return 0;
        }
        self.ahead.store(ahead, Ordering::SeqCst);
        jump
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.base.now().0.saturating_add(self.ahead.load(Ordering::SeqCst)))
    }
}

/// Clock for tests, which can be advanced, set back and frozen.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    ahead: AtomicI64,
    /// Time at which the clock was frozen, in milliseconds since 1970, or zero while it runs.
    frozen_at: AtomicI64,
}

impl ShiftedClock {
    /// Advances the clock by `span`.
    pub fn advance(&self, span: Duration) {
        self.ahead.fetch_add(millis(span), Ordering::SeqCst);
    }

    /// Sets the clock back by `span`.
    pub fn set_back(&self, span: Duration) {
        self.ahead.fetch_sub(millis(span), Ordering::SeqCst);
    }

    /// Freezes the clock: afterwards only [`ShiftedClock::advance`] and [`ShiftedClock::set_back`]
    /// move it.
    pub fn freeze(&self) {
        self.frozen_at.store(SystemClock.now().0, Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        let base = match self.frozen_at.load(Ordering::SeqCst) {
            0 => SystemClock.now().0,
            frozen => frozen,
        };
        Timestamp(base.saturating_add(self.ahead.load(Ordering::SeqCst)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_right_within_the_error_does_not_move() {
        let base = Arc::new(ShiftedClock::default());
        base.freeze();
        let (clock, local) = (SharedClock::new(base.clone()), base.now());
        let error = Duration::from_micros(1500);
        let shared = |millis| Timestamp(local.0 + millis);
        for millis in [-2, -1, 0, 1, 2] {
            assert_eq!(clock.correct(shared(millis), local, error), 0, "{millis} ms");
            assert_eq!(clock.now(), local, "{millis} ms");
        }
        for millis in [3, -3, 300_000, -300_000, 0] {
            let before = clock.now();
            assert_eq!(clock.correct(shared(millis), local, error), shared(millis).0 - before.0);
            assert_eq!(clock.now(), shared(millis), "{millis} ms");
        }
    }
}
