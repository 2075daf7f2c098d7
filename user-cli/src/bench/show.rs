//! Results as a person reads them, as JSON, and as HdrHistogram's tools do.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::plot;
use super::summary::{Kind, Ratio, Target};
use crate::failure::Failure;
use crate::figures::{number, span, table};
use crate::output;

/// So much of a core that was missed makes figures doubtful.
const SHARED: f64 = 0.2;

/// All that a bench has to say.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) scenario: &'static str,
    /// How it was done, in words.
    pub(super) how: String,
    pub(super) connections: usize,
    pub(super) depth: usize,
    pub(super) threads: usize,
    pub(super) rate: Option<u32>,
    pub(super) mix: Option<String>,
    pub(super) server: Target,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redis: Option<Target>,
    /// Replies a second of the server through those of the Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio: Option<Ratio>,
}

impl Report {
    pub(super) fn show(&self, json: bool) -> Result<(), Failure> {
        let text = if json {
            serde_json::to_string(self).map_err(|error| Failure::Output(error.into()))?
        } else {
            self.text()
        };
        Ok(output::line(&text)?)
    }

    fn targets(&self) -> impl Iterator<Item = (&'static str, &Target)> {
        [("server", &self.server)]
            .into_iter()
            .chain(self.redis.as_ref().map(|redis| ("redis", redis)))
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {}\n\n", self.scenario, self.how);
        let heads = ["", "rate/s", "least", "most", "replies", "p50", "p90", "p99", "p99.9", "max"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        for (_, target) in self.targets() {
            rows.extend(
                target.median.iter().map(|(name, kind)| row(name, kind, target.range.get(name))),
            );
        }
        text += &table(&rows);
        for (_, target) in self.targets() {
            for (op, latency) in target.latencies.iter().filter(|(_, latency)| !latency.is_empty())
            {
                let _ = write!(text, "\n\n{}\n{}", op.name(), plot::lines(latency).join("\n"));
            }
        }
        text + "\n\n" + &output::aligned(&self.notes())
    }

    fn notes(&self) -> Vec<(String, String)> {
        let mut notes = Vec::new();
        let mut note = |name: &str, text: String| notes.push((name.to_owned(), text));
        for (whose, target) in self.targets() {
            for (name, kind) in &target.median {
                for (code, count) in &kind.refused {
                    note("refused", format!("{name}: {count} times {code}"));
                }
                if kind.unanswered > 0 {
                    note("unanswered", format!("{name}: {}", kind.unanswered));
                }
            }
            let rounds = &target.rounds;
            let unsent: u64 = rounds.iter().map(|round| round.unsent).sum();
            if unsent > 0 {
                note(
                    "not sent",
                    format!(
                        "{unsent} were due and had no place under way; --depth or --connections give more"
                    ),
                );
            }
            if let Some(late) =
                rounds.iter().filter_map(|round| round.sent_late_p99_us).reduce(f64::max)
            {
                note(
                    "sent late",
                    format!("p99 {}: how far the client itself can be trusted", micros(late)),
                );
            }
            if let Some(process) = rounds.last().and_then(|round| round.process) {
                let each = target
                    .median_cpu_us_a_reply
                    .map(|each| format!(", {each:.2} µs a reply"))
                    .unwrap_or_default();
                note(
                    whose,
                    format!("{:.2} cores, {:.2} missed{each}", process.cores, process.cores_missed),
                );
            }
            if let Some(client) = rounds.last().and_then(|round| round.client) {
                let threads = self.threads;
                let name = if self.redis.is_some() {
                    format!("client of {whose}")
                } else {
                    "client".to_owned()
                };
                note(
                    &name,
                    format!(
                        "{:.2} cores, {:.2} missed, {threads} thread(s)",
                        client.cores, client.cores_missed
                    ),
                );
            }
            if rounds.iter().any(|round| round.client_is_the_limit) {
                let what = "this client was busy all the time, and may be what was measured: use more --threads, or a \
                            machine of its own";
                note("BOTTLENECK", what.to_owned());
            }
        }
        let spent = self
            .targets()
            .flat_map(|(_, target)| &target.rounds)
            .flat_map(|round| [round.client, round.process]);
        if spent.flatten().any(|spent| spent.cores_missed > SHARED) {
            note(
                "SHARED",
                "a process was ready and had no core: the figures are those of this crowd"
                    .to_owned(),
            );
        }
        if let Some(ratio) = self.ratio {
            note(
                "server / redis",
                format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.least, ratio.most),
            );
        }
        notes
    }
}

fn row(name: &str, kind: &Kind, range: Option<&[f64; 2]>) -> Vec<String> {
    let [least, most] = range.copied().unwrap_or_default();
    let mut row = vec![
        name.to_owned(),
        number(kind.per_second),
        number(least),
        number(most),
        kind.replies.to_string(),
    ];
    row.extend([kind.p50_us, kind.p90_us, kind.p99_us, kind.p999_us, kind.max_us].map(micros));
    row
}

fn micros(micros: f64) -> String {
    span(Duration::from_nanos((micros * 1000.0) as u64))
}

/// Writes each kind's percentiles, as `HistogramLogProcessor` does, in microseconds.
pub(super) fn write_percentiles(target: &Target, file: &Path) -> Result<(), Failure> {
    for (op, latency) in &target.latencies {
        let path =
            PathBuf::from(format!("{}-{}.hgrm", file.display(), op.name().replace(' ', "-")));
        std::fs::write(&path, percentiles(latency)).map_err(|error| {
            Failure::usage(
                format!("can not write {}: {error}", path.display()),
                "Name another file with --hgrm.",
            )
        })?;
        output::complain(&format!("written: {}", path.display()));
    }
    Ok(())
}

fn percentiles(latency: &Histogram<u64>) -> String {
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut total = 0;
    #[allow(clippy::cast_precision_loss, reason = "a minute of nanoseconds is far from 2^53")]
    for step in latency.iter_quantiles(5) {
        total += step.count_since_last_iteration();
        let value = step.value_iterated_to() as f64 / 1000.0;
        let (quantile, end) =
            (step.quantile_iterated_to(), 1.0 / (1.0 - step.quantile_iterated_to()));
        let end = if end.is_finite() { format!("{end:14.2}") } else { String::new() };
        let _ = writeln!(
            text,
            "{:>12} {:>14} {total:>10} {end}",
            format!("{value:.3}"),
            format!("{quantile:.12}")
        );
    }
    #[allow(clippy::cast_precision_loss, reason = "a minute of nanoseconds is far from 2^53")]
    let max = latency.max() as f64 / 1000.0;
    let (mean, deviation) = (latency.mean() / 1000.0, latency.stdev() / 1000.0);
    let _ = writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let _ = writeln!(text, "#[Max     = {max:12.3}, Total count    = {:12}]", latency.len());
    let _ = writeln!(
        text,
        "#[Buckets = {:12}, SubBuckets     = {:12}]",
        latency.buckets(),
        latency.distinct_values()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_end_with_the_maximum() {
        let mut latency = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        (1..=100).for_each(|micros| latency.record(micros * 1000).unwrap());
        let text = percentiles(&latency);
        assert!(text.lines().next().unwrap().contains("Percentile"));
        assert!(text.contains("Total count    =          100"), "{text}");
    }
}
