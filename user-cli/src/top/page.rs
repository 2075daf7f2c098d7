//! The page of `top`: rates, quantiles and values from two scrapes of a server's metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::scrape::Sample;
use crate::format::{aligned, latency, number, table};

/// Text for a metric that the server does not have.
const MISSING: &str = "?";
/// Text for the latency or hit rate if there was no event in the interval.
const NO_EVENTS: &str = "-";
/// Width of a usage bar in characters.
const BAR_WIDTH: usize = 20;

pub(crate) struct Page {
    pub(super) title: String,
    pub(super) sections: Vec<Section>,
}

/// A heading with rows of a table, or of names and values.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) rows: Vec<Vec<String>>,
}

/// Two scrapes and the time between them.
struct Interval<'a> {
    before: &'a Sample,
    now: &'a Sample,
    seconds: f64,
}

impl Page {
    /// Builds the page from two scrapes, `between` apart, of the metrics at `url`.
    pub(crate) fn new(before: &Sample, now: &Sample, between: Duration, url: &str) -> Self {
        let interval = Interval { before, now, seconds: between.as_secs_f64().max(0.001) };
        let version =
            now.series("user_server_build_info").find_map(|(labels, _)| labels.find("version"));
        let title = format!("user-server {} at {url}", version.unwrap_or(MISSING));
        let sections = vec![
            Section { name: "requests", rows: interval.requests() },
            Section { name: "connections", rows: interval.connections() },
            Section { name: "hash pool", rows: interval.hash_pool() },
            Section { name: "emails", rows: interval.emails() },
            Section { name: "database", rows: interval.database() },
            Section { name: "cache", rows: interval.cache() },
        ];
        let with_rows = sections.into_iter().filter(|section| !section.rows.is_empty());
        Self { title, sections: with_rows.collect() }
    }

    pub(crate) fn text(&self) -> String {
        let sections =
            self.sections.iter().map(|section| format!("\n\n{}\n{}", section.name, section.text()));
        self.title.clone() + &sections.collect::<String>()
    }

    pub(crate) fn json(&self) -> Value {
        let entry = |section: &Section| (section.name.to_owned(), json!(section.rows));
        let mut object: serde_json::Map<_, _> = self.sections.iter().map(entry).collect();
        object.insert("title".to_owned(), self.title.clone().into());
        Value::Object(object)
    }
}

impl Section {
    pub(super) fn text(&self) -> String {
        let pairs = self.rows.iter().map(|row| match row.as_slice() {
            [name, value] => Some((name.clone(), value.clone())),
            _ => None,
        });
        pairs.collect::<Option<Vec<_>>>().map_or_else(|| table(&self.rows), |pairs| aligned(&pairs))
    }
}

impl Interval<'_> {
    fn requests(&self) -> Vec<Vec<String>> {
        const COUNTS: &str = "user_server_requests_total";
        const LATENCY: &str = "user_server_request_duration_seconds";
        let (mut ok, mut failed): (BTreeMap<&str, f64>, BTreeMap<&str, f64>) = Default::default();
        let mut errors: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
        let earlier: BTreeMap<_, _> = self
            .before
            .series(COUNTS)
            .map(|(labels, count)| ((labels.find("type"), labels.find("outcome")), count))
            .collect();
        for (labels, count) in self.now.series(COUNTS) {
            let (Some(kind), Some(outcome)) = (labels.find("type"), labels.find("outcome")) else {
                continue;
            };
            let before = earlier.get(&(Some(kind), Some(outcome))).copied().unwrap_or_default();
            let rate = (count - before).max(0.0) / self.seconds;
            if outcome == "OK" {
                *ok.entry(kind).or_default() += rate;
            } else {
                *failed.entry(kind).or_default() += rate;
                if rate > 0.0 {
                    errors.entry(kind).or_default().push((outcome, rate));
                }
            }
        }
        let kinds: BTreeSet<&str> = ok.keys().chain(failed.keys()).copied().collect();
        let mut rows =
            vec![["", "ok/s", "errors/s", "p50", "p99", "top error"].map(str::to_owned).to_vec()];
        for kind in kinds {
            let (ok, failed) = (
                ok.get(kind).copied().unwrap_or_default(),
                failed.get(kind).copied().unwrap_or_default(),
            );
            if self.now.value(&format!("{LATENCY}_count{{type=\"{kind}\"}}")).unwrap_or_default()
                == 0.0
            {
                continue;
            }
            let quantile = |quantile| self.quantile(LATENCY, Some(("type", kind)), quantile);
            let top_error = errors
                .get(kind)
                .and_then(|errors| errors.iter().max_by(|a, b| a.1.total_cmp(&b.1)));
            let top_error = top_error.map_or(String::new(), |(outcome, _)| (*outcome).to_owned());
            rows.push(vec![
                kind.to_owned(),
                number(ok),
                number(failed),
                quantile(0.5),
                quantile(0.99),
                top_error,
            ]);
        }
        rows
    }

    fn connections(&self) -> Vec<Vec<String>> {
        let rates = |name| {
            let changes = self.now.series(name).filter_map(|(labels, _)| {
                let reason = labels.find("reason")?;
                let rate = self.rate(&format!("{name}{{reason=\"{reason}\"}}"))?;
                (rate > 0.0).then(|| format!("{reason} {}/s", number(rate)))
            });
            let changes = changes.collect::<Vec<_>>();
            if changes.is_empty() { "none".to_owned() } else { changes.join(", ") }
        };
        vec![
            self.usage("open", "user_server_connections", "user_server_connections_max"),
            row("accepted", self.per_second("user_server_connections_accepted_total")),
            row("closed", rates("user_server_connections_closed_total")),
            row("requests in flight", self.count("user_server_requests_in_flight")),
        ]
    }

    fn hash_pool(&self) -> Vec<Vec<String>> {
        let refused =
            |reason| self.rate(&format!("user_server_hashes_refused_total{{reason=\"{reason}\"}}"));
        let busy: f64 = ["queue_full", "too_late"].into_iter().filter_map(refused).sum();
        vec![
            self.usage("running", "user_server_hashes_running", "user_server_hash_threads"),
            self.usage("queued", "user_server_hashes_waiting", "user_server_hash_queue_max"),
            row("queue time", self.quantiles("user_server_hash_wait_seconds")),
            row("hash time", self.quantiles("user_server_hash_duration_seconds")),
            row("rejected as BUSY", format!("{}/s", number(busy))),
        ]
    }

    fn emails(&self) -> Vec<Vec<String>> {
        let sent = "user_server_mails_total{result=\"sent\"}";
        let failing =
            self.now.value("user_server_mail_failing").is_some_and(|failing| failing > 0.0);
        vec![
            row("queued", self.count("user_server_outbox_unsent")),
            row("oldest queued", self.age("user_server_outbox_oldest_seconds")),
            row("held by rate limit", self.count("user_server_outbox_waiting")),
            row("sent", self.per_second(sent)),
            row("last attempt", if failing { "FAILED" } else { "succeeded" }.to_owned()),
        ]
    }

    fn database(&self) -> Vec<Vec<String>> {
        let status = match self.now.value("user_server_store_up") {
            Some(up) if up > 0.0 => "up",
            Some(_) => "DOWN",
            None => MISSING,
        };
        vec![
            row("status", status.to_owned()),
            row("revocations", self.count("user_server_revocation_entries")),
            row("revocation log age", self.age("user_server_revocation_age_seconds")),
        ]
    }

    /// Returns the rows of the cache section: none for a server without Redis.
    fn cache(&self) -> Vec<Vec<String>> {
        let lookups =
            |result| self.rate(&format!("user_server_cache_lookups_total{{result=\"{result}\"}}"));
        let failures =
            |reason| self.rate(&format!("user_server_cache_failures_total{{reason=\"{reason}\"}}"));
        let (Some(hits), Some(misses)) = (lookups("hit"), lookups("miss")) else {
            return Vec::new();
        };
        let hit_rate = if hits + misses > 0.0 {
            format!("{:.0} %", 100.0 * hits / (hits + misses))
        } else {
            NO_EVENTS.to_owned()
        };
        let failed: f64 = ["timeout", "error", "open"].into_iter().filter_map(failures).sum();
        let breaker = match self.now.value("user_server_cache_breaker") {
            Some(0.0) => "closed",
            Some(1.0) => "half open",
            Some(_) => "OPEN",
            None => MISSING,
        };
        vec![
            row("lookups", format!("{}/s", number(hits + misses))),
            row("hit rate", hit_rate),
            row("Redis latency", self.quantiles("user_server_cache_call_duration_seconds")),
            row("failed calls", format!("{}/s", number(failed))),
            row("circuit breaker", breaker.to_owned()),
        ]
    }

    /// Returns the increase of a counter per second.
    fn rate(&self, series: &str) -> Option<f64> {
        let now = self.now.value(series)?;
        Some((now - self.before.value(series).unwrap_or_default()).max(0.0) / self.seconds)
    }

    fn per_second(&self, series: &str) -> String {
        self.rate(series).map_or(MISSING.to_owned(), |rate| format!("{}/s", number(rate)))
    }

    fn count(&self, series: &str) -> String {
        self.now
            .value(series)
            .map_or(MISSING.to_owned(), |value| number(value).trim_end_matches(".0").to_owned())
    }

    /// Formats the value of a gauge that is in seconds.
    fn age(&self, series: &str) -> String {
        self.now.value(series).map_or(
            MISSING.to_owned(),
            |value| match Duration::try_from_secs_f64(value) {
                Ok(time) if !time.is_zero() => latency(time),
                _ => "0".to_owned(),
            },
        )
    }

    /// Returns a row with a gauge, its maximum, and a bar of their ratio.
    fn usage(&self, name: &str, used: &str, max: &str) -> Vec<String> {
        let fraction = match (self.now.value(used), self.now.value(max)) {
            (Some(used), Some(max)) if max > 0.0 => (used / max).clamp(0.0, 1.0),
            _ => 0.0,
        };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 20"
        )]
        let filled = (fraction * BAR_WIDTH as f64).ceil() as usize;
        let bar = "#".repeat(filled) + &".".repeat(BAR_WIDTH - filled);
        row(name, format!("{} of {}  {bar}", self.count(used), self.count(max)))
    }

    fn quantiles(&self, name: &str) -> String {
        format!("p50 {}, p99 {}", self.quantile(name, None, 0.5), self.quantile(name, None, 0.99))
    }

    /// Formats a quantile of the latencies that a histogram recorded between the two scrapes.
    fn quantile(&self, name: &str, label: Option<(&str, &str)>, quantile: f64) -> String {
        let (before, now) = (self.before.buckets(name, label), self.now.buckets(name, label));
        let counts = now.iter().enumerate().map(|(index, (bound, count))| {
            (*bound, count - before.get(index).map_or(0.0, |(_, count)| *count))
        });
        interpolate(&counts.collect::<Vec<_>>(), quantile)
            .map_or(NO_EVENTS.to_owned(), |value| latency(Duration::from_secs_f64(value)))
    }
}

fn row(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}

/// Returns a quantile of a histogram, linearly interpolated within its bucket, or `None` if the
/// histogram is empty. The buckets are (upper bound, cumulative count).
fn interpolate(buckets: &[(f64, f64)], quantile: f64) -> Option<f64> {
    let total = buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
    let rank = total * quantile;
    let (mut lower, mut below) = (0.0, 0.0);
    for (bound, count) in buckets {
        if *count >= rank && *count > below {
            let upper = if bound.is_finite() { *bound } else { return Some(lower) };
            return Some(lower + (upper - lower) * (rank - below) / (count - below));
        }
        (lower, below) = (*bound, *count);
    }
    Some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_interpolated_within_its_bucket() {
        let buckets = [(1.0, 0.0), (2.0, 50.0), (5.0, 100.0), (f64::INFINITY, 100.0)];
        assert_eq!(
            (interpolate(&buckets, 0.25), interpolate(&buckets, 0.5), interpolate(&buckets, 0.75)),
            (Some(1.5), Some(2.0), Some(3.5))
        );
        assert_eq!(interpolate(&[(1.0, 0.0)], 0.5), None);
        assert_eq!(interpolate(&[(1.0, 1.0), (f64::INFINITY, 10.0)], 0.9), Some(1.0));
    }
}
