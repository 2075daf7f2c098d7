//! The server's identity: reads PEM files into a configuration of rustls.

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

use super::files::{TlsFault, TlsFile, TlsFiles};
use super::leaf;
use crate::domain::Timestamp;

/// The only application protocol (ALPN, RFC 7301). Clients that offer others but not this one are
/// rejected.
pub(super) const ALPN: &[u8] = b"user/1";

/// Certificate and key that a server presents, and the authorities from which it accepts client
/// certificates.
pub struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// Start of the certificate's validity.
    pub not_before: Timestamp,
    /// End of the certificate's validity.
    pub not_after: Timestamp,
    /// End of the validity of the clients' authority that expires first; `None` if clients need no
    /// certificate.
    pub authorities_until: Option<Timestamp>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads the identity from its files.
    ///
    /// # Errors
    /// If a file cannot be read or used, or if they do not match.
    pub fn read(files: &TlsFiles) -> Result<Self, TlsFault> {
        Material::read(files)?.identity()
    }

    /// Returns the identity unchanged if its certificate is valid at `now`.
    ///
    /// # Errors
    /// If the certificate has expired or is not valid yet.
    pub fn valid_at(self, now: Timestamp) -> Result<Self, TlsFault> {
        let reason = if now >= self.not_after {
            "the certificate has expired"
        } else if now < self.not_before {
            "the certificate is not valid yet"
        } else {
            return Ok(self);
        };
        Err(TlsFault::new(TlsFile::Certificate, reason))
    }
}

/// Contents of the files of a server's TLS identity.
pub(super) struct Material {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_authorities: Option<Vec<u8>>,
}

impl Material {
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsFault> {
        let client_authorities = files.client_authorities.as_deref();
        Ok(Self {
            certificate: read_file(TlsFile::Certificate, &files.certificate)?,
            key: Zeroizing::new(read_file(TlsFile::Key, &files.key)?),
            client_authorities: client_authorities
                .map(|path| read_file(TlsFile::ClientAuthorities, path))
                .transpose()?,
        })
    }

    pub(super) fn identity(&self) -> Result<Identity, TlsFault> {
        let certificates = certificates(TlsFile::Certificate, &self.certificate)?;
        let (not_before, not_after) = validity(&certificates)?;
        // The error of the parser is not used, because it could quote the key.
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| {
            TlsFault::new(TlsFile::Key, "the file contains no unencrypted private key in PEM")
        })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| TlsFault::new(TlsFile::Certificate, error))?;
        let builder = match &self.client_authorities {
            Some(pem) => builder.with_client_cert_verifier(verifier(pem, provider)?),
            None => builder.with_no_client_auth(),
        };
        let mut config =
            builder.with_single_cert(certificates, key).map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsFault::new(
                    TlsFile::Key,
                    "the key does not match the certificate in TLS_CERT",
                ),
                rustls::Error::InvalidCertificate(_) => TlsFault::new(
                    TlsFile::Certificate,
                    "the file contains a certificate that cannot be parsed",
                ),
                // Again, the error could quote the key.
                _ => TlsFault::new(
                    TlsFile::Key,
                    "the key is not supported; expected RSA with 2048 to 8192 bits, ECDSA or Ed25519",
                ),
            })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        let authorities_until =
            self.client_authorities.as_deref().map(first_expiry).transpose()?.flatten();
        Ok(Identity { config: Arc::new(config), not_before, not_after, authorities_until })
    }
}

/// Hash of the contents of the identity's files, or of the error with which they were read. Two
/// equal fingerprints mean that the files have not changed.
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

fn read_file(file: TlsFile, path: &Path) -> Result<Vec<u8>, TlsFault> {
    std::fs::read(path)
        .map_err(|error| TlsFault::new(file, format!("cannot read {}: {error}", path.display())))
}

fn certificates(file: TlsFile, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(TlsFault::new(file, "the file contains no certificate in PEM"))
        }
        Ok(found) => Ok(found),
        Err(_) => Err(TlsFault::new(file, "the file is not valid PEM")),
    }
}

fn validity(certificates: &[CertificateDer<'_>]) -> Result<(Timestamp, Timestamp), TlsFault> {
    let first = certificates.first().map(AsRef::as_ref).unwrap_or_default();
    let (_, certificate) = X509Certificate::from_der(first)
        .map_err(|_| TlsFault::new(TlsFile::Certificate, "the certificate cannot be parsed"))?;
    leaf::check(&certificate).map_err(|reason| {
        TlsFault::new(TlsFile::Certificate, format!("the certificate cannot be used: {reason}"))
    })?;
    let at = |seconds: i64| Timestamp(seconds.saturating_mul(1000));
    let validity = certificate.validity();
    Ok((at(validity.not_before.timestamp()), at(validity.not_after.timestamp())))
}

/// Returns the earliest end of the validity of these certificates.
fn first_expiry(pem: &[u8]) -> Result<Option<Timestamp>, TlsFault> {
    let ends = certificates(TlsFile::ClientAuthorities, pem)?.into_iter().filter_map(|der| {
        let (_, certificate) = X509Certificate::from_der(&der).ok()?;
        Some(Timestamp(certificate.validity().not_after.timestamp().saturating_mul(1000)))
    });
    Ok(ends.min())
}

fn verifier(
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsFault> {
    let fault = |error: &dyn std::fmt::Display| TlsFault::new(TlsFile::ClientAuthorities, error);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(TlsFile::ClientAuthorities, pem)? {
        roots
            .add(certificate)
            .map_err(|_| fault(&"the file contains a certificate that cannot be parsed"))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| fault(&error))
}
