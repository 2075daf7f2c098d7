//! Files in PEM to an identity that rustls can use, or to what is wrong with which of them.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::TlsFiles;
use crate::domain::Timestamp;

/// The one protocol inside TLS (RFC 7301). Who names others, and not this one, is refused.
const ALPN: &[u8] = b"user/1";

/// One of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The certificate.
    Certificate,
    /// Its key.
    Key,
    /// The authorities of clients.
    ClientAuthorities,
}

impl Part {
    /// The variable that names the file.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Certificate => "TLS_CERT",
            Self::Key => "TLS_KEY",
            Self::ClientAuthorities => "TLS_CLIENT_CA",
        }
    }

    /// What the file has to be.
    #[must_use]
    pub fn mend(self) -> &'static str {
        match self {
            Self::Certificate => {
                "Name a file with the server's certificate in PEM, and behind it those up to its authority."
            }
            Self::Key => {
                "Name a file with the certificate's private key in PEM, not encrypted, that the service may read."
            }
            Self::ClientAuthorities => {
                "Name a file with the certificates, in PEM, of the authorities of your clients."
            }
        }
    }
}

/// What is wrong with one of the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {wrong}", .part.variable())]
pub struct TlsFault {
    /// Which.
    pub part: Part,
    /// What.
    pub wrong: String,
}

/// What a server shows, and whom it lets in.
pub struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// When the certificate begins to be good.
    pub begins: Timestamp,
    /// When it is good no more.
    pub expires: Timestamp,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads files.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(files: &TlsFiles) -> Result<Self, TlsFault> {
        Material::read(files)?.identity()
    }

    /// The same, where its certificate is good at this time.
    ///
    /// # Errors
    /// That it is not.
    pub fn valid_at(self, now: Timestamp) -> Result<Self, TlsFault> {
        let wrong = if now >= self.expires {
            "the certificate has expired"
        } else if now < self.begins {
            "the certificate is not good yet"
        } else {
            return Ok(self);
        };
        Err(TlsFault { part: Part::Certificate, wrong: wrong.to_owned() })
    }
}

/// The bytes of the files.
pub(super) struct Material {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_authorities: Option<Vec<u8>>,
}

impl Material {
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsFault> {
        let client_authorities = files.client_authorities.as_deref();
        Ok(Self {
            certificate: bytes(Part::Certificate, &files.certificate)?,
            key: Zeroizing::new(bytes(Part::Key, &files.key)?),
            client_authorities: client_authorities
                .map(|path| bytes(Part::ClientAuthorities, path))
                .transpose()?,
        })
    }

    pub(super) fn identity(&self) -> Result<Identity, TlsFault> {
        let certificates = certificates(Part::Certificate, &self.certificate)?;
        let (begins, expires) = life(&certificates)?;
        // What the parser says could quote the key.
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| {
            fault(Part::Key, "it holds no private key in PEM that is not encrypted")
        })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| fault(Part::Certificate, error))?;
        let builder = match &self.client_authorities {
            Some(pem) => builder.with_client_cert_verifier(verifier(pem, provider)?),
            None => builder.with_no_client_auth(),
        };
        let mut config =
            builder.with_single_cert(certificates, key).map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    fault(Part::Key, "it is the key of another certificate than TLS_CERT's")
                }
                rustls::Error::InvalidCertificate(_) => fault(Part::Certificate, error),
                // Again, nothing that could quote the key.
                _ => fault(Part::Key, "it is no key that can be used"),
            })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Identity { config: Arc::new(config), begins, expires })
    }
}

/// What files held, to tell whether they have changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(material: &Result<Material, TlsFault>) -> Self {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        match material {
            Ok(material) => {
                add(&material.certificate);
                add(&material.key);
                add(material.client_authorities.as_deref().unwrap_or_default());
            }
            Err(fault) => add(fault.to_string().as_bytes()),
        }
        Self(hash.finalize().into())
    }
}

fn fault(part: Part, wrong: impl std::fmt::Display) -> TlsFault {
    TlsFault { part, wrong: wrong.to_string() }
}

fn bytes(part: Part, path: &Path) -> Result<Vec<u8>, TlsFault> {
    std::fs::read(path)
        .map_err(|error| fault(part, format!("`{}` can not be read: {error}", path.display())))
}

fn certificates(part: Part, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(fault(part, "it holds no certificate in PEM")),
        Ok(found) => Ok(found),
        Err(_) => Err(fault(part, "it is broken PEM")),
    }
}

fn life(certificates: &[CertificateDer<'_>]) -> Result<(Timestamp, Timestamp), TlsFault> {
    let own = certificates.first().map(AsRef::as_ref).unwrap_or_default();
    let (_, own) = X509Certificate::from_der(own)
        .map_err(|_| fault(Part::Certificate, "the certificate can not be read"))?;
    let at = |seconds: i64| Timestamp(seconds.saturating_mul(1000));
    let life = own.validity();
    Ok((at(life.not_before.timestamp()), at(life.not_after.timestamp())))
}

fn verifier(
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(Part::ClientAuthorities, pem)? {
        roots.add(certificate).map_err(|error| fault(Part::ClientAuthorities, error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| fault(Part::ClientAuthorities, error))
}
