//! Metrics. Labels come from tables that are fixed at startup, and none contains a name, an address
//! or a secret.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use user_proto::client::NodeStatus;
use user_proto::verifier::Status;

type Label = [(&'static str, &'static str); 1];

/// Upper bounds of the histogram of checks, in seconds.
const BUCKETS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 2.0];

/// Upper bounds of the histogram of requests to the API, in seconds. Many hash a password.
const API_BUCKETS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Result of a check, as a label of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckResult {
    Passed,
    NoToken,
    Invalid,
    Expired,
    Revoked,
    CrossOrigin,
    Unavailable,
}

impl CheckResult {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Passed, "passed"),
        (Self::NoToken, "no_token"),
        (Self::Invalid, "invalid"),
        (Self::Expired, "expired"),
        (Self::Revoked, "revoked"),
        (Self::CrossOrigin, "cross_origin"),
        (Self::Unavailable, "unavailable"),
    ];
}

/// Reason for which a connection was closed by this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The head of a request, or the TLS handshake, was not complete in time.
    HeadTimeout,
    /// There was no request for too long.
    Idle,
    /// The connection was closed to make room for another one.
    Evicted,
    /// The TLS handshake, or the header of the PROXY protocol, was invalid.
    Handshake,
    /// The grace period of the shutdown ended before the connection did.
    GraceOver,
}

impl CloseReason {
    const ALL: [(Self, &'static str); 5] = [
        (Self::HeadTimeout, "head_timeout"),
        (Self::Idle, "idle"),
        (Self::Evicted, "evicted"),
        (Self::Handshake, "handshake"),
        (Self::GraceOver, "grace_over"),
    ];
}

/// Counters of checks.
#[derive(Debug)]
pub struct CheckMetrics {
    results: Vec<(CheckResult, Counter)>,
    in_memory: Counter,
    seconds: Histogram,
}

impl CheckMetrics {
    /// Counts one check, with its duration.
    pub fn record(&self, result: CheckResult, time: Duration) {
        if let Some((_, counter)) = self.results.iter().find(|(known, _)| *known == result) {
            counter.inc();
        }
        self.seconds.observe(time.as_secs_f64());
    }

    /// Counts a token that was verified without a call to the service.
    pub fn verified_in_memory(&self) {
        self.in_memory.inc();
    }
}

/// Counters of requests to the JSON API.
#[derive(Debug)]
pub struct ApiMetrics {
    replies: [Counter; 3],
    seconds: Histogram,
}

impl ApiMetrics {
    /// Classes of HTTP statuses, as labels.
    const CLASSES: [&'static str; 3] = ["2xx", "4xx", "5xx"];

    /// Counts one request with the status and the duration of its reply.
    pub fn record(&self, status: u16, time: Duration) {
        let [success, client, server] = &self.replies;
        match status {
            ..400 => success.inc(),
            400..500 => client.inc(),
            _ => server.inc(),
        };
        self.seconds.observe(time.as_secs_f64());
    }
}

/// Counters of connections from proxies.
#[derive(Debug, Default)]
pub struct ConnectionMetrics {
    pub open: Gauge,
    pub accepted: Counter,
    closed: Family<Label, Counter>,
}

impl ConnectionMetrics {
    /// Counts a connection that this program closed.
    pub fn closed(&self, reason: CloseReason) {
        let name = CloseReason::ALL.iter().find(|(known, _)| *known == reason);
        if let Some((_, name)) = name {
            self.closed.get_or_create(&[("reason", name)]).inc();
        }
    }
}

/// All metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    pub checks: Arc<CheckMetrics>,
    pub api: Arc<ApiMetrics>,
    pub connections: Arc<ConnectionMetrics>,
    nodes: Family<Label, Gauge>,
    in_flight: Gauge,
    verifier_ready: Gauge,
    revocations_age: Gauge<f64, AtomicU64>,
    dropped_lines: Gauge<u64, AtomicU64>,
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let build: Family<Label, Gauge> = Family::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        let help = "The running version, as a label; the value is always 1";
        registry.register("user_http_build_info", help, build);

        let checks: Family<Label, Counter> = Family::default();
        let results = CheckResult::ALL
            .iter()
            .map(|(result, name)| (*result, checks.get_or_create_owned(&[("result", *name)])))
            .collect();
        registry.register("user_http_checks", "Checks, by result", checks);
        let in_memory = Counter::default();
        let help = "Checks of a token in memory, without a call to the service";
        registry.register("user_http_checks_in_memory", help, in_memory.clone());
        let seconds = Histogram::new(BUCKETS);
        registry.register("user_http_check_seconds", "Duration of checks", seconds.clone());

        let replies: Family<Label, Counter> = Family::default();
        let classes =
            ApiMetrics::CLASSES.map(|name| replies.get_or_create_owned(&[("status", name)]));
        let help = "Replies of the JSON API, by class of status";
        registry.register("user_http_api_replies", help, replies);
        let api_seconds = Histogram::new(API_BUCKETS);
        let help = "Duration of requests to the JSON API";
        registry.register("user_http_api_seconds", help, api_seconds.clone());

        let connections = ConnectionMetrics::default();
        for (_, name) in CloseReason::ALL {
            drop(connections.closed.get_or_create(&[("reason", name)]));
        }
        let help = "Open connections from proxies";
        registry.register("user_http_connections_open", help, connections.open.clone());
        let help = "Connections accepted from proxies";
        registry.register("user_http_connections_accepted", help, connections.accepted.clone());
        let help = "Connections that this program closed, by reason";
        registry.register("user_http_connections_closed", help, connections.closed.clone());

        let nodes: Family<Label, Gauge> = Family::default();
        let help = "Connections to nodes of the service, by state";
        registry.register("user_http_service_connections", help, nodes.clone());
        let in_flight = Gauge::default();
        let help = "Requests to the service that wait for a reply";
        registry.register("user_http_service_in_flight", help, in_flight.clone());
        let verifier_ready = Gauge::default();
        let help = "1 if tokens are verified in memory, 0 if the service is asked about each";
        registry.register("user_http_verifier_ready", help, verifier_ready.clone());
        let revocations_age = Gauge::default();
        let help = "Age of the revocations in memory; 0 before they have arrived";
        registry.register("user_http_revocations_age_seconds", help, revocations_age.clone());
        let dropped_lines = Gauge::default();
        let help = "Log lines that were dropped because the log could not be written fast enough";
        registry.register("user_http_log_lines_dropped", help, dropped_lines.clone());
        Self {
            checks: Arc::new(CheckMetrics { results, in_memory, seconds }),
            api: Arc::new(ApiMetrics { replies: classes, seconds: api_seconds }),
            connections: Arc::new(connections),
            nodes,
            in_flight,
            verifier_ready,
            revocations_age,
            dropped_lines,
            registry,
        }
    }
}

impl Metrics {
    /// Returns all metrics in the text format of OpenMetrics, which is also valid in Prometheus's
    /// older text format.
    #[must_use]
    pub fn text(&self, nodes: &[NodeStatus], verifier: &Status, dropped_lines: u64) -> String {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let state = |node: &NodeStatus| match (node.connected, node.slow) {
            (false, _) => "unreachable",
            (true, true) => "slow",
            (true, false) => "healthy",
        };
        for name in ["healthy", "slow", "unreachable"] {
            let count = nodes.iter().filter(|node| state(node) == name).count();
            self.nodes.get_or_create(&[("state", name)]).set(gauge(count));
        }
        self.in_flight.set(gauge(nodes.iter().map(|node| node.in_flight).sum()));
        self.verifier_ready.set(verifier.ready.into());
        self.revocations_age.set(verifier.age.unwrap_or_default().as_secs_f64());
        self.dropped_lines.set(dropped_lines);
        let mut text = String::with_capacity(8 * 1024);
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
