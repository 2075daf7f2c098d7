//! Metrics of the cache of sessions and users: lookups, failures, and the circuit breaker.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::series::{Label, counters, gauge};

/// Buckets in seconds: a call to Redis takes a fraction of a millisecond, and is abandoned after
/// 100 ms.
const BUCKETS: [f64; 10] = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25];

/// State of the circuit breaker for Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// Calls to Redis are made.
    Closed,
    /// Calls to Redis fail at once while a new connection is tested.
    HalfOpen,
    /// Calls to Redis fail at once.
    Open,
}

/// Reason for which a call to Redis failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheFailure {
    /// Redis did not answer in time.
    Timeout,
    /// Redis returned an error, or the connection was lost.
    Error,
    /// The call was not made because the circuit breaker was open.
    Open,
}

impl CacheFailure {
    const ALL: [Self; 3] = [Self::Timeout, Self::Error, Self::Open];

    fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Error => "error",
            Self::Open => "open",
        }
    }
}

/// Metrics of the cache.
#[derive(Debug)]
pub struct CacheMetrics {
    lookups: Family<Label, Counter>,
    failures: Family<Label, Counter>,
    /// Duration of calls to Redis, in seconds.
    pub duration: Histogram,
    breaker: Gauge,
}

impl CacheMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        Self::build(Some(registry))
    }

    fn build(registry: Option<&mut Registry>) -> Self {
        let mut scratch = Registry::default();
        let registry = registry.unwrap_or(&mut scratch);
        let lookups = counters("result", ["hit", "miss"]);
        registry.register(
            "user_server_cache_lookups",
            "Lookups in the cache, by result",
            lookups.clone(),
        );
        let failures = counters("reason", CacheFailure::ALL.map(CacheFailure::name));
        registry.register(
            "user_server_cache_failures",
            "Failed calls to Redis, by reason",
            failures.clone(),
        );
        let duration = Histogram::new(BUCKETS);
        registry.register_with_unit(
            "user_server_cache_call_duration",
            "Duration of calls to Redis",
            Unit::Seconds,
            duration.clone(),
        );
        let breaker = gauge(
            registry,
            "user_server_cache_breaker",
            "State of the circuit breaker for Redis: 0 closed, 1 half-open (testing a new \
             connection), 2 open",
        );
        Self { lookups, failures, duration, breaker }
    }

    /// Counts a lookup of a session and its user in the cache; `hit` means that they were found.
    pub fn record_lookup(&self, hit: bool) {
        self.lookups.get_or_create(&[("result", if hit { "hit" } else { "miss" })]).inc();
    }

    /// Counts a failed call to Redis.
    pub fn fail(&self, reason: CacheFailure) {
        self.failures.get_or_create(&[("reason", reason.name())]).inc();
    }

    /// Sets the state of the circuit breaker.
    pub fn set_breaker(&self, state: Breaker) {
        self.breaker.set(match state {
            Breaker::Closed => 0,
            Breaker::HalfOpen => 1,
            Breaker::Open => 2,
        });
    }

    /// Returns true if the circuit breaker is closed.
    #[must_use]
    pub fn reachable(&self) -> bool {
        self.breaker.get() == 0
    }
}

/// Metrics that are not exposed, for tests and probes.
impl Default for CacheMetrics {
    fn default() -> Self {
        Self::build(None)
    }
}
