//! What runs came to, in figures: each round, and the median over rounds.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::cost::Cost;
use super::engine::Ran;
use super::mix::Op;
use super::tally::Class;
use super::users::code_name;

/// One kind of request in one round, or in the middle of all rounds.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Kind {
    pub(super) replies: u64,
    pub(super) per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p90_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) max_us: f64,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) unanswered: u64,
}

/// What a process spent in a round.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Spent {
    /// Cores that it had on average.
    pub(super) cores: f64,
    /// Threads that were ready on average and had none.
    pub(super) cores_missed: f64,
    pub(super) cpu_us_a_reply: Option<f64>,
}

/// One round of one target.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Round {
    pub(super) seconds: f64,
    pub(super) kinds: BTreeMap<&'static str, Kind>,
    /// How much later than due requests were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sent_late_p99_us: Option<f64>,
    /// Requests that were due and had no place under way.
    pub(super) unsent: u64,
    pub(super) client: Option<Spent>,
    /// Whether the client could not have asked more.
    pub(super) client_is_the_limit: bool,
    pub(super) process: Option<Spent>,
}

/// All rounds of one target.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Target {
    pub(super) addr: String,
    pub(super) rounds: Vec<Round>,
    /// The middle of all rounds, figure by figure.
    pub(super) median: BTreeMap<&'static str, Kind>,
    /// The least and the most replies a second of a round.
    pub(super) range: BTreeMap<&'static str, [f64; 2]>,
    pub(super) median_cpu_us_a_reply: Option<f64>,
    #[serde(skip)]
    pub(super) latencies: BTreeMap<Op, Histogram<u64>>,
}

/// A figure of the server through the same of the other target, round by round.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Ratio {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Round {
    pub(super) fn of(ran: &Ran, threads: usize, is_open: bool) -> Self {
        let kinds = ran
            .tally
            .classes
            .iter()
            .map(|(op, class)| (op.name(), Kind::of(class, ran.took.as_secs_f64())));
        Self {
            seconds: ran.took.as_secs_f64(),
            kinds: kinds.collect(),
            sent_late_p99_us: is_open.then(|| micros(ran.tally.late.value_at_quantile(0.99))),
            unsent: ran.tally.unsent,
            client: ran.own.as_ref().map(Spent::of),
            // What waits for a moment in an open loop, waits on purpose.
            client_is_the_limit: ran.own.is_some_and(|own| own.is_the_limit(threads)),
            process: ran.watched.as_ref().map(Spent::of),
        }
    }
}

impl Kind {
    fn of(class: &Class, seconds: f64) -> Self {
        let at = |quantile| micros(class.latency.value_at_quantile(quantile));
        let refused = class.refused.iter().map(|(code, count)| (code_name(*code), *count));
        #[allow(clippy::cast_precision_loss, reason = "a count of replies is far from 2^53")]
        let per_second = if seconds > 0.0 { class.done as f64 / seconds } else { 0.0 };
        Self {
            replies: class.done,
            per_second,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: micros(class.latency.max()),
            refused: refused.collect(),
            unanswered: class.unanswered,
        }
    }

    /// Each figure's median; what was refused is added up.
    fn middle(kinds: &[&Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(kinds.iter().map(|kind| figure(kind)).collect());
        let mut refused = BTreeMap::new();
        for (name, count) in kinds.iter().flat_map(|kind| &kind.refused) {
            *refused.entry(name.clone()).or_default() += count;
        }
        Self {
            replies: kinds.iter().map(|kind| kind.replies).sum(),
            per_second: of(|kind| kind.per_second),
            p50_us: of(|kind| kind.p50_us),
            p90_us: of(|kind| kind.p90_us),
            p99_us: of(|kind| kind.p99_us),
            p999_us: of(|kind| kind.p999_us),
            max_us: of(|kind| kind.max_us),
            refused,
            unanswered: kinds.iter().map(|kind| kind.unanswered).sum(),
        }
    }
}

impl Spent {
    fn of(cost: &Cost) -> Self {
        Self {
            cores: cost.cores(),
            cores_missed: cost.cores_missed(),
            cpu_us_a_reply: cost.micros_a_reply(),
        }
    }
}

impl Target {
    pub(super) fn new(
        addr: &str,
        rounds: Vec<Round>,
        latencies: BTreeMap<Op, Histogram<u64>>,
    ) -> Self {
        let mut kinds: BTreeMap<_, Vec<&Kind>> = BTreeMap::new();
        rounds
            .iter()
            .flat_map(|round| &round.kinds)
            .for_each(|(name, kind)| kinds.entry(*name).or_default().push(kind));
        let edges = |kinds: &[&Kind]| {
            let rates = || kinds.iter().map(|kind| kind.per_second);
            [rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max)]
        };
        let cpu: Vec<f64> =
            rounds.iter().filter_map(|round| round.process?.cpu_us_a_reply).collect();
        Self {
            addr: addr.to_owned(),
            median: kinds.iter().map(|(name, kinds)| (*name, Kind::middle(kinds))).collect(),
            range: kinds.iter().map(|(name, kinds)| (*name, edges(kinds))).collect(),
            median_cpu_us_a_reply: (!cpu.is_empty()).then(|| median(cpu)),
            rounds,
            latencies,
        }
    }

    /// Good replies a second of each round, of all kinds.
    fn rates(&self) -> impl Iterator<Item = f64> {
        self.rounds.iter().map(|round| round.kinds.values().map(|kind| kind.per_second).sum())
    }
}

impl Ratio {
    /// Rate by rate, of rounds that ran in turn.
    pub(super) fn of_rates(own: &Target, other: &Target) -> Option<Self> {
        let ratios: Vec<f64> = own
            .rates()
            .zip(other.rates())
            .filter(|(_, other)| *other > 0.0)
            .map(|(own, other)| own / other)
            .collect();
        let least = ratios.iter().copied().reduce(f64::min)?;
        let most = ratios.iter().copied().reduce(f64::max)?;
        Some(Self { median: median(ratios), least, most })
    }
}

/// The value in the middle; of two, their mean.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
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
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!((median(vec![7.0]), median(vec![])), (7.0, 0.0));
    }
}
