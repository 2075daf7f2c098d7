//! Failed handshakes, for the log and the metrics.

use rustls::{CertificateError, Error};

use crate::metrics::HandshakeFailure;

/// Error of a TLS handshake that failed.
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
        let message = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::InvalidCertificate(error)) => refusal(error).to_owned(),
            _ => error.to_string(),
        };
        Self { reason, message }
    }
}

/// Describes why the certificate of a client was refused.
fn refusal(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the client's certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the client's certificate is not valid yet"
        }
        CertificateError::UnknownIssuer => {
            "the client's certificate is from an authority that TLS_CLIENT_CA does not contain"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the client's certificate is not one for clients (clientAuth)"
        }
        CertificateError::BadSignature => "the signature of the client's certificate is wrong",
        // The verifier has no variant for it.
        other if other.to_string().contains("CaUsedAsEndEntity") => {
            "the client's certificate is that of an authority (CA:TRUE), as `openssl req -x509` \
             creates it; it needs CA:FALSE"
        }
        _ => "the client's certificate cannot be used",
    }
}
