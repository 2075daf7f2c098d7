//! The token cache: what it knew, and how it fares.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Label, counters, gauge};

/// A call to Redis takes a fraction of a millisecond, and is given up after 100 ms.
const BUCKETS: [f64; 10] = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25];

/// Whether calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// They are.
    Closed,
    /// They are not, while a new connection is proved.
    HalfOpen,
    /// They are not.
    Open,
}

/// Why a call gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheFailure {
    /// No answer in time.
    Timeout,
    /// The server refused, or the connection broke.
    Error,
    /// The breaker was open, so it was not made.
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

/// The token cache.
#[derive(Debug)]
pub struct CacheMetrics {
    lookups: Family<Label, Counter>,
    failures: Family<Label, Counter>,
    /// How long a call took, in seconds.
    pub took: Histogram,
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
            "Look-ups in the token cache, by result",
            lookups.clone(),
        );
        let failures = counters("reason", CacheFailure::ALL.map(CacheFailure::name));
        registry.register(
            "user_server_cache_failures",
            "Calls to Redis that gave nothing, by reason",
            failures.clone(),
        );
        let took = Histogram::new(BUCKETS);
        registry.register_with_unit(
            "user_server_cache_call_duration",
            "How long calls to Redis took",
            Unit::Seconds,
            took.clone(),
        );
        let breaker = gauge(
            registry,
            "user_server_cache_breaker",
            "Whether Redis is called: 0 yes, 1 a new connection is being proved, 2 no",
        );
        Self { lookups, failures, took, breaker }
    }

    /// A session and its user were looked for.
    pub fn looked_up(&self, known: bool) {
        self.lookups.get_or_create(&[("result", if known { "hit" } else { "miss" })]).inc();
    }

    /// A call gave nothing.
    pub fn fail(&self, why: CacheFailure) {
        self.failures.get_or_create(&[("reason", why.name())]).inc();
    }

    /// Whether calls are made from now on.
    pub fn set_breaker(&self, state: Breaker) {
        self.breaker.set(match state {
            Breaker::Closed => 0,
            Breaker::HalfOpen => 1,
            Breaker::Open => 2,
        });
    }

    /// Whether calls are made.
    #[must_use]
    pub fn reachable(&self) -> bool {
        self.breaker.get() == 0
    }
}

/// Counters that nobody reads.
impl Default for CacheMetrics {
    fn default() -> Self {
        Self::build(None)
    }
}
