//! Metrics of the hash pool: its queue, the time that hashes wait and take, and refused hashes.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::series::{Label, counters, gauge};

/// Buckets in seconds: a hash takes from 10 ms to about a second, and waits until the request's
/// deadline at most.
const BUCKETS: [f64; 13] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Reason for which a hash was not computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashRefusal {
    /// The queue was full.
    QueueFull,
    /// The hash would not have been completed before the deadline of its request.
    TooLate,
    /// The client had left before the hash was started.
    ClientGone,
}

impl HashRefusal {
    const ALL: [Self; 3] = [Self::QueueFull, Self::TooLate, Self::ClientGone];

    fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::TooLate => "too_late",
            Self::ClientGone => "caller_gone",
        }
    }
}

/// Metrics of the hash pool.
#[derive(Debug)]
pub struct HashMetrics {
    /// Number of hashes being computed.
    pub running: Gauge,
    /// Number of hashes waiting in the queue.
    pub waiting: Gauge,
    /// Maximum number of hashes computed at the same time.
    pub threads: Gauge,
    /// Maximum number of hashes in the queue.
    pub queue: Gauge,
    /// Time that hashes wait in the queue, in seconds.
    pub wait: Histogram,
    /// Time that hashes take once they are started, in seconds.
    pub duration: Histogram,
    refused: Family<Label, Counter>,
}

impl HashMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        Self::build(Some(registry))
    }

    fn build(registry: Option<&mut Registry>) -> Self {
        let mut scratch = Registry::default();
        let registry = registry.unwrap_or(&mut scratch);
        let (wait, duration) = (Histogram::new(BUCKETS), Histogram::new(BUCKETS));
        registry.register_with_unit(
            "user_server_hash_wait",
            "Time that password hashes waited in the queue",
            Unit::Seconds,
            wait.clone(),
        );
        registry.register_with_unit(
            "user_server_hash_duration",
            "Time that password hashes took",
            Unit::Seconds,
            duration.clone(),
        );
        let refused = counters("reason", HashRefusal::ALL.map(HashRefusal::name));
        registry.register(
            "user_server_hashes_refused",
            "Password hashes that were not computed, by reason",
            refused.clone(),
        );
        Self {
            running: gauge(
                registry,
                "user_server_hashes_running",
                "Password hashes being computed",
            ),
            waiting: gauge(
                registry,
                "user_server_hashes_waiting",
                "Password hashes waiting in the queue",
            ),
            threads: gauge(
                registry,
                "user_server_hash_threads",
                "Maximum number of password hashes computed at the same time (HASH_THREADS)",
            ),
            queue: gauge(
                registry,
                "user_server_hash_queue_max",
                "Maximum number of password hashes in the queue (HASH_QUEUE)",
            ),
            wait,
            duration,
            refused,
        }
    }

    /// Counts a hash that was not computed.
    pub fn refuse(&self, reason: HashRefusal) {
        self.refused.get_or_create(&[("reason", reason.name())]).inc();
    }
}

/// Metrics that are not exposed, for tests and probes.
impl Default for HashMetrics {
    fn default() -> Self {
        Self::build(None)
    }
}
