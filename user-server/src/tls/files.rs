//! The files of a server's identity, and errors in them.

use std::path::{Path, PathBuf};

/// Files of a server's certificate and private key, in PEM format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate of the server, followed by those of intermediate authorities.
    pub certificate: PathBuf,
    /// Private key of the certificate.
    pub key: PathBuf,
    /// Certificates of the authorities of clients. If it is set, only clients with a certificate
    /// from one of them are accepted; `None` requires no client certificate.
    pub client_authorities: Option<PathBuf>,
}

impl TlsFiles {
    /// Returns the path of one of the files.
    #[must_use]
    pub fn path(&self, file: TlsFile) -> &Path {
        match file {
            TlsFile::Certificate => &self.certificate,
            TlsFile::Key => &self.key,
            TlsFile::ClientAuthorities => {
                self.client_authorities.as_deref().unwrap_or(Path::new(""))
            }
        }
    }
}

/// One of the files of a server's TLS identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFile {
    Certificate,
    Key,
    ClientAuthorities,
}

impl TlsFile {
    /// Returns the environment variable that names the file.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Certificate => "TLS_CERT",
            Self::Key => "TLS_KEY",
            Self::ClientAuthorities => "TLS_CLIENT_CA",
        }
    }

    /// Returns a hint about the required contents of the file.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Certificate => {
                "Set TLS_CERT to a PEM file with the server's certificate, followed by those of \
                 intermediate authorities. `user-cli dev-cert` creates one for a trial."
            }
            Self::Key => {
                "Set TLS_KEY to a PEM file with the unencrypted private key of the certificate, \
                 which the service can read."
            }
            Self::ClientAuthorities => {
                "Set TLS_CLIENT_CA to a PEM file with the certificates of clients' authorities."
            }
        }
    }
}

/// A file of the server's TLS identity that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", .file.variable())]
pub struct TlsFault {
    pub file: TlsFile,
    pub reason: String,
}

impl TlsFault {
    pub(super) fn new(file: TlsFile, reason: impl std::fmt::Display) -> Self {
        Self { file, reason: reason.to_string() }
    }
}
