//! Health checks and metrics over HTTP, for operators, on a listener of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use crate::listener::ConnectionLimits;
use crate::logs::DroppedLines;
use crate::metrics::Metrics;
use crate::upstream::Upstream;

/// Limits of the connections of the listener for operators.
pub(crate) const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 16,
    head_bytes: 8 * 1024,
    head_time: Duration::from_secs(1),
    idle_time: Duration::from_secs(5),
};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// State from which /livez, /readyz and /metrics are answered.
#[derive(Debug)]
pub struct Monitor {
    pub upstream: Arc<Upstream>,
    pub metrics: Arc<Metrics>,
    pub dropped_lines: DroppedLines,
    /// Set when the program begins to shut down.
    pub draining: AtomicBool,
}

/// JSON body of /readyz.
#[derive(Debug, Serialize)]
struct Readiness {
    status: &'static str,
    service: Vec<Node>,
    verifier: VerifierState,
    version: &'static str,
}

/// State of the verifier. A process is ready without it, since it can ask the service.
#[derive(Debug, Serialize)]
struct VerifierState {
    /// True if tokens are verified in memory.
    ready: bool,
    /// Number of public keys; 0 if the service signs tokens with HS256.
    keys: usize,
    /// Age of the revocations in memory; null before they have arrived.
    age_ms: Option<u128>,
    /// Error of the last call for keys or revocations.
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Node {
    address: String,
    connected: bool,
    slow: bool,
}

impl Monitor {
    /// Returns the status: `ready` if proxies should send requests to this process.
    pub fn status(&self) -> &'static str {
        let draining = self.draining.load(Ordering::Relaxed);
        match self.upstream.is_reachable() {
            _ if draining => "draining",
            true => "ready",
            false => "service unreachable",
        }
    }
}

/// Returns the routes /livez, /readyz and /metrics.
pub fn router(monitor: Arc<Monitor>) -> Router {
    Router::new()
        .route("/livez", get(|| async { response(StatusCode::OK, TEXT, "ok\n".to_owned()) }))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
        .fallback(|| async {
            let body = "not found; the paths are /livez, /readyz and /metrics\n".to_owned();
            response(StatusCode::NOT_FOUND, TEXT, body)
        })
        .with_state(monitor)
}

/// Answers 200 if proxies should send requests to this process: it is not shutting down, and can
/// reach a node of the service.
async fn readiness(State(monitor): State<Arc<Monitor>>) -> Response {
    let (nodes, status) = (monitor.upstream.status(), monitor.status());
    let code = if status == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let service = nodes
        .into_iter()
        .map(|node| Node { address: node.addr, connected: node.connected, slow: node.slow })
        .collect();
    let verifier = monitor.upstream.verifier_status();
    let verifier = VerifierState {
        ready: verifier.ready,
        keys: verifier.keys,
        age_ms: verifier.age.map(|age| age.as_millis()),
        error: verifier.last_error,
    };
    let readiness = Readiness { status, service, verifier, version: env!("CARGO_PKG_VERSION") };
    // Texts and booleans can always be serialised.
    response(code, JSON, serde_json::to_string(&readiness).unwrap_or_default() + "\n")
}

/// Answers with all metrics. The text is valid both in OpenMetrics and in the older format of
/// Prometheus; clients that do not ask for OpenMetrics get the older content type.
async fn metrics(State(monitor): State<Arc<Monitor>>, headers: HeaderMap) -> Response {
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let openmetrics = accepted.any(|value| value.contains("application/openmetrics-text"));
    let (nodes, verifier) = (monitor.upstream.status(), monitor.upstream.verifier_status());
    let text = monitor.metrics.text(&nodes, &verifier, monitor.dropped_lines.count());
    response(StatusCode::OK, if openmetrics { OPENMETRICS } else { PROMETHEUS }, text)
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}
