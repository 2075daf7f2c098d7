//! TLS of the scripted server, with the faults that a case asks for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    ServerConfig, SignatureScheme, version,
};

use super::cases::{Accept, Unacceptable};
use crate::dev_cert::{Certified, Identity, issue};
use crate::private_file;

/// Name in the certificate of the server.
const SERVER_NAME: &str = "localhost";

/// Certificates of one run, with the files that drivers read. Dropping them removes the files.
pub(super) struct Certificates {
    folder: PathBuf,
    genuine: Certified,
    /// Issued by an authority that clients trust, for another name.
    other_name: Certified,
    untrusted: Certified,
}

impl Certificates {
    /// Issues certificates, and writes those of the client to a temporary folder.
    ///
    /// # Errors
    /// A text, if the files cannot be written.
    pub(super) fn issue() -> Result<Self, String> {
        let issue = |name: &str| {
            issue(&[name.to_owned()], "client.localhost", 1).map_err(|error| error.to_string())
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = format!("user-cli-conform-{}-{now}", std::process::id());
        let certificates = Self {
            folder: std::env::temp_dir().join(name),
            genuine: issue(SERVER_NAME)?,
            other_name: issue("other.example")?,
            untrusted: issue(SERVER_NAME)?,
        };
        certificates.write().map_err(|error| {
            format!("cannot write to {}: {error}", certificates.folder.display())
        })?;
        Ok(certificates)
    }

    fn write(&self) -> std::io::Result<()> {
        std::fs::create_dir(&self.folder)?;
        let authorities = format!("{}{}", self.genuine.authority, self.other_name.authority);
        let client = &self.genuine.client;
        let files = [
            ("ca.pem", authorities.as_bytes()),
            ("client.pem", client.certificate.as_bytes()),
            ("client.key", client.key.as_bytes()),
        ];
        files
            .iter()
            .try_for_each(|(name, bytes)| private_file::create(&self.folder.join(name), bytes))
    }

    /// Returns what a driver is told about TLS.
    pub(super) fn of_driver(&self, has_certificate: bool) -> Value {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let own = |name: &str| has_certificate.then(|| path(name));
        json!({
            "ca": path("ca.pem"),
            "cert": own("client.pem"),
            "key": own("client.key"),
            "server_name": SERVER_NAME,
        })
    }

    /// Returns the configuration for a connection that is accepted in this way. With
    /// `has_certificate`, the client has to present its certificate.
    ///
    /// # Errors
    /// A text, if the case names an unknown alert.
    pub(super) fn server(
        &self,
        accept: &Accept,
        has_certificate: bool,
    ) -> Result<Arc<ServerConfig>, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| text(&error))?;
        let builder = match &accept.alert {
            Some(alert) => {
                let error = rejection(alert)?;
                builder.with_client_cert_verifier(Arc::new(Rejecting { error, provider }))
            }
            None if has_certificate => {
                let mut roots = RootCertStore::empty();
                let authority = CertificateDer::from_pem_slice(self.genuine.authority.as_bytes())
                    .map_err(|error| text(&error))?;
                roots.add(authority).map_err(|error| text(&error))?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|error| text(&error))?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let Identity { certificate, key } = match accept.certificate {
            None => &self.genuine.server,
            Some(Unacceptable::OtherName) => &self.other_name.server,
            Some(Unacceptable::Untrusted) => &self.untrusted.server,
        };
        let certificate =
            CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|error| text(&error))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| text(&error))?;
        let mut config =
            builder.with_single_cert(vec![certificate], key).map_err(|error| text(&error))?;
        config.alpn_protocols = match accept.alpn.as_deref() {
            None => vec![b"user/1".to_vec()],
            Some("none") => Vec::new(),
            Some(protocol) => vec![protocol.as_bytes().to_vec()],
        };
        Ok(Arc::new(config))
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Returns the error that rustls reports to the client by this alert.
fn rejection(alert: &str) -> Result<CertificateError, String> {
    Ok(match alert {
        // The alert for a client without a certificate, which no check of it produces.
        "certificate_required" | "certificate_unknown" => {
            CertificateError::Other(OtherError(Arc::new(std::fmt::Error)))
        }
        "certificate_expired" => CertificateError::Expired,
        "certificate_revoked" => CertificateError::Revoked,
        "unknown_ca" => CertificateError::UnknownIssuer,
        "access_denied" => CertificateError::ApplicationVerificationFailure,
        _ => return Err(format!("there is no alert `{alert}`")),
    })
}

/// Verifier that rejects every client.
#[derive(Debug)]
struct Rejecting {
    error: CertificateError,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Rejecting {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Err(Error::InvalidCertificate(self.error.clone()))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::InvalidCertificate(self.error.clone()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::InvalidCertificate(self.error.clone()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
