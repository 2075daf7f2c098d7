//! The hashing lane: how deep it is, how long a hash waits and takes, and who got none.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Label, counters, gauge};

/// A hash takes from 10 ms to about a second; a wait ends with the request's deadline.
const BUCKETS: [f64; 13] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Why a hash was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoHash {
    /// The queue is full.
    QueueFull,
    /// It would come too late for its caller.
    TooLate,
    /// Its caller had gone when its turn came.
    CallerGone,
}

impl NoHash {
    const ALL: [Self; 3] = [Self::QueueFull, Self::TooLate, Self::CallerGone];

    fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::TooLate => "too_late",
            Self::CallerGone => "caller_gone",
        }
    }
}

/// The hashing lane.
#[derive(Debug)]
pub struct HashMetrics {
    /// Hashes that are being made.
    pub running: Gauge,
    /// Hashes that wait.
    pub waiting: Gauge,
    /// The most at once.
    pub threads: Gauge,
    /// The most that may wait.
    pub queue: Gauge,
    /// From being queued to being begun, in seconds.
    pub wait: Histogram,
    /// From being begun to being done, in seconds.
    pub took: Histogram,
    none: Family<Label, Counter>,
}

impl HashMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        Self::build(Some(registry))
    }

    fn build(registry: Option<&mut Registry>) -> Self {
        let mut scratch = Registry::default();
        let registry = registry.unwrap_or(&mut scratch);
        let (wait, took) = (Histogram::new(BUCKETS), Histogram::new(BUCKETS));
        registry.register_with_unit(
            "user_server_hash_wait",
            "How long password hashes waited for their turn",
            Unit::Seconds,
            wait.clone(),
        );
        registry.register_with_unit(
            "user_server_hash_duration",
            "How long password hashes took",
            Unit::Seconds,
            took.clone(),
        );
        let none = counters("reason", NoHash::ALL.map(NoHash::name));
        registry.register(
            "user_server_hashes_refused",
            "Password hashes that were not made, by reason",
            none.clone(),
        );
        Self {
            running: gauge(
                registry,
                "user_server_hashes_running",
                "Password hashes that are being made",
            ),
            waiting: gauge(
                registry,
                "user_server_hashes_waiting",
                "Password hashes that wait for their turn",
            ),
            threads: gauge(
                registry,
                "user_server_hash_threads",
                "Password hashes that may be made at once",
            ),
            queue: gauge(registry, "user_server_hash_queue_max", "Password hashes that may wait"),
            wait,
            took,
            none,
        }
    }

    /// A hash was not made.
    pub fn refuse(&self, why: NoHash) {
        self.none.get_or_create(&[("reason", why.name())]).inc();
    }
}

/// Counters that nobody reads.
impl Default for HashMetrics {
    fn default() -> Self {
        Self::build(None)
    }
}
