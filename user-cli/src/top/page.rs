//! What two looks at the figures say, in the order in which an operator asks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::scrape::Sample;
use crate::figures::{number, span, table};
use crate::output::aligned;

/// What stands for a figure that the server does not tell.
const UNTOLD: &str = "?";
/// What stands for the latency of what did not happen.
const NONE: &str = "-";
const BAR: usize = 20;

/// The view.
pub(super) struct Page {
    pub(super) title: String,
    pub(super) parts: Vec<Part>,
}

/// A heading and the lines below it.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) rows: Vec<Vec<String>>,
}

/// Two looks, and the time between them.
struct Change<'a> {
    before: &'a Sample,
    now: &'a Sample,
    seconds: f64,
}

impl Page {
    pub(super) fn of(before: &Sample, now: &Sample, between: Duration, place: &str) -> Self {
        let change = Change { before, now, seconds: between.as_secs_f64().max(0.001) };
        let version =
            now.series("user_server_build_info").find_map(|(labels, _)| labels.find("version"));
        let title = format!("user-server {} at {place}", version.unwrap_or(UNTOLD));
        let parts = vec![
            Part { name: "requests", rows: change.requests() },
            Part { name: "connections", rows: change.connections() },
            Part { name: "hashing lane", rows: change.lane() },
            Part { name: "mails", rows: change.mails() },
            Part { name: "truth", rows: change.truth() },
            Part { name: "cache", rows: change.cache() },
        ];
        Self { title, parts: parts.into_iter().filter(|part| !part.rows.is_empty()).collect() }
    }

    pub(super) fn text(&self) -> String {
        let parts = self.parts.iter().map(|part| format!("\n\n{}\n{}", part.name, part.text()));
        self.title.clone() + &parts.collect::<String>()
    }

    pub(super) fn json(&self) -> Value {
        let part = |part: &Part| (part.name.to_owned(), json!(part.rows));
        let mut object: serde_json::Map<_, _> = self.parts.iter().map(part).collect();
        object.insert("title".to_owned(), self.title.clone().into());
        Value::Object(object)
    }
}

impl Part {
    /// A table, or names and values.
    pub(super) fn text(&self) -> String {
        let pairs = self.rows.iter().map(|row| match row.as_slice() {
            [name, value] => Some((name.clone(), value.clone())),
            _ => None,
        });
        pairs.collect::<Option<Vec<_>>>().map_or_else(|| table(&self.rows), |pairs| aligned(&pairs))
    }
}

impl Change<'_> {
    fn requests(&self) -> Vec<Vec<String>> {
        const COUNTS: &str = "user_server_requests_total";
        const LATENCY: &str = "user_server_request_duration_seconds";
        let (mut good, mut other): (BTreeMap<&str, f64>, BTreeMap<&str, f64>) = Default::default();
        let mut refusals: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
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
                *good.entry(kind).or_default() += rate;
            } else {
                *other.entry(kind).or_default() += rate;
                if rate > 0.0 {
                    refusals.entry(kind).or_default().push((outcome, rate));
                }
            }
        }
        let kinds: BTreeSet<&str> = good.keys().chain(other.keys()).copied().collect();
        let mut rows =
            vec![["", "ok/s", "other/s", "p50", "p99", "mostly"].map(str::to_owned).to_vec()];
        for kind in kinds {
            let (good, other) = (
                good.get(kind).copied().unwrap_or_default(),
                other.get(kind).copied().unwrap_or_default(),
            );
            if self.now.value(&format!("{LATENCY}_count{{type=\"{kind}\"}}")).unwrap_or_default()
                == 0.0
            {
                continue;
            }
            let latency = |quantile| self.quantile(LATENCY, Some(("type", kind)), quantile);
            let most = refusals
                .get(kind)
                .and_then(|refusals| refusals.iter().max_by(|a, b| a.1.total_cmp(&b.1)));
            let most = most.map_or(String::new(), |(outcome, _)| (*outcome).to_owned());
            rows.push(vec![
                kind.to_owned(),
                number(good),
                number(other),
                latency(0.5),
                latency(0.99),
                most,
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
            self.filled("open", "user_server_connections", "user_server_connections_max"),
            row("accepted", self.per_second("user_server_connections_accepted_total")),
            row("closed", rates("user_server_connections_closed_total")),
            row("requests in flight", self.count("user_server_requests_in_flight")),
        ]
    }

    fn lane(&self) -> Vec<Vec<String>> {
        let spans = |name| {
            format!(
                "p50 {}, p99 {}",
                self.quantile(name, None, 0.5),
                self.quantile(name, None, 0.99)
            )
        };
        let refused =
            |reason| self.rate(&format!("user_server_hashes_refused_total{{reason=\"{reason}\"}}"));
        let busy: f64 = ["queue_full", "too_late"].into_iter().filter_map(refused).sum();
        vec![
            self.filled("running", "user_server_hashes_running", "user_server_hash_threads"),
            self.filled("waiting", "user_server_hashes_waiting", "user_server_hash_queue_max"),
            row("waited", spans("user_server_hash_wait_seconds")),
            row("took", spans("user_server_hash_duration_seconds")),
            row("answered BUSY", format!("{}/s", number(busy))),
        ]
    }

    fn mails(&self) -> Vec<Vec<String>> {
        let sent = "user_server_mails_total{result=\"sent\"}";
        let failing =
            self.now.value("user_server_mail_failing").is_some_and(|failing| failing > 0.0);
        vec![
            row("unsent", self.count("user_server_outbox_unsent")),
            row("oldest", self.seconds("user_server_outbox_oldest_seconds")),
            row("held back", self.count("user_server_outbox_waiting")),
            row("sent", self.per_second(sent)),
            row("last attempt", if failing { "FAILED" } else { "went" }.to_owned()),
        ]
    }

    fn truth(&self) -> Vec<Vec<String>> {
        let store = match self.now.value("user_server_store_up") {
            Some(up) if up > 0.0 => "up",
            Some(_) => "DOWN",
            None => UNTOLD,
        };
        vec![
            row("database", store.to_owned()),
            row("revocations known", self.count("user_server_revocation_entries")),
            row("their age", self.seconds("user_server_revocation_age_seconds")),
        ]
    }

    fn cache(&self) -> Vec<Vec<String>> {
        let looked =
            |result| self.rate(&format!("user_server_cache_lookups_total{{result=\"{result}\"}}"));
        let failed =
            |reason| self.rate(&format!("user_server_cache_failures_total{{reason=\"{reason}\"}}"));
        let took = "user_server_cache_call_duration_seconds";
        let (Some(hits), Some(misses)) = (looked("hit"), looked("miss")) else { return Vec::new() };
        let share = if hits + misses > 0.0 {
            format!("{:.0} %", 100.0 * hits / (hits + misses))
        } else {
            NONE.to_owned()
        };
        let failures: f64 = ["timeout", "error", "open"].into_iter().filter_map(failed).sum();
        let breaker = match self.now.value("user_server_cache_breaker") {
            Some(0.0) => "closed",
            Some(1.0) => "half open",
            Some(_) => "OPEN",
            None => UNTOLD,
        };
        vec![
            row("look-ups", format!("{}/s", number(hits + misses))),
            row("known", share),
            row(
                "Redis took",
                format!(
                    "p50 {}, p99 {}",
                    self.quantile(took, None, 0.5),
                    self.quantile(took, None, 0.99)
                ),
            ),
            row("gave nothing", format!("{}/s", number(failures))),
            row("breaker", breaker.to_owned()),
        ]
    }

    fn rate(&self, series: &str) -> Option<f64> {
        let now = self.now.value(series)?;
        Some((now - self.before.value(series).unwrap_or_default()).max(0.0) / self.seconds)
    }

    fn per_second(&self, series: &str) -> String {
        self.rate(series).map_or(UNTOLD.to_owned(), |rate| format!("{}/s", number(rate)))
    }

    fn count(&self, series: &str) -> String {
        self.now
            .value(series)
            .map_or(UNTOLD.to_owned(), |value| number(value).trim_end_matches(".0").to_owned())
    }

    fn seconds(&self, series: &str) -> String {
        self.now.value(series).map_or(UNTOLD.to_owned(), |value| match Duration::try_from_secs_f64(
            value,
        ) {
            Ok(time) if !time.is_zero() => span(time),
            _ => "0".to_owned(),
        })
    }

    /// How much of a limit is used, as numbers and as a bar.
    fn filled(&self, name: &str, used: &str, most: &str) -> Vec<String> {
        let part = match (self.now.value(used), self.now.value(most)) {
            (Some(used), Some(most)) if most > 0.0 => (used / most).clamp(0.0, 1.0),
            _ => 0.0,
        };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 20"
        )]
        let full = (part * BAR as f64).ceil() as usize;
        let bar = "#".repeat(full) + &".".repeat(BAR - full);
        row(name, format!("{} of {}  {bar}", self.count(used), self.count(most)))
    }

    /// A latency that this part of what happened between the looks did not pass.
    fn quantile(&self, name: &str, label: Option<(&str, &str)>, quantile: f64) -> String {
        let (before, now) = (self.before.buckets(name, label), self.now.buckets(name, label));
        let counts = now.iter().enumerate().map(|(place, (bound, count))| {
            (*bound, count - before.get(place).map_or(0.0, |(_, count)| *count))
        });
        within(&counts.collect::<Vec<_>>(), quantile)
            .map_or(NONE.to_owned(), |value| span(Duration::from_secs_f64(value)))
    }
}

fn row(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}

/// The value below which this part lies, evenly within its bucket; the buckets' counts add up.
fn within(buckets: &[(f64, f64)], quantile: f64) -> Option<f64> {
    let all = buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
    let wanted = all * quantile;
    let (mut lower, mut below) = (0.0, 0.0);
    for (bound, count) in buckets {
        if *count >= wanted && *count > below {
            let upper = if bound.is_finite() { *bound } else { return Some(lower) };
            return Some(lower + (upper - lower) * (wanted - below) / (count - below));
        }
        (lower, below) = (*bound, *count);
    }
    Some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_in_its_bucket() {
        let buckets = [(1.0, 0.0), (2.0, 50.0), (5.0, 100.0), (f64::INFINITY, 100.0)];
        assert_eq!(
            (within(&buckets, 0.25), within(&buckets, 0.5), within(&buckets, 0.75)),
            (Some(1.5), Some(2.0), Some(3.5))
        );
        assert_eq!(within(&[(1.0, 0.0)], 0.5), None);
        assert_eq!(within(&[(1.0, 1.0), (f64::INFINITY, 10.0)], 0.9), Some(1.0));
    }
}
