//! Metrics of TLS: failed handshakes, and the expiry of the certificate.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::series::{Label, counters};
use crate::domain::Timestamp;

/// Reason for which a TLS handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// The client presented no certificate although it must.
    NoCertificate,
    /// The client's certificate has expired, or is not from an accepted authority.
    BadCertificate,
    /// The client offered only other application protocols (ALPN).
    OtherProtocol,
    /// The client does not support TLS 1.3.
    OldTls,
    /// The client rejected the server's certificate.
    RefusedByClient,
    /// The client sent an invalid handshake.
    Broken,
    /// The connection was lost.
    Lost,
    /// The client did not use TLS.
    Plaintext,
    /// The handshake was not completed in time.
    Timeout,
    /// There were too many handshakes, and this one was dropped in favour of newer ones.
    PushedOut,
}

impl HandshakeFailure {
    const ALL: [Self; 10] = [
        Self::NoCertificate,
        Self::BadCertificate,
        Self::OtherProtocol,
        Self::OldTls,
        Self::RefusedByClient,
        Self::Broken,
        Self::Lost,
        Self::Plaintext,
        Self::Timeout,
        Self::PushedOut,
    ];

    /// Returns the name in the metrics and the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::OtherProtocol => "other_protocol",
            Self::OldTls => "old_tls",
            Self::RefusedByClient => "refused_by_client",
            Self::Broken => "broken",
            Self::Lost => "lost",
            Self::Plaintext => "plaintext",
            Self::Timeout => "timeout",
            Self::PushedOut => "pushed_out",
        }
    }
}

/// Metrics of TLS.
#[derive(Debug, Clone)]
pub struct TlsMetrics {
    failures: Family<Label, Counter>,
    expiry: Family<Label, Gauge>,
    /// Number of times that a new certificate could not be used.
    pub reload_failures: Counter,
}

impl TlsMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let (expiry, reload_failures) = (Family::default(), Counter::default());
        let failures = counters("reason", HandshakeFailure::ALL.map(HandshakeFailure::name));
        registry.register(
            "user_server_tls_handshakes_failed",
            "TLS handshakes that did not lead to a connection, by reason",
            failures.clone(),
        );
        registry.register(
            "user_server_tls_reload_failures",
            "New certificates that could not be used; the previous ones stay in use",
            reload_failures.clone(),
        );
        registry.register(
            "user_server_tls_certificate_expiry_timestamp_seconds",
            "Expiry time of the certificate that new connections get, in seconds since 1970; \
             absent without TLS",
            expiry.clone(),
        );
        Self { failures, expiry, reload_failures }
    }

    /// Counts a failed handshake.
    pub fn failed(&self, reason: HandshakeFailure) {
        self.failures.get_or_create(&[("reason", reason.name())]).inc();
    }

    /// Sets the expiry time of the certificate in use.
    pub fn expires(&self, at: Timestamp) {
        self.expiry
            .get_or_create(&[("certificate", "server")])
            .set(i64::try_from(at.seconds()).unwrap_or(i64::MAX));
    }
}
