//! RequestMetrics by type and outcome, and their latency. A token check takes about two microseconds, so
//! that counting it must cost next to nothing: plain atomics in arrays, found by the message's row,
//! and one set of them a thread, so that cores do not fight for a cache line. The library's
//! histogram takes a lock at each observation; here it only writes the text.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Upper bounds of the buckets in nanoseconds: 1, 2, 5 and so on from a microsecond to half a
/// minute, which is the longest that a request may wait.
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
/// The last bucket has no bound.
const BUCKETS: usize = BOUNDS.len() + 1;
/// More sets than this gain nothing that is worth their memory.
const MOST_SHARDS: usize = 64;

/// What the labels may say. A row or an outcome is known by its place here.
#[derive(Debug)]
pub struct RequestLabels {
    /// The types of requests.
    pub types: Vec<&'static str>,
    /// How a request can end.
    pub outcomes: Vec<OutcomeLabel>,
}

/// How a request can end.
#[derive(Debug, Clone, Copy)]
pub struct OutcomeLabel {
    /// Its name.
    pub name: &'static str,
    /// Whether it is shown before it ever happened: what an alert watches has to be.
    pub from_start: bool,
}

/// RequestMetrics by type and outcome, their latency by type, and how many are under way.
#[derive(Debug)]
pub struct RequestMetrics {
    names: RequestLabels,
    shards: Box<[Shard]>,
    in_flight: Gauge,
}

/// What the threads of one number count.
#[derive(Debug)]
struct Shard {
    counts: Box<[AtomicU64]>,
    buckets: Box<[AtomicU64]>,
    nanos: Box<[AtomicU64]>,
}

/// A request under way; dropping it ends it.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The number of this thread among those that count.
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
    pub(super) fn new(names: RequestLabels) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (rows, outcomes) = (names.types.len(), names.outcomes.len());
        let zeros = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        let shard = |_| Shard {
            counts: zeros(rows * outcomes),
            buckets: zeros(rows * BUCKETS),
            nanos: zeros(rows),
        };
        let shards = (0..threads.next_power_of_two().min(MOST_SHARDS)).map(shard).collect();
        Self { names, shards, in_flight: Gauge::default() }
    }

    pub(super) fn register(self: &Arc<Self>, registry: &mut Registry) {
        registry.register(
            "user_server_requests_in_flight",
            "RequestMetrics that are being worked on; token checks and pings are answered at once and are never in flight",
            self.in_flight.clone(),
        );
        registry.register_collector(Box::new(self.clone()));
    }

    /// Counts so many requests of this row that were answered so, and what each took.
    pub fn answered(&self, row: usize, outcome: usize, each: Duration, count: u32) {
        let (Some(shard), count) = (self.shard(), u64::from(count)) else { return };
        shard.count(row * self.names.outcomes.len() + outcome, count);
        let nanos = u64::try_from(each.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < nanos);
        if let (Some(bucket), Some(sum)) =
            (shard.buckets.get(row * BUCKETS + bucket), shard.nanos.get(row))
        {
            bucket.fetch_add(count, Relaxed);
            sum.fetch_add(nanos.saturating_mul(count), Relaxed);
        }
    }

    /// Counts a request of this row that ended so without an answer, and so without a latency.
    pub fn unanswered(&self, row: usize, outcome: usize) {
        if let Some(shard) = self.shard() {
            shard.count(row * self.names.outcomes.len() + outcome, 1);
        }
    }

    /// A request begins to be worked on.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    fn shard(&self) -> Option<&Shard> {
        // Their number is a power of two.
        self.shards.get(thread_number() & (self.shards.len() - 1))
    }

    fn sum(&self, part: impl Fn(&Shard) -> &[AtomicU64], place: usize) -> u64 {
        self.shards
            .iter()
            .filter_map(|shard| part(shard).get(place))
            .map(|count| count.load(Relaxed))
            .sum()
    }
}

impl Shard {
    fn count(&self, place: usize, more: u64) {
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(more, Relaxed);
        }
    }
}

impl Collector for RequestMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let names = &self.names;
        let mut requests = encoder.encode_descriptor(
            "user_server_requests",
            "RequestMetrics by type and outcome: OK, or the name of the error.",
            None,
            MetricType::Counter,
        )?;
        for (row, kind) in names.types.iter().enumerate() {
            for (place, outcome) in names.outcomes.iter().enumerate() {
                let count = self.sum(|shard| &shard.counts, row * names.outcomes.len() + place);
                if count > 0 || outcome.from_start {
                    requests
                        .encode_family(&[("type", *kind), ("outcome", outcome.name)])?
                        .encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
                }
            }
        }
        let mut latency = encoder.encode_descriptor(
            "user_server_request_duration_seconds",
            "From a request's last byte to its reply, by type.",
            None,
            MetricType::Histogram,
        )?;
        for (row, kind) in names.types.iter().enumerate() {
            let counts =
                (0..BUCKETS).map(|bucket| self.sum(|shard| &shard.buckets, row * BUCKETS + bucket));
            let bounds = BOUNDS.iter().map(|nanos| seconds(*nanos)).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
            let count = buckets.iter().map(|(_, count)| count).sum();
            let sum = seconds(self.sum(|shard| &shard.nanos, row));
            latency
                .encode_family(&[("type", *kind)])?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

fn seconds(nanos: u64) -> f64 {
    // Divided, not multiplied by what can not be exact, so that a bound reads `0.000002` and not
    // nearly so.
    #[allow(clippy::cast_precision_loss, reason = "a sum of nanoseconds is exact for three months")]
    let nanos = nanos as f64;
    nanos / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> RequestMetrics {
        let outcome = |name| OutcomeLabel { name, from_start: false };
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
    fn each_thread_counts_and_the_sum_is_told() {
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

    /// Prints what counting costs: `cargo test --release -p user-server --lib counting_costs --
    /// --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn counting_costs_next_to_nothing() {
        let requests = requests();
        let rounds: u32 = 20_000_000;
        let began = std::time::Instant::now();
        for round in 0..rounds {
            requests.answered(
                1,
                std::hint::black_box(0),
                Duration::from_nanos(u64::from(round & 0xFFF)),
                1,
            );
        }
        println!("{:.1} ns a request", began.elapsed().as_secs_f64() * 1e9 / f64::from(rounds));
    }
}
