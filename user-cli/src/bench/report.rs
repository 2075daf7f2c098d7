//! The report of a load test: as text, as JSON, and as percentiles for HdrHistogram's tools.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::plot;
use super::summary::{OpSummary, Ratio, Target};
use crate::failure::Failure;
use crate::format::{aligned, counted, latency, number, table};
use crate::output;

/// Average number of threads waiting for a core above which the report contains a warning.
const CPU_CONTENTION: f64 = 0.2;

#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: &'static str,
    /// The parameters of the test as text.
    pub(crate) description: String,
    pub(crate) connections: usize,
    pub(crate) depth: usize,
    pub(crate) threads: usize,
    /// Requests per second of an open loop; `None` for a closed loop.
    pub(crate) rate: Option<u32>,
    pub(crate) mix: Option<String>,
    /// True if Ctrl-C ended the test early; the results are then partial.
    pub(crate) interrupted: bool,
    pub(crate) server: Target,
    /// The server that it is compared with, if any, by its name.
    #[serde(flatten)]
    pub(crate) peer: BTreeMap<&'static str, Target>,
    /// Replies per second of the server divided by those of its peer; `None` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<Ratio>,
}

impl Report {
    pub(crate) fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            output::json(self)?
        } else {
            output::line(&self.text())?
        }
        Ok(())
    }

    fn targets(&self) -> impl Iterator<Item = (&'static str, &Target)> {
        [("server", &self.server)]
            .into_iter()
            .chain(self.peer.iter().map(|(name, peer)| (*name, peer)))
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {}\n\n", self.scenario, self.description);
        let heads =
            ["", "rate/s", "min/s", "max/s", "replies", "p50", "p90", "p99", "p99.9", "max"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        for (_, target) in self.targets() {
            rows.extend(
                target.median.iter().map(|(name, op)| row(name, op, target.range.get(name))),
            );
        }
        text += &table(&rows);
        for (_, target) in self.targets() {
            for (op, latency) in target.latencies.iter().filter(|(_, latency)| !latency.is_empty())
            {
                let _ = write!(text, "\n\n{}\n{}", op.name(), plot::lines(latency).join("\n"));
            }
        }
        text + "\n\n" + &aligned(&self.notes())
    }

    /// Returns the notes that are printed below the table of results, as (name, text).
    fn notes(&self) -> Vec<(String, String)> {
        let mut notes = Vec::new();
        let mut note = |name: &str, text: String| notes.push((name.to_owned(), text));
        if self.interrupted {
            note("INTERRUPTED", "these are the results until then".to_owned());
        }
        for (target_name, target) in self.targets() {
            for (name, op) in &target.median {
                for (code, count) in &op.refused {
                    note("refused", format!("{name}: {count} times {code}"));
                }
                if op.unanswered > 0 {
                    note("unanswered", format!("{name}: {}", op.unanswered));
                }
            }
            let runs = &target.runs;
            let unsent: u64 = runs.iter().map(|run| run.unsent).sum();
            if unsent > 0 {
                let advice = "every slot was in use; increase --depth or --connections";
                note("not sent", format!("{unsent} requests: {advice}"));
            }
            if let Some(delay) =
                runs.iter().filter_map(|run| run.send_delay_p99_ms).reduce(f64::max)
            {
                note("send delay", format!("p99 {} behind schedule", millis(delay)));
            }
            if let Some(process) = runs.last().and_then(|run| run.process) {
                let cpu = target
                    .median_cpu_ms_per_reply
                    .map(|cpu| format!(", {:.2} µs per reply", cpu * 1000.0))
                    .unwrap_or_default();
                note(
                    target_name,
                    format!(
                        "{:.2} cores, {:.2} threads waiting for a core{cpu}",
                        process.cores, process.threads_waiting
                    ),
                );
            }
            if let Some(client) = runs.last().and_then(|run| run.client) {
                let name = match self.peer.is_empty() {
                    true => "client".to_owned(),
                    false => format!("client of {target_name}"),
                };
                note(
                    &name,
                    format!(
                        "{:.2} cores, {:.2} threads waiting for a core, of {}",
                        client.cores,
                        client.threads_waiting,
                        counted(self.threads, "thread")
                    ),
                );
            }
            if runs.iter().any(|run| run.client_saturated) {
                let text = "the client was always busy and may have limited the rate: use more \
                            --threads, or run it on another machine";
                note("BOTTLENECK", text.to_owned());
            }
        }
        let mut cpu = self
            .targets()
            .flat_map(|(_, target)| &target.runs)
            .flat_map(|run| [run.client, run.process])
            .flatten();
        if cpu.any(|cpu| cpu.threads_waiting > CPU_CONTENTION) {
            let text = "threads had to wait for a core: other processes influence the results";
            note("CPU CONTENTION", text.to_owned());
        }
        if let (Some(ratio), Some(peer)) = (self.ratio, self.peer.keys().next()) {
            note(
                &format!("server / {peer}"),
                format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.min, ratio.max),
            );
        }
        notes
    }
}

fn row(name: &str, op: &OpSummary, range: Option<&[f64; 2]>) -> Vec<String> {
    let [min, max] = range.copied().unwrap_or_default();
    let mut row = vec![
        name.to_owned(),
        number(op.per_second),
        number(min),
        number(max),
        op.replies.to_string(),
    ];
    row.extend([op.p50_ms, op.p90_ms, op.p99_ms, op.p999_ms, op.max_ms].map(millis));
    row
}

fn millis(millis: f64) -> String {
    latency(Duration::from_nanos((millis * 1e6) as u64))
}

/// Checks that files with this prefix can be written.
///
/// # Errors
/// If the directory does not exist or cannot be written to.
pub(crate) fn check_writable(file: &Path) -> Result<(), Failure> {
    let probe = PathBuf::from(format!("{}-{}.part", file.display(), std::process::id()));
    std::fs::File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe)).map_err(|error| {
        Failure::usage(
            format!("cannot write {}-KIND.hgrm: {error}", file.display()),
            "Choose another file with --hgrm, in a directory that exists.",
        )
    })
}

/// Writes the percentiles of each kind of request to `FILE-KIND.hgrm`, in microseconds and in the
/// format of HdrHistogram's `HistogramLogProcessor`.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn write_percentiles(target: &Target, file: &Path) -> Result<(), Failure> {
    for (op, latency) in &target.latencies {
        let path =
            PathBuf::from(format!("{}-{}.hgrm", file.display(), op.name().replace(' ', "-")));
        std::fs::write(&path, percentiles(latency)).map_err(|error| {
            Failure::usage(
                format!("cannot write {}: {error}", path.display()),
                "Choose another file with --hgrm.",
            )
        })?;
        output::error_line(&format!("note: wrote {}", path.display()));
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
