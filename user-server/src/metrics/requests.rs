//! Requests by type and outcome, and their latency. A token check takes about two microseconds, so
//! counting it must cost next to nothing: plain atomics in arrays, indexed by message type, in one
//! shard per thread, so that cores do not contend for a cache line. The histogram of the metrics
//! library would take a lock at each observation; here the library only writes the text.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Upper bounds of the buckets in nanoseconds: 1, 2, 5 and so on, from a microsecond to half a
/// minute, which is the longest deadline of a request.
const BOUNDS: [u64; 23] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
];
/// Number of buckets; the last one has no upper bound.
const BUCKETS: usize = BOUNDS.len() + 1;
/// Maximum number of shards; more would not be worth their memory.
const MAX_SHARDS: usize = 64;

/// All values of the labels. A type or an outcome is identified by its index here.
#[derive(Debug)]
pub struct RequestLabels {
    /// Names of the request types.
    pub types: Vec<&'static str>,
    pub outcomes: Vec<OutcomeLabel>,
}

/// An outcome of a request, as a label.
#[derive(Debug, Clone, Copy)]
pub struct OutcomeLabel {
    pub name: &'static str,
    /// Set if the series is exposed at zero before its first event, as alerts require.
    pub always_shown: bool,
}

/// Requests by type and outcome, their latency by type, and the number in flight.
#[derive(Debug)]
pub struct RequestMetrics {
    labels: RequestLabels,
    shards: Box<[Shard]>,
    in_flight: Gauge,
}

/// Counters of the threads that are assigned to one shard.
#[derive(Debug)]
struct Shard {
    counts: Box<[AtomicU64]>,
    buckets: Box<[AtomicU64]>,
    nanos: Box<[AtomicU64]>,
}

/// Guard that counts a request as in flight until it is dropped.
#[derive(Debug)]
pub struct RequestGuard(Gauge);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Returns the number of the current thread, in the order in which threads first counted a request.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    NUMBER.with(|number| match number.get() {
        Some(number) => number,
        None => {
            let next = NEXT.fetch_add(1, Relaxed);
            number.set(Some(next));
            next
        }
    })
}

impl RequestMetrics {
    pub(super) fn new(labels: RequestLabels) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (types, outcomes) = (labels.types.len(), labels.outcomes.len());
        let zeros = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        let shard = |_| Shard {
            counts: zeros(types * outcomes),
            buckets: zeros(types * BUCKETS),
            nanos: zeros(types),
        };
        let shards = (0..threads.next_power_of_two().min(MAX_SHARDS)).map(shard).collect();
        Self { labels, shards, in_flight: Gauge::default() }
    }

    pub(super) fn register(self: &Arc<Self>, registry: &mut Registry) {
        registry.register(
            "user_server_requests_in_flight",
            "Requests being executed; token checks and pings are answered at once and are never in \
             flight",
            self.in_flight.clone(),
        );
        registry.register_collector(Box::new(self.clone()));
    }

    /// Counts `count` requests of one type and outcome, each of which was answered after the time
    /// `each`.
    pub fn answered(&self, type_index: usize, outcome: usize, each: Duration, count: u32) {
        let (Some(shard), count) = (self.shard(), u64::from(count)) else { return };
        shard.count(type_index * self.labels.outcomes.len() + outcome, count);
        let nanos = u64::try_from(each.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < nanos);
        if let (Some(bucket), Some(sum)) =
            (shard.buckets.get(type_index * BUCKETS + bucket), shard.nanos.get(type_index))
        {
            bucket.fetch_add(count, Relaxed);
            sum.fetch_add(nanos.saturating_mul(count), Relaxed);
        }
    }

    /// Counts a request that was never answered, and so has no latency.
    pub fn unanswered(&self, type_index: usize, outcome: usize) {
        if let Some(shard) = self.shard() {
            shard.count(type_index * self.labels.outcomes.len() + outcome, 1);
        }
    }

    /// Counts a request as in flight until the returned value is dropped.
    #[must_use]
    pub fn start(&self) -> RequestGuard {
        self.in_flight.inc();
        RequestGuard(self.in_flight.clone())
    }

    fn shard(&self) -> Option<&Shard> {
        // The number of shards is a power of two.
        self.shards.get(thread_number() & (self.shards.len() - 1))
    }

    /// Returns the sum over all shards of the counter with this index.
    fn sum(&self, counters: impl Fn(&Shard) -> &[AtomicU64], index: usize) -> u64 {
        self.shards
            .iter()
            .filter_map(|shard| counters(shard).get(index))
            .map(|count| count.load(Relaxed))
            .sum()
    }
}

impl Shard {
    fn count(&self, index: usize, more: u64) {
        if let Some(count) = self.counts.get(index) {
            count.fetch_add(more, Relaxed);
        }
    }
}

impl Collector for RequestMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let labels = &self.labels;
        let mut requests = encoder.encode_descriptor(
            "user_server_requests",
            "Answered requests, by type and outcome: OK, or the name of the error.",
            None,
            MetricType::Counter,
        )?;
        for (type_index, kind) in labels.types.iter().enumerate() {
            for (index, outcome) in labels.outcomes.iter().enumerate() {
                let index = type_index * labels.outcomes.len() + index;
                let count = self.sum(|shard| &shard.counts, index);
                if count > 0 || outcome.always_shown {
                    requests
                        .encode_family(&[("type", *kind), ("outcome", outcome.name)])?
                        .encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
                }
            }
        }
        let mut latency = encoder.encode_descriptor(
            "user_server_request_duration_seconds",
            "Time from the last byte of a request to its reply, by type.",
            None,
            MetricType::Histogram,
        )?;
        for (type_index, kind) in labels.types.iter().enumerate() {
            let counts = (0..BUCKETS)
                .map(|bucket| self.sum(|shard| &shard.buckets, type_index * BUCKETS + bucket));
            let bounds = BOUNDS.iter().map(|nanos| seconds(*nanos)).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
            let count = buckets.iter().map(|(_, count)| count).sum();
            let sum = seconds(self.sum(|shard| &shard.nanos, type_index));
            latency
                .encode_family(&[("type", *kind)])?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

fn seconds(nanos: u64) -> f64 {
    // Divided, because the inverse cannot be represented exactly: a bound is then printed as
    // `0.000002`.
    #[allow(clippy::cast_precision_loss, reason = "exact up to three months")]
    let nanos = nanos as f64;
    nanos / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> RequestMetrics {
        let outcome = |name| OutcomeLabel { name, always_shown: false };
        RequestMetrics::new(RequestLabels {
            types: vec!["A", "B"],
            outcomes: vec![outcome("OK"), outcome("BAD")],
        })
    }

    fn text(requests: RequestMetrics) -> String {
        let mut registry = Registry::default();
        Arc::new(requests).register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn the_counts_of_all_threads_are_added() {
        let requests = requests();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        requests.answered(1, 1, Duration::from_micros(3), 1);
                    }
                });
            }
        });
        let text = text(requests);
        assert!(
            text.contains("user_server_requests_total{type=\"B\",outcome=\"BAD\"} 4000\n"),
            "{text}"
        );
        assert!(!text.contains("outcome=\"OK\""), "{text}");
        assert!(
            text.contains("user_server_request_duration_seconds_sum{type=\"B\"} 0.012\n"),
            "{text}"
        );
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let requests = requests();
        for nanos in [0, 1_000, 1_001, 2_000, 60_000_000_000] {
            requests.answered(0, 0, Duration::from_nanos(nanos), 1);
        }
        let text = text(requests);
        for (bound, count) in [("0.000001", 2), ("0.000002", 4), ("30.0", 4), ("+Inf", 5)] {
            let line = format!("_bucket{{le=\"{bound}\",type=\"A\"}} {count}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    /// Prints the cost of counting: `cargo test --release -p user-server --lib counting_costs --
    /// --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn counting_costs_next_to_nothing() {
        let requests = requests();
        let rounds: u32 = 20_000_000;
        let started = std::time::Instant::now();
        for round in 0..rounds {
            requests.answered(
                1,
                std::hint::black_box(0),
                Duration::from_nanos(u64::from(round & 0xFFF)),
                1,
            );
        }
        println!("{:.1} ns per request", started.elapsed().as_secs_f64() * 1e9 / f64::from(rounds));
    }
}
