//! The page of `top`: the metrics of one interval as text.

use std::time::Duration;

use super::metrics::{Connections, Emails, HashPool, Metrics, Quantiles, Requests};
use crate::format::{aligned, latency, number, table};

/// Text for a metric that the server does not have.
const MISSING: &str = "?";
/// Text for a latency or hit rate if no event occurred in the interval.
const NO_EVENTS: &str = "-";
/// Width of a usage bar in characters.
const BAR_WIDTH: usize = 10;

pub(crate) struct Page {
    pub(super) title: String,
    pub(super) sections: Vec<Section>,
}

/// A heading with the rows of a table, or with pairs of a name and a value.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) rows: Vec<Vec<String>>,
}

impl Page {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let version = metrics.version.as_deref().unwrap_or(MISSING);
        let sections = vec![
            Section { name: "requests", rows: requests(&metrics.requests) },
            Section { name: "connections", rows: connections(&metrics.connections) },
            Section { name: "hash pool", rows: hash_pool(&metrics.hash_pool) },
            Section { name: "emails", rows: emails(&metrics.emails) },
            Section { name: "database", rows: database(metrics) },
            Section { name: "cache", rows: cache(metrics) },
        ];
        let with_rows = sections.into_iter().filter(|section| !section.rows.is_empty());
        Self {
            title: format!("user-server {version} at {}", metrics.url),
            sections: with_rows.collect(),
        }
    }

    pub(crate) fn text(&self) -> String {
        let sections =
            self.sections.iter().map(|section| format!("\n\n{}\n{}", section.name, section.text()));
        self.title.clone() + &sections.collect::<String>()
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

fn requests(requests: &[Requests]) -> Vec<Vec<String>> {
    let heads = ["", "ok/s", "errors/s", "p50", "p99", "top error"].map(str::to_owned).to_vec();
    let rows = requests.iter().map(|requests| {
        vec![
            requests.kind.clone(),
            number(requests.ok_per_second),
            number(requests.errors_per_second),
            millis(requests.latency.p50_ms, NO_EVENTS),
            millis(requests.latency.p99_ms, NO_EVENTS),
            requests.top_error.clone().unwrap_or_default(),
        ]
    });
    std::iter::once(heads).chain(rows).collect()
}

fn connections(connections: &Connections) -> Vec<Vec<String>> {
    let closed: Vec<_> = connections
        .closed_per_second
        .iter()
        .map(|(reason, rate)| format!("{reason} {}/s", number(*rate)))
        .collect();
    let closed = if closed.is_empty() { "none".to_owned() } else { closed.join(", ") };
    vec![
        usage("open", connections.open, connections.max),
        row("accepted", per_second(connections.accepted_per_second)),
        row("closed", closed),
        row("in flight", count(connections.requests_in_flight)),
    ]
}

fn hash_pool(pool: &HashPool) -> Vec<Vec<String>> {
    vec![
        usage("running", pool.running, pool.threads),
        usage("queued", pool.queued, pool.queue_max),
        row("queue time", quantiles(&pool.queue_time)),
        row("hash time", quantiles(&pool.hash_time)),
        row("rejected", per_second(Some(pool.busy_per_second))),
    ]
}

fn emails(emails: &Emails) -> Vec<Vec<String>> {
    let last_attempt = if emails.last_attempt_failed { "FAILED" } else { "succeeded" };
    vec![
        row("queued", count(emails.queued)),
        row("oldest queued", millis(emails.oldest_queued_ms, MISSING)),
        row("rate limited", count(emails.held_by_rate_limit)),
        row("sent", per_second(emails.sent_per_second)),
        row("last attempt", last_attempt.to_owned()),
    ]
}

fn database(metrics: &Metrics) -> Vec<Vec<String>> {
    let database = &metrics.database;
    let status = database.up.map_or(MISSING, |up| if up { "up" } else { "DOWN" });
    vec![
        row("status", status.to_owned()),
        row("revocations", count(database.revocations)),
        row("log age", millis(database.revocation_log_age_ms, MISSING)),
    ]
}

fn cache(metrics: &Metrics) -> Vec<Vec<String>> {
    let Some(cache) = &metrics.cache else { return Vec::new() };
    let hit_rate =
        cache.hit_ratio.map_or(NO_EVENTS.to_owned(), |hit| format!("{:.0} %", 100.0 * hit));
    let breaker = match cache.circuit_breaker {
        Some("open") => "OPEN",
        Some(state) => state,
        None => MISSING,
    };
    vec![
        row("lookups", per_second(Some(cache.lookups_per_second))),
        row("hit rate", hit_rate),
        row("latency", quantiles(&cache.redis_latency)),
        row("failed calls", per_second(Some(cache.failed_calls_per_second))),
        row("breaker", breaker.to_owned()),
    ]
}

fn row(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}

fn per_second(rate: Option<f64>) -> String {
    rate.map_or(MISSING.to_owned(), |rate| format!("{}/s", number(rate)))
}

fn count(value: Option<u64>) -> String {
    value.map_or(MISSING.to_owned(), |value| value.to_string())
}

fn quantiles(quantiles: &Quantiles) -> String {
    let text = |value| millis(value, NO_EVENTS);
    format!("p50 {}, p99 {}", text(quantiles.p50_ms), text(quantiles.p99_ms))
}

/// Formats a number of milliseconds, or `missing` if there is none.
fn millis(value: Option<f64>, missing: &str) -> String {
    value.map_or(missing.to_owned(), |ms| match Duration::try_from_secs_f64(ms / 1000.0) {
        Ok(time) if !time.is_zero() => latency(time),
        _ => "0 ms".to_owned(),
    })
}

/// Returns a row with a gauge, its maximum, and a bar of their ratio.
fn usage(name: &str, used: Option<u64>, max: Option<u64>) -> Vec<String> {
    let width = BAR_WIDTH as u64;
    let filled = match (used, max) {
        (Some(used), Some(max)) if max > 0 => {
            used.saturating_mul(width).div_ceil(max).min(width) as usize
        }
        _ => 0,
    };
    let bar = "#".repeat(filled) + &".".repeat(BAR_WIDTH - filled);
    row(name, format!("{} of {}  {bar}", count(used), count(max)))
}
