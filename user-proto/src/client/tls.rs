//! TLS as a client needs it: whom it trusts, who it says it is, and what a failed handshake means.
//! TLS 1.3 alone, with `user/1` inside, without early data and without resumption, as the server
//! has it. Knows no frame, and reads no file.

use std::io;
use std::sync::Arc;

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

use super::error::{NoHandshake, NoStream};

/// The one protocol inside TLS (RFC 7301).
const ALPN: &[u8] = b"user/1";

/// What there is to say about TLS. The default trusts the public authorities, which are Mozilla's.
#[derive(Clone, Copy, Default)]
pub struct TlsOptions<'a> {
    /// The authorities of servers that are trusted, in PEM, in place of the public ones.
    pub authorities: Option<&'a [u8]>,
    /// The certificate that this client shows, and those up to its authority, in PEM.
    pub certificate: Option<&'a [u8]>,
    /// The private key of `certificate`, in PEM.
    pub key: Option<&'a [u8]>,
    /// The name that the server's certificate has to have; else the host that is connected to.
    pub server_name: Option<&'a str>,
}

/// Whom a client trusts, and who it says it is. Cloning it is cheap.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

/// One of the [`TlsOptions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsPart {
    /// The authorities.
    Authorities,
    /// The certificate of this client.
    Certificate,
    /// Its key.
    Key,
    /// The name of the server.
    ServerName,
}

/// What is wrong with one of the [`TlsOptions`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{wrong}")]
pub struct TlsFault {
    /// Which.
    pub part: TlsPart,
    /// What.
    pub wrong: String,
}

impl Tls {
    /// Reads what is given.
    ///
    /// # Errors
    /// What is wrong with it. Nothing of the key is quoted.
    pub fn new(options: &TlsOptions<'_>) -> Result<Self, TlsFault> {
        let broken = |error: Error| fault(TlsPart::Authorities, error);
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(broken)?
            .with_root_certificates(roots(options.authorities)?);
        let mut config = match (options.certificate, options.key) {
            (Some(certificate), Some(key)) => {
                let certificates = certificates(TlsPart::Certificate, certificate)?;
                // What the parser says could quote the key.
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
                    fault(TlsPart::Key, "it holds no private key in PEM that is not encrypted")
                })?;
                builder.with_client_auth_cert(certificates, key).map_err(|error| match error {
                    Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                        fault(TlsPart::Key, "it is the key of another certificate")
                    }
                    Error::InvalidCertificate(_) => fault(TlsPart::Certificate, error),
                    _ => fault(TlsPart::Key, "it is no key that can be used"),
                })?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) => return Err(fault(TlsPart::Key, "it is missing")),
            (None, Some(_)) => return Err(fault(TlsPart::Certificate, "it is missing")),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        let name = options.server_name.map(|name| {
            ServerName::try_from(name.to_owned()).map_err(|_| {
                fault(TlsPart::ServerName, format!("`{name}` can not be the name of a certificate"))
            })
        });
        Ok(Self { config: Arc::new(config), name: name.transpose()? })
    }

    /// The name that the certificate of the server at `host:port` has to have.
    pub(super) fn name_of(&self, addr: &str) -> Result<ServerName<'static>, NoHandshake> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host).trim_matches(['[', ']']);
        ServerName::try_from(host.to_owned()).map_err(|_| NoHandshake::NoName(host.to_owned()))
    }

    pub(super) async fn shake(
        &self,
        name: ServerName<'static>,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, NoStream> {
        let shaken = TlsConnector::from(self.config.clone()).connect(name, stream).await;
        let stream = shaken.map_err(|error| why(&error))?;
        // A server without ALPN says nothing of it, and may be any server.
        match stream.get_ref().1.alpn_protocol() {
            Some(ALPN) => Ok(stream),
            _ => Err(NoHandshake::OtherProtocol.into()),
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why the server ends a connection whose handshake was done here: in TLS 1.3 it judges a client's
/// certificate then. `None` where that is not the reason, since then a request may have been read.
pub(super) fn kept_out(error: &io::Error) -> Option<NoHandshake> {
    match of_tls(error)? {
        Error::AlertReceived(alert) => refused(*alert),
        _ => None,
    }
}

fn refused(alert: AlertDescription) -> Option<NoHandshake> {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => Some(NoHandshake::CertificateWanted),
        // The last one is said of a signature that does not fit.
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::DecryptError => Some(NoHandshake::CertificateRefused(format!("{alert:?}"))),
        _ => None,
    }
}

/// What a handshake that failed means.
fn why(error: &io::Error) -> NoStream {
    let Some(fault) = of_tls(error) else {
        let text = match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "the server closed the connection in the TLS handshake".to_owned()
            }
            _ => error.to_string(),
        };
        return NoStream::Io(error.kind(), text);
    };
    NoStream::Handshake(match fault {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => NoHandshake::UnknownAuthority,
        Error::InvalidCertificate(
            fault @ (CertificateError::NotValidForName
            | CertificateError::NotValidForNameContext { .. }),
        ) => NoHandshake::OtherName(fault.to_string()),
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => NoHandshake::NotValidNow,
        Error::InvalidCertificate(fault) => NoHandshake::BadCertificate(fault.to_string()),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => NoHandshake::NotTls,
        Error::PeerIncompatible(_) | Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            NoHandshake::OldTls
        }
        Error::NoApplicationProtocol
        | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            NoHandshake::OtherProtocol
        }
        Error::AlertReceived(alert) => {
            refused(*alert).unwrap_or_else(|| NoHandshake::Broken(fault.to_string()))
        }
        fault => NoHandshake::Broken(fault.to_string()),
    })
}

fn of_tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn roots(authorities: Option<&[u8]>) -> Result<RootCertStore, TlsFault> {
    let Some(pem) = authorities else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(TlsPart::Authorities, pem)? {
        roots.add(certificate).map_err(|error| fault(TlsPart::Authorities, error))?;
    }
    Ok(roots)
}

fn certificates(part: TlsPart, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(found) if found.is_empty() => Err(fault(part, "it holds no certificate in PEM")),
        Ok(found) => Ok(found),
        Err(_) => Err(fault(part, "it is broken PEM")),
    }
}

fn fault(part: TlsPart, wrong: impl std::fmt::Display) -> TlsFault {
    TlsFault { part, wrong: wrong.to_string() }
}
