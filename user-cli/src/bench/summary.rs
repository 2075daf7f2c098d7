//! Results of the runs: one summary per run, and medians over all runs.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::counters::OpCounters;
use super::cpu::CpuUsage;
use super::engine::{Plan, RunResult};
use super::mix::Op;
use super::user_service::code_name;

/// Results of one kind of request, in one run or as medians over all runs.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct OpSummary {
    pub(crate) replies: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
    /// Number of error replies by name of the error.
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) unanswered: u64,
}

/// CPU usage of a process during a run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct CpuSummary {
    /// Average number of cores in use.
    pub(crate) cores: f64,
    /// Average number of runnable threads waiting for a core.
    pub(crate) threads_waiting: f64,
    /// CPU time per reply in milliseconds; `None` without replies.
    pub(crate) cpu_ms_per_reply: Option<f64>,
}

/// Results of one run against one target.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RunSummary {
    /// Length of the measured window in milliseconds.
    pub(crate) duration_ms: f64,
    /// Results by kind of request.
    pub(crate) ops: BTreeMap<&'static str, OpSummary>,
    /// 99th percentile, in milliseconds, of the delay between the due time of a request and its
    /// sending; `None` in a closed loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) send_delay_p99_ms: Option<f64>,
    /// Number of requests that were due but not sent, since every slot was in use.
    pub(crate) unsent: u64,
    pub(crate) client: Option<CpuSummary>,
    /// True if the client was the bottleneck.
    pub(crate) client_saturated: bool,
    /// CPU usage of the target, if its process id was given.
    pub(crate) process: Option<CpuSummary>,
}

/// Results of all runs against one target: the server under test or Redis.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Target {
    pub(crate) addr: String,
    pub(crate) runs: Vec<RunSummary>,
    /// Medians over all runs, by kind of request.
    pub(crate) median: BTreeMap<&'static str, OpSummary>,
    /// Lowest and highest number of replies per second among the runs, by kind of request.
    pub(crate) range: BTreeMap<&'static str, [f64; 2]>,
    /// CPU time of the target per reply in milliseconds, median over all runs; `None` if it was not
    /// measured.
    pub(crate) median_cpu_ms_per_reply: Option<f64>,
    /// Latencies of all runs in nanoseconds, by kind of request.
    #[serde(skip)]
    pub(crate) latencies: BTreeMap<Op, Histogram<u64>>,
}

/// Ratio of the replies per second of two targets, over pairs of runs.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl RunSummary {
    fn new(result: &RunResult, plan: &Plan) -> Self {
        let seconds = result.duration.as_secs_f64();
        let counters = &result.counters;
        let delay = millis(counters.send_delay.value_at_quantile(0.99));
        Self {
            duration_ms: seconds * 1000.0,
            ops: counters
                .ops
                .iter()
                .map(|(op, counters)| (op.name(), OpSummary::new(counters, seconds)))
                .collect(),
            send_delay_p99_ms: plan.rate.map(|_| delay),
            unsent: counters.unsent,
            client: result.client_cpu.as_ref().map(CpuSummary::new),
            client_saturated: result.client_cpu.is_some_and(|cpu| cpu.is_saturated(plan.threads)),
            process: result.observed_cpu.as_ref().map(CpuSummary::new),
        }
    }
}

impl OpSummary {
    fn new(counters: &OpCounters, seconds: f64) -> Self {
        let quantile = |quantile| millis(counters.latency.value_at_quantile(quantile));
        let refused = counters.refused.iter().map(|(code, count)| (code_name(*code), *count));
        #[allow(clippy::cast_precision_loss, reason = "a count of replies is far from 2^53")]
        let per_second = if seconds > 0.0 { counters.replies as f64 / seconds } else { 0.0 };
        Self {
            replies: counters.replies,
            per_second,
            p50_ms: quantile(0.5),
            p90_ms: quantile(0.9),
            p99_ms: quantile(0.99),
            p999_ms: quantile(0.999),
            max_ms: millis(counters.latency.max()),
            refused: refused.collect(),
            unanswered: counters.unanswered,
        }
    }

    /// Returns the median of each rate and latency, and the sum of each count.
    fn median(runs: &[&Self]) -> Self {
        let of = |value: fn(&Self) -> f64| median(runs.iter().map(|run| value(run)).collect());
        let mut refused = BTreeMap::new();
        for (name, count) in runs.iter().flat_map(|run| &run.refused) {
            *refused.entry(name.clone()).or_default() += count;
        }
        Self {
            replies: runs.iter().map(|run| run.replies).sum(),
            per_second: of(|run| run.per_second),
            p50_ms: of(|run| run.p50_ms),
            p90_ms: of(|run| run.p90_ms),
            p99_ms: of(|run| run.p99_ms),
            p999_ms: of(|run| run.p999_ms),
            max_ms: of(|run| run.max_ms),
            refused,
            unanswered: runs.iter().map(|run| run.unanswered).sum(),
        }
    }
}

impl CpuSummary {
    fn new(usage: &CpuUsage) -> Self {
        Self {
            cores: usage.cores(),
            threads_waiting: usage.threads_waiting(),
            cpu_ms_per_reply: usage.millis_per_reply(),
        }
    }
}

/// Results of the runs against one target so far.
#[derive(Default)]
pub(crate) struct Results {
    runs: Vec<RunSummary>,
    latencies: BTreeMap<Op, Histogram<u64>>,
}

impl Results {
    /// Returns true if no run has been added.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(crate) fn add(&mut self, result: &RunResult, plan: &Plan) {
        self.runs.push(RunSummary::new(result, plan));
        for (op, counters) in &result.counters.ops {
            match self.latencies.get_mut(op) {
                // Cannot fail: all histograms have the same bounds.
                Some(latency) => drop(latency.add(&counters.latency)),
                None => drop(self.latencies.insert(*op, counters.latency.clone())),
            }
        }
    }

    /// Returns the results with the medians over all runs. `addr` is the address of the server
    /// under test or of the one that it is compared with.
    pub(crate) fn into_target(self, addr: &str) -> Target {
        let Self { runs, latencies } = self;
        let mut ops: BTreeMap<_, Vec<&OpSummary>> = BTreeMap::new();
        for (name, op) in runs.iter().flat_map(|run| &run.ops) {
            ops.entry(*name).or_default().push(op);
        }
        let range = |runs: &[&OpSummary]| {
            let rates = || runs.iter().map(|run| run.per_second);
            [rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max)]
        };
        let cpu: Vec<f64> = runs.iter().filter_map(|run| run.process?.cpu_ms_per_reply).collect();
        Target {
            addr: addr.to_owned(),
            median: ops.iter().map(|(name, runs)| (*name, OpSummary::median(runs))).collect(),
            range: ops.iter().map(|(name, runs)| (*name, range(runs))).collect(),
            median_cpu_ms_per_reply: (!cpu.is_empty()).then(|| median(cpu)),
            runs,
            latencies,
        }
    }
}

impl Target {
    /// Returns the number of replies per second of each run, over all kinds of requests.
    fn rates(&self) -> impl Iterator<Item = f64> {
        self.runs.iter().map(|run| run.ops.values().map(|op| op.per_second).sum())
    }
}

impl Ratio {
    /// Compares the runs of two targets pairwise. Returns `None` if no run of `other` has replies.
    pub(crate) fn of_rates(target: &Target, other: &Target) -> Option<Self> {
        let ratios: Vec<f64> = target
            .rates()
            .zip(other.rates())
            .filter(|(_, other)| *other > 0.0)
            .map(|(rate, other)| rate / other)
            .collect();
        let min = ratios.iter().copied().reduce(f64::min)?;
        let max = ratios.iter().copied().reduce(f64::max)?;
        Some(Self { median: median(ratios), min, max })
    }
}

/// Returns the median, or 0 without values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(below), Some(above)) if values.len().is_multiple_of(2) => {
            f64::midpoint(*below, *above)
        }
        (_, Some(value)) => *value,
        _ => 0.0,
    }
}

#[allow(clippy::cast_precision_loss, reason = "a minute of nanoseconds is far from 2^53")]
fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_a_mean() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!((median(vec![7.0]), median(vec![])), (7.0, 0.0));
    }
}
