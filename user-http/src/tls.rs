//! TLS of the listener: its certificate, and its renewal while the program runs. TLS 1.3 only,
//! without early data and without resumption. This module knows streams and files, but no HTTP.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{InconsistentKeys, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

/// The application protocol (ALPN, RFC 7301). A client that offers only others is rejected.
const ALPN: &[u8] = b"http/1.1";
/// Remaining validity of a certificate below which there is a warning.
const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 24 * 3600);

/// Files of the listener's certificate and private key, in PEM format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate, followed by those of intermediate authorities.
    pub certificate: PathBuf,
    /// Private key of the certificate.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Returns the path of one of the files.
    #[must_use]
    pub fn path(&self, file: TlsFile) -> &Path {
        match file {
            TlsFile::Certificate => &self.certificate,
            TlsFile::Key => &self.key,
        }
    }
}

/// One of the files of the listener's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFile {
    Certificate,
    Key,
}

impl TlsFile {
    /// Returns the environment variable that names the file.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Certificate => "TLS_CERT",
            Self::Key => "TLS_KEY",
        }
    }

    /// Returns a hint about the required contents of the file.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Certificate => {
                "Set TLS_CERT to a PEM file with the certificate, followed by those of \
                 intermediate authorities."
            }
            Self::Key => {
                "Set TLS_KEY to a PEM file with the unencrypted private key of the certificate, \
                 which this program can read."
            }
        }
    }
}

/// A file of the certificate or key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", .file.variable())]
pub struct TlsFault {
    pub file: TlsFile,
    pub reason: String,
}

impl TlsFault {
    fn new(file: TlsFile, reason: impl std::fmt::Display) -> Self {
        Self { file, reason: reason.to_string() }
    }
}

/// Certificate and private key that the listener presents.
#[derive(Debug)]
pub struct Identity {
    config: Arc<ServerConfig>,
    /// Contents of the certificate and key files, to detect whether they have changed.
    files: [Zeroizing<Vec<u8>>; 2],
    /// End of the certificate's validity, in seconds since 1970-01-01T00:00:00Z.
    not_after: i64,
}

impl Identity {
    /// Reads the identity from its files.
    ///
    /// # Errors
    /// If a file cannot be read or used, or if they do not match.
    pub fn read(files: &TlsFiles) -> Result<Self, TlsFault> {
        let contents = [
            read_file(TlsFile::Certificate, &files.certificate)?,
            read_file(TlsFile::Key, &files.key)?,
        ];
        let [certificate, key] = &contents;
        let certificates = certificates(certificate)?;
        let not_after = not_after(&certificates)?;
        // The error of the parser is not used, because it could quote the key.
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            TlsFault::new(TlsFile::Key, "the file contains no unencrypted private key in PEM")
        })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| TlsFault::new(TlsFile::Certificate, error))?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsFault::new(
                    TlsFile::Key,
                    "the key does not match the certificate in TLS_CERT",
                ),
                rustls::Error::InvalidCertificate(_) => TlsFault::new(TlsFile::Certificate, error),
                // Again, the error could quote the key.
                _ => TlsFault::new(TlsFile::Key, "the key is not supported"),
            })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self { config: Arc::new(config), files: contents, not_after })
    }

    /// Returns a warning if the certificate has expired or expires soon.
    #[must_use]
    pub fn expiry_warning(&self) -> Option<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let left = self.not_after.saturating_sub_unsigned(now);
        if left <= 0 {
            Some("the certificate in TLS_CERT has expired; replace the file".to_owned())
        } else if left.unsigned_abs() < EXPIRY_WARNING.as_secs() {
            Some(format!("the certificate in TLS_CERT expires in {} days", left / (24 * 3600)))
        } else {
            None
        }
    }
}

/// The current certificate and key of the listener, which are reloaded when their files change.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: RwLock<Arc<Identity>>,
}

impl Tls {
    /// Loads the identity from its files.
    ///
    /// # Errors
    /// If a file cannot be read or used, or if they do not match.
    pub fn load(files: TlsFiles) -> Result<Self, TlsFault> {
        let identity = Identity::read(&files)?;
        Ok(Self { files, current: RwLock::new(Arc::new(identity)) })
    }

    /// Performs the handshake with a client, and returns the encrypted stream.
    ///
    /// # Errors
    /// If the handshake fails.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> std::io::Result<TlsStream<S>> {
        TlsAcceptor::from(Arc::clone(&self.identity().config)).accept(stream).await
    }

    /// Reloads the files if they have changed. If they cannot be used, the current identity stays
    /// in use. Open connections are not affected.
    pub fn reload(&self) {
        match Identity::read(&self.files) {
            Ok(identity) if identity.files == self.identity().files => {}
            Ok(identity) => {
                let certificate = self.files.certificate.display();
                tracing::info!(%certificate, "reloaded the certificate of the listener");
                if let Some(warning) = identity.expiry_warning() {
                    tracing::warn!("{warning}");
                }
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
            }
            Err(fault) => {
                tracing::error!(%fault, "cannot use the new certificate; the previous one stays");
            }
        }
    }

    fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read_file(file: TlsFile, path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsFault> {
    std::fs::read(path)
        .map(Zeroizing::new)
        .map_err(|error| TlsFault::new(file, format!("cannot read {}: {error}", path.display())))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let fault = |reason| TlsFault::new(TlsFile::Certificate, reason);
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(found) if found.is_empty() => Err(fault("the file contains no certificate in PEM")),
        Ok(found) => Ok(found),
        Err(_) => Err(fault("the file is not valid PEM")),
    }
}

fn not_after(certificates: &[CertificateDer<'_>]) -> Result<i64, TlsFault> {
    let first = certificates.first().map(AsRef::as_ref).unwrap_or_default();
    let (_, certificate) = X509Certificate::from_der(first)
        .map_err(|_| TlsFault::new(TlsFile::Certificate, "the certificate cannot be parsed"))?;
    Ok(certificate.validity().not_after.timestamp())
}
