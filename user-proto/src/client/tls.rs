//! TLS for clients: trusted authorities, the client certificate, and the errors of a handshake.
//!
//! Like the server, it uses TLS 1.3 only, with the ALPN protocol `user/1`, and without early data
//! and session resumption.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, InconsistentKeys, InvalidMessage,
    RootCertStore,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::{ConnectError, HandshakeError};

/// The ALPN protocol name (RFC 7301).
const ALPN: &[u8] = b"user/1";

/// Options for TLS. The default trusts the public authorities of Mozilla's root program.
#[derive(Clone, Copy, Default)]
pub struct TlsOptions<'a> {
    /// Certificates of the trusted authorities in PEM format; `None` trusts the public ones.
    pub authorities: Option<&'a [u8]>,
    /// Client certificate, followed by its intermediate certificates, in PEM format.
    pub certificate: Option<&'a [u8]>,
    /// Private key of `certificate` in PEM format.
    pub key: Option<&'a [u8]>,
    /// Name that the server's certificate must contain; `None` uses the host of the address.
    pub server_name: Option<&'a str>,
}

/// TLS configuration of a client. Cloning it is cheap, and [`Tls::replace`] changes all clones.
#[derive(Clone)]
pub struct Tls {
    current: Arc<RwLock<Identity>>,
}

/// Client certificate, trusted authorities and expected server name that a new connection uses.
#[derive(Clone)]
struct Identity {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

/// Identifier of one of the [`TlsOptions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsOption {
    /// The option `authorities`.
    Authorities,
    /// The option `certificate`.
    Certificate,
    /// The option `key`.
    Key,
    /// The option `server_name`.
    ServerName,
}

/// Error about the value of one of the [`TlsOptions`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidTlsOption {
    /// Option with the invalid value.
    pub option: TlsOption,
    /// Description of the error. It never contains a part of the key.
    pub reason: String,
}

impl Tls {
    /// Creates a configuration from PEM files that were already read.
    ///
    /// # Errors
    /// Fails if an option is missing or invalid.
    pub fn new(options: &TlsOptions<'_>) -> Result<Self, InvalidTlsOption> {
        let unsupported = |error: Error| invalid(TlsOption::Authorities, error);
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unsupported)?
            .with_root_certificates(roots(options.authorities)?);
        let mut config = match (options.certificate, options.key) {
            (Some(certificate), Some(key)) => {
                let certificates = certificates(TlsOption::Certificate, certificate)?;
                // The error of the parser could quote the key.
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
                    invalid(TlsOption::Key, "expected an unencrypted private key in PEM format")
                })?;
                builder.with_client_auth_cert(certificates, key).map_err(|error| match error {
                    Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                        invalid(TlsOption::Key, "the key does not match the certificate")
                    }
                    Error::InvalidCertificate(_) => invalid(TlsOption::Certificate, error),
                    _ => invalid(TlsOption::Key, "the type of the key is not supported"),
                })?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) => {
                return Err(invalid(TlsOption::Key, "the key of the certificate is missing"));
            }
            (None, Some(_)) => {
                return Err(invalid(
                    TlsOption::Certificate,
                    "the certificate of the key is missing",
                ));
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        let name = options.server_name.map(|name| {
            ServerName::try_from(name.to_owned()).map_err(|_| {
                invalid(TlsOption::ServerName, format!("`{name}` is not a valid server name"))
            })
        });
        let identity = Identity { config: Arc::new(config), name: name.transpose()? };
        Ok(Self { current: Arc::new(RwLock::new(identity)) })
    }

    /// Replaces the configuration of this value and all its clones with that of `other`, for
    /// certificates that were renewed. Established connections are not affected.
    pub fn replace(&self, other: &Self) {
        let identity = other.identity();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    fn identity(&self) -> Identity {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the name that the certificate of the server at `addr` (`host:port`) must contain.
    /// Fails if the host is not a valid name.
    pub(super) fn server_name(&self, addr: &str) -> Result<ServerName<'static>, HandshakeError> {
        if let Some(name) = self.identity().name {
            return Ok(name);
        }
        let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host).trim_matches(['[', ']']);
        ServerName::try_from(host.to_owned())
            .map_err(|_| HandshakeError::InvalidServerName(host.to_owned()))
    }

    /// Performs the handshake over a connected stream.
    pub(super) async fn handshake(
        &self,
        name: ServerName<'static>,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, ConnectError> {
        let result = TlsConnector::from(self.identity().config).connect(name, stream).await;
        let stream = result.map_err(|error| connect_error(&error))?;
        // A server without ALPN selects nothing, and may be any TLS server.
        match stream.get_ref().1.alpn_protocol() {
            Some(ALPN) => Ok(stream),
            _ => Err(HandshakeError::AlpnMismatch.into()),
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.identity().name).finish_non_exhaustive()
    }
}

/// Returns the alert by which a server rejects the client certificate, if `error` is one. In TLS
/// 1.3 it arrives after the client has completed the handshake. Returns `None` for any other error,
/// after which the server may have read a request.
pub(super) fn rejection(error: &io::Error) -> Option<HandshakeError> {
    match tls_error(error)? {
        Error::AlertReceived(alert) => rejection_alert(*alert),
        _ => None,
    }
}

fn rejection_alert(alert: AlertDescription) -> Option<HandshakeError> {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => Some(HandshakeError::CertificateRequired),
        // `decrypt_error` reports a signature that does not match the certificate.
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::DecryptError => {
            Some(HandshakeError::CertificateRejected(in_words(&format!("{alert:?}"))))
        }
        _ => None,
    }
}

/// Classifies the error of a failed handshake.
fn connect_error(error: &io::Error) -> ConnectError {
    let Some(error) = tls_error(error) else {
        let text = match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "the server closed the connection during the TLS handshake".to_owned()
            }
            _ => error.to_string(),
        };
        return ConnectError::Io(error.kind(), text);
    };
    ConnectError::Handshake(match error {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => HandshakeError::UnknownAuthority,
        Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected,
            presented,
        }) => HandshakeError::NameMismatch(names(&expected.to_str(), presented)),
        Error::InvalidCertificate(error @ CertificateError::NotValidForName) => {
            HandshakeError::NameMismatch(in_words(&error.to_string()))
        }
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => HandshakeError::NotValidNow,
        Error::InvalidCertificate(error) => {
            HandshakeError::InvalidCertificate(certificate_fault(&error.to_string()))
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => HandshakeError::NotTls,
        Error::PeerIncompatible(_) | Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            HandshakeError::OldTls
        }
        Error::NoApplicationProtocol
        | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            HandshakeError::AlpnMismatch
        }
        Error::AlertReceived(alert) => rejection_alert(*alert).unwrap_or_else(|| {
            let alert = in_words(&format!("{alert:?}"));
            HandshakeError::Other(format!("the server sent the alert \"{alert}\""))
        }),
        error => HandshakeError::Other(error.to_string()),
    })
}

/// Returns a text with the expected name and the names in the server's certificate. rustls formats
/// the latter as in `DnsName("localhost")`.
fn names(expected: &str, presented: &[String]) -> String {
    let name = |text: &String| {
        let inside = text.split_once('(').map_or(text.as_str(), |(_, inside)| inside);
        inside.trim_matches(['(', ')', '"']).to_owned()
    };
    let presented: Vec<_> = presented.iter().map(name).collect();
    if presented.is_empty() {
        return format!("expected {expected}, found no name");
    }
    format!("expected {expected}, found {}", presented.join(", "))
}

/// Describes why rustls refuses a certificate. `text` is the text of its error.
fn certificate_fault(text: &str) -> String {
    // The certificate that `openssl req -x509` creates is one of an authority.
    if text.contains("CaUsedAsEndEntity") {
        return "it is the certificate of an authority (CA:TRUE), not that of a server".to_owned();
    }
    in_words(text)
}

/// Returns the words of a name such as `CertificateExpired`, since rustls prints some of its errors
/// and all alerts by the names of its code. Any other text is returned unchanged.
fn in_words(text: &str) -> String {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric()) {
        return text.to_owned();
    }
    let mut words = String::new();
    let mut previous_is_lower = false;
    for c in text.chars() {
        if c.is_ascii_uppercase() && previous_is_lower {
            words.push(' ');
        }
        previous_is_lower = !c.is_ascii_uppercase();
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// Returns the rustls error inside an I/O error, or `None` if the I/O error has another cause.
fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn roots(authorities: Option<&[u8]>) -> Result<RootCertStore, InvalidTlsOption> {
    let Some(pem) = authorities else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(TlsOption::Authorities, pem)? {
        roots.add(certificate).map_err(|error| invalid(TlsOption::Authorities, error))?;
    }
    Ok(roots)
}

fn certificates(
    option: TlsOption,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, InvalidTlsOption> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(found) if found.is_empty() => {
            Err(invalid(option, "expected a certificate in PEM format"))
        }
        Ok(found) => Ok(found),
        Err(_) => Err(invalid(option, "the PEM encoding is invalid")),
    }
}

fn invalid(option: TlsOption, reason: impl std::fmt::Display) -> InvalidTlsOption {
    InvalidTlsOption { option, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_rustls_are_described_in_words() {
        assert_eq!(in_words("CertificateExpired"), "certificate expired");
        let presented = ["DnsName(\"localhost\")", "IpAddress(127.0.0.1)"].map(str::to_owned);
        assert_eq!(
            names("a.example", &presented),
            "expected a.example, found localhost, 127.0.0.1"
        );
        assert_eq!(in_words("UnknownCA"), "unknown ca");
        assert_eq!(in_words("expired: 3 s ago"), "expired: 3 s ago");
        assert!(certificate_fault("Other(CaUsedAsEndEntity)").contains("of an authority"));
    }
}
