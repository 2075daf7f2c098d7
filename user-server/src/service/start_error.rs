//! Reasons for which the service does not start, with hints for the operator.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::{SecretError, WeakSecret, listen_hint};
use crate::domain::Fault;
use crate::store::{folder, postgres};
use crate::tls::TlsFault;

/// Name of the embedded database in the data folder.
pub(super) const DATABASE_FILE: &str = "users.db";

/// Reason for which the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// This folder cannot be created or used.
    #[error("cannot use the folder {}: {}", .0.display(), folder::describe(.0, .1))]
    Folder(PathBuf, std::io::Error),
    /// Another process uses this data folder.
    #[error("{0} is in use by another user-server")]
    InUse(PathBuf),
    /// The secret in the data folder cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A new secret is easy to guess.
    #[error("{0}")]
    WeakSecret(WeakSecret),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// Every configured key is retired, so none is left to sign with.
    #[error("every key is retired")]
    Retired,
    /// The server cannot listen on this address.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The server cannot listen on this address for health checks and metrics.
    #[error("cannot listen on {0} for health checks and metrics: {1}")]
    ListenMonitor(SocketAddr, std::io::Error),
    /// The database at this location cannot be opened.
    #[error("cannot use the database {0}: {1}")]
    Database(String, Fault),
    /// The system failed, or the database failed after it was opened.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl StartError {
    /// Returns a hint for the operator about the error, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Folder(..) => {
                "Set DATA_DIR or MAIL_DIR to a folder that the service can write to."
            }
            Self::InUse(_) => "Stop that process, or set DATA_DIR to another folder.",
            Self::WeakSecret(_) => "To generate a secret, run: user-server keys new",
            Self::Secret(error) => return Some(error.hint()),
            Self::Tls(fault) => fault.file.hint(),
            Self::Retired => {
                "Set JWTSECRETKEY to a new secret, which `user-server keys new` generates."
            }
            Self::Listen(address, error) => return Some(listen_hint("TCP_PORT", *address, error)),
            Self::ListenMonitor(address, error) => {
                return Some(listen_hint("METRICS_ADDR", *address, error));
            }
            Self::Database(location, fault) if !location.ends_with(DATABASE_FILE) => {
                return Some(format!(
                    "{} To test the configuration, run: user-server check",
                    postgres::hint(fault)
                ));
            }
            Self::Database(..) => "To test the configuration, run: user-server check",
            Self::Fault(_) => return None,
        };
        Some(hint.to_owned())
    }
}
