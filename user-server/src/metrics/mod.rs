//! What is counted. A room gets the part that it counts in; only `http` reads. Labels come from
//! tables that are fixed at the start, so that no client can make a new series, and none holds a
//! name, an address or a secret.

mod audit;
mod cache;
mod connections;
mod hashing;
mod mails;
mod requests;
mod tls;
mod vitals;

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::domain::Timestamp;

pub use audit::AuditMetrics;
pub use cache::{Breaker, CacheFailure, CacheMetrics};
pub use connections::{Closed, ConnectionMetrics, OpenConnection, Refused};
pub use hashing::{HashMetrics, NoHash};
pub use mails::{EmailMetrics, MailResult};
pub use requests::{InFlight, OutcomeLabel, RequestLabels, RequestMetrics};
pub use tls::{HandshakeFailure, TlsMetrics};
pub use vitals::StoreGauges;

/// One label: its name and one of a few values.
type Label = [(&'static str, &'static str); 1];

/// All that is counted in one process.
#[derive(Debug)]
pub struct Metrics {
    /// RequestMetrics and their latency.
    pub requests: Arc<RequestMetrics>,
    /// ConnectionMetrics.
    pub connections: Arc<ConnectionMetrics>,
    /// Handshakes and certificates.
    pub tls: TlsMetrics,
    /// The hashing lane.
    pub hashing: Arc<HashMetrics>,
    /// EmailMetrics on their way out.
    pub mails: Arc<EmailMetrics>,
    /// The token cache.
    pub cache: Arc<CacheMetrics>,
    /// The audit's rows.
    pub audit: Arc<AuditMetrics>,
    /// What is looked up for those who watch.
    pub vitals: StoreGauges,
    registry: Registry,
}

impl Metrics {
    /// Everything at zero, for requests and outcomes of these names, in a process that starts now.
    #[must_use]
    pub fn new(names: RequestLabels, now: Timestamp) -> Self {
        let mut registry = Registry::default();
        let build: Family<Label, Gauge> = Family::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register(
            "user_server_build_info",
            "The version that runs; the value is always 1",
            build,
        );
        let requests = Arc::new(RequestMetrics::new(names));
        requests.register(&mut registry);
        Self {
            requests,
            connections: ConnectionMetrics::registered(&mut registry),
            tls: TlsMetrics::registered(&mut registry),
            hashing: Arc::new(HashMetrics::registered(&mut registry)),
            mails: Arc::new(EmailMetrics::registered(&mut registry)),
            cache: Arc::new(CacheMetrics::registered(&mut registry)),
            audit: Arc::new(AuditMetrics::registered(&mut registry)),
            vitals: StoreGauges::registered(&mut registry, now),
            registry,
        }
    }

    /// All of it in the text format of OpenMetrics, which readers of Prometheus's older text format
    /// understand too.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(64 * 1024);
        // Writing to a string can not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

/// A counter for each value of one label, all there from the start: a series that comes into being
/// with its first event hides that event from `rate`.
fn counters(
    label: &'static str,
    values: impl IntoIterator<Item = &'static str>,
) -> Family<Label, Counter> {
    let family = Family::default();
    for value in values {
        drop(Family::<Label, Counter>::get_or_create(&family, &[(label, value)]));
    }
    family
}

/// A gauge that is registered.
fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}
