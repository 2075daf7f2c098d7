//! Time as a parameter, so that a test can turn the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The latest second that leaves the service: the largest whole number that JavaScript holds
    /// exactly.
    pub const MAX_SECONDS: u64 = (1 << 53) - 1;

    /// This much later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// The time from `earlier` to this, zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> u64 {
        u64::try_from(self.0 / 1000).unwrap_or(0)
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Who tells the time.
pub trait Clock: Send + Sync {
    /// The time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(0).plus(since)
    }
}

/// A clock that is set by another one, which all nodes share.
pub struct SharedClock {
    base: Arc<dyn Clock>,
    /// How far the shared clock is ahead of this machine's, in milliseconds.
    ahead: AtomicI64,
}

impl SharedClock {
    /// A clock that is not set yet, and runs as `base` does.
    #[must_use]
    pub fn new(base: Arc<dyn Clock>) -> Self {
        Self { base, ahead: AtomicI64::new(0) }
    }

    /// Sets it: the shared clock said `shared` when this machine's said `own`. By how much it
    /// moved, in milliseconds.
    pub fn set(&self, shared: Timestamp, own: Timestamp) -> i64 {
        let ahead = shared.0.saturating_sub(own.0);
        ahead.saturating_sub(self.ahead.swap(ahead, Ordering::SeqCst))
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.base.now().0.saturating_add(self.ahead.load(Ordering::SeqCst)))
    }
}

/// The machine's clock, moved ahead by hand: what lets a test wait for minutes at once.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    ahead: AtomicI64,
    /// Where the machine's clock was when this one was held, or zero.
    held_at: AtomicI64,
}

impl ShiftedClock {
    /// Moves the time ahead.
    pub fn advance(&self, span: Duration) {
        self.ahead.fetch_add(millis(span), Ordering::SeqCst);
    }

    /// Holds the time: from now on it moves only by hand, however slow the machine is.
    pub fn hold(&self) {
        self.held_at.store(SystemClock.now().0, Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        let base = match self.held_at.load(Ordering::SeqCst) {
            0 => SystemClock.now().0,
            held => held,
        };
        Timestamp(base.saturating_add(self.ahead.load(Ordering::SeqCst)))
    }
}
