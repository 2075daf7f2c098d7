//! Why there is no secret stream, for the log and for what is counted.

use rustls::Error;

use crate::metrics::HandshakeFailure;

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoHandshake {
    /// What kind of failure it is.
    pub kind: HandshakeFailure,
    /// What was wrong.
    pub why: String,
}

impl NoHandshake {
    pub(super) fn of(error: &std::io::Error) -> Self {
        let kind = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::NoCertificatesPresented) => HandshakeFailure::NoCertificate,
            Some(Error::InvalidCertificate(_)) => HandshakeFailure::BadCertificate,
            Some(Error::NoApplicationProtocol) => HandshakeFailure::OtherProtocol,
            Some(Error::PeerIncompatible(_)) => HandshakeFailure::OldTls,
            Some(Error::AlertReceived(_)) => HandshakeFailure::RefusedByClient,
            Some(_) => HandshakeFailure::Broken,
            None => HandshakeFailure::Lost,
        };
        Self { kind, why: error.to_string() }
    }
}
