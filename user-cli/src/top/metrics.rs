//! The metrics of `top` as values: rates, quantiles and gauges from two scrapes of a server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::scrape::Sample;

/// The metrics of one interval. A value is `None` if the server does not have the metric, or if
/// nothing happened that it could measure.
#[derive(Serialize)]
pub(crate) struct Metrics {
    pub(super) url: String,
    pub(super) version: Option<String>,
    interval_ms: u64,
    pub(super) requests: Vec<Requests>,
    pub(super) connections: Connections,
    pub(super) hash_pool: HashPool,
    pub(super) emails: Emails,
    pub(super) database: Database,
    /// Metrics of the cache; `None` for a server without Redis.
    pub(super) cache: Option<Cache>,
}

/// Requests of one type.
#[derive(Serialize)]
pub(super) struct Requests {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) ok_per_second: f64,
    pub(super) errors_per_second: f64,
    #[serde(flatten)]
    pub(super) latency: Quantiles,
    pub(super) top_error: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Quantiles {
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct Connections {
    pub(super) open: Option<u64>,
    pub(super) max: Option<u64>,
    pub(super) accepted_per_second: Option<f64>,
    /// Closed connections per second by reason. Reasons that did not occur are absent.
    pub(super) closed_per_second: BTreeMap<String, f64>,
    pub(super) requests_in_flight: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct HashPool {
    pub(super) running: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) queued: Option<u64>,
    pub(super) queue_max: Option<u64>,
    pub(super) queue_time: Quantiles,
    pub(super) hash_time: Quantiles,
    pub(super) busy_per_second: f64,
}

#[derive(Serialize)]
pub(super) struct Emails {
    pub(super) queued: Option<u64>,
    pub(super) oldest_queued_ms: Option<f64>,
    pub(super) held_by_rate_limit: Option<u64>,
    pub(super) sent_per_second: Option<f64>,
    pub(super) last_attempt_failed: bool,
}

#[derive(Serialize)]
pub(super) struct Database {
    pub(super) up: Option<bool>,
    pub(super) revocations: Option<u64>,
    pub(super) revocation_log_age_ms: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct Cache {
    pub(super) lookups_per_second: f64,
    pub(super) hit_ratio: Option<f64>,
    pub(super) redis_latency: Quantiles,
    pub(super) failed_calls_per_second: f64,
    pub(super) circuit_breaker: Option<&'static str>,
}

/// Two scrapes and the time between them.
struct Interval<'a> {
    before: &'a Sample,
    now: &'a Sample,
    seconds: f64,
}

impl Metrics {
    /// Computes the metrics of the server at `url` from two scrapes. `between` is the time between
    /// them.
    pub(crate) fn new(before: &Sample, now: &Sample, between: Duration, url: &str) -> Self {
        let interval = Interval { before, now, seconds: between.as_secs_f64().max(0.001) };
        let version =
            now.series("user_server_build_info").find_map(|(labels, _)| labels.find("version"));
        Self {
            url: url.to_owned(),
            version: version.map(str::to_owned),
            interval_ms: u64::try_from(between.as_millis()).unwrap_or(u64::MAX),
            requests: interval.requests(),
            connections: interval.connections(),
            hash_pool: interval.hash_pool(),
            emails: interval.emails(),
            database: interval.database(),
            cache: interval.cache(),
        }
    }
}

impl Interval<'_> {
    fn requests(&self) -> Vec<Requests> {
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
        let has_occurred = |kind: &str| {
            let count = self.now.value(&format!("{LATENCY}_count{{type=\"{kind}\"}}"));
            count.unwrap_or_default() > 0.0
        };
        let requests = kinds.into_iter().filter(|kind| has_occurred(kind)).map(|kind| {
            let top_error = errors
                .get(kind)
                .and_then(|errors| errors.iter().max_by(|a, b| a.1.total_cmp(&b.1)));
            Requests {
                kind: kind.to_owned(),
                ok_per_second: ok.get(kind).copied().unwrap_or_default(),
                errors_per_second: failed.get(kind).copied().unwrap_or_default(),
                latency: self.quantiles(LATENCY, Some(("type", kind))),
                top_error: top_error.map(|(outcome, _)| (*outcome).to_owned()),
            }
        });
        requests.collect()
    }

    fn connections(&self) -> Connections {
        const CLOSED: &str = "user_server_connections_closed_total";
        let closed = self.now.series(CLOSED).filter_map(|(labels, _)| {
            let reason = labels.find("reason")?;
            let rate = self.rate(&format!("{CLOSED}{{reason=\"{reason}\"}}"))?;
            (rate > 0.0).then(|| (reason.to_owned(), rate))
        });
        Connections {
            open: self.count("user_server_connections"),
            max: self.count("user_server_connections_max"),
            accepted_per_second: self.rate("user_server_connections_accepted_total"),
            closed_per_second: closed.collect(),
            requests_in_flight: self.count("user_server_requests_in_flight"),
        }
    }

    fn hash_pool(&self) -> HashPool {
        let refused =
            |reason| self.rate(&format!("user_server_hashes_refused_total{{reason=\"{reason}\"}}"));
        HashPool {
            running: self.count("user_server_hashes_running"),
            threads: self.count("user_server_hash_threads"),
            queued: self.count("user_server_hashes_waiting"),
            queue_max: self.count("user_server_hash_queue_max"),
            queue_time: self.quantiles("user_server_hash_wait_seconds", None),
            hash_time: self.quantiles("user_server_hash_duration_seconds", None),
            busy_per_second: ["queue_full", "too_late"].into_iter().filter_map(refused).sum(),
        }
    }

    fn emails(&self) -> Emails {
        Emails {
            queued: self.count("user_server_outbox_unsent"),
            oldest_queued_ms: self.millis("user_server_outbox_oldest_seconds"),
            held_by_rate_limit: self.count("user_server_outbox_waiting"),
            sent_per_second: self.rate("user_server_mails_total{result=\"sent\"}"),
            last_attempt_failed: self
                .now
                .value("user_server_mail_failing")
                .is_some_and(|failing| failing > 0.0),
        }
    }

    fn database(&self) -> Database {
        Database {
            up: self.now.value("user_server_store_up").map(|up| up > 0.0),
            revocations: self.count("user_server_revocation_entries"),
            revocation_log_age_ms: self.millis("user_server_revocation_age_seconds"),
        }
    }

    fn cache(&self) -> Option<Cache> {
        let lookups =
            |result| self.rate(&format!("user_server_cache_lookups_total{{result=\"{result}\"}}"));
        let failures =
            |reason| self.rate(&format!("user_server_cache_failures_total{{reason=\"{reason}\"}}"));
        let (hits, misses) = (lookups("hit")?, lookups("miss")?);
        Some(Cache {
            lookups_per_second: hits + misses,
            hit_ratio: (hits + misses > 0.0).then(|| hits / (hits + misses)),
            redis_latency: self.quantiles("user_server_cache_call_duration_seconds", None),
            failed_calls_per_second: ["timeout", "error", "open"]
                .into_iter()
                .filter_map(failures)
                .sum(),
            circuit_breaker: self.now.value("user_server_cache_breaker").map(|state| match state {
                0.0 => "closed",
                1.0 => "half open",
                _ => "open",
            }),
        })
    }

    /// Returns the increase of a counter per second, or `None` if the server does not have the
    /// counter.
    fn rate(&self, series: &str) -> Option<f64> {
        let now = self.now.value(series)?;
        Some((now - self.before.value(series).unwrap_or_default()).max(0.0) / self.seconds)
    }

    /// Returns the value of a gauge that is a count, or `None` if the server does not have the
    /// gauge.
    fn count(&self, series: &str) -> Option<u64> {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count is an integer, and the cast saturates"
        )]
        self.now.value(series).map(|value| value.round() as u64)
    }

    /// Returns the value of a gauge in seconds, converted to milliseconds, or `None` if the server
    /// does not have the gauge.
    fn millis(&self, series: &str) -> Option<f64> {
        self.now.value(series).map(|seconds| seconds.max(0.0) * 1000.0)
    }

    /// Returns quantiles, in milliseconds, of the durations that a histogram recorded between the
    /// two scrapes; with a `label`, only of the series that have it.
    fn quantiles(&self, name: &str, label: Option<(&str, &str)>) -> Quantiles {
        let (before, now) = (self.before.buckets(name, label), self.now.buckets(name, label));
        let counts = now.iter().enumerate().map(|(index, (bound, count))| {
            (*bound, count - before.get(index).map_or(0.0, |(_, count)| *count))
        });
        let counts: Vec<_> = counts.collect();
        let quantile = |quantile| interpolate(&counts, quantile).map(|seconds| seconds * 1000.0);
        Quantiles { p50_ms: quantile(0.5), p99_ms: quantile(0.99) }
    }
}

/// Returns a quantile (from 0 to 1) of a histogram, linearly interpolated within its bucket, or
/// `None` if the histogram is empty. The buckets are (upper bound, cumulative count).
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
