//! Failed handshakes, for the log and the metrics.

use rustls::Error;

use crate::metrics::HandshakeFailure;

/// A TLS handshake that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeError {
    pub reason: HandshakeFailure,
    /// Description for the log.
    pub message: String,
}

impl From<std::io::Error> for HandshakeError {
    fn from(error: std::io::Error) -> Self {
        let reason = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::NoCertificatesPresented) => HandshakeFailure::NoCertificate,
            Some(Error::InvalidCertificate(_)) => HandshakeFailure::BadCertificate,
            Some(Error::NoApplicationProtocol) => HandshakeFailure::OtherProtocol,
            Some(Error::PeerIncompatible(_)) => HandshakeFailure::OldTls,
            Some(Error::AlertReceived(_)) => HandshakeFailure::RefusedByClient,
            Some(_) => HandshakeFailure::Broken,
            None => HandshakeFailure::Lost,
        };
        Self { reason, message: error.to_string() }
    }
}
