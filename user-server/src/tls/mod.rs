//! TLS: the server's certificate, the client certificates that it accepts, and their renewal while
//! the server runs. TLS 1.3 only, without early data and without resumption: connections live long,
//! and each one authenticates anew. This module knows streams and files, but no frames and no
//! users.

mod files;
mod handshake_error;
mod identity;
mod leaf;
mod own_client;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
pub use tokio_rustls::server::TlsStream;

use crate::domain::{Clock, Timestamp};
use crate::metrics::TlsMetrics;
pub use files::{TlsFault, TlsFile, TlsFiles};
pub use handshake_error::HandshakeError;
pub use identity::Identity;
use identity::{Fingerprint, Material};
pub use own_client::connect_to_own;

/// Interval at which the files of the identity are checked for changes.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// Remaining validity of a certificate below which a warning is logged.
const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 24 * 3600);

/// The current TLS identity of a server, which is reloaded when its files change.
pub struct Tls {
    files: TlsFiles,
    current: RwLock<Arc<Identity>>,
    /// Fingerprint of the files when they were last loaded, even if that failed.
    loaded: Mutex<Fingerprint>,
    clock: Arc<dyn Clock>,
    metrics: TlsMetrics,
}

impl Tls {
    /// Loads the identity from its files.
    ///
    /// # Errors
    /// If a file cannot be read or used, or if they do not match.
    pub fn start(
        files: TlsFiles,
        clock: Arc<dyn Clock>,
        metrics: TlsMetrics,
    ) -> Result<Self, TlsFault> {
        let material = Material::read(&files);
        let loaded = Fingerprint::of(&material);
        let identity = material?.identity()?;
        // An expired certificate does not prevent startup: a new one is loaded once it is there.
        warn_of_expiry(&identity, &files, clock.now());
        metrics.expires(identity.not_after);
        Ok(Self {
            files,
            current: RwLock::new(Arc::new(identity)),
            loaded: Mutex::new(loaded),
            clock,
            metrics,
        })
    }

    /// Returns true if clients must present a certificate, so that every connection is trusted.
    #[must_use]
    pub fn authenticates_clients(&self) -> bool {
        self.files.client_authorities.is_some()
    }

    /// Performs the handshake with a client, and returns the encrypted stream.
    ///
    /// # Errors
    /// If the handshake fails. The client has received a TLS alert then.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> Result<TlsStream<S>, HandshakeError> {
        let config = self.current.read().unwrap_or_else(PoisonError::into_inner).config.clone();
        Ok(TlsAcceptor::from(config).accept(stream).await?)
    }

    /// Reloads the files. If they cannot be used, the current identity stays in use. Open
    /// connections are not affected.
    pub fn reload(&self) {
        self.apply(Material::read(&self.files));
    }

    /// Reloads the files whenever they have changed. Does not return.
    pub async fn follow(self: Arc<Self>) {
        let mut previous = *self.loaded();
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            let files = self.files.clone();
            let Ok(material) = tokio::task::spawn_blocking(move || Material::read(&files)).await
            else {
                continue;
            };
            let current = Fingerprint::of(&material);
            // The certificate and its key are two files, and only one of them may have been
            // replaced yet. So wait until two checks find the same contents.
            if current == previous && current != *self.loaded() {
                self.apply(material);
            }
            previous = current;
        }
    }

    fn apply(&self, material: Result<Material, TlsFault>) {
        *self.loaded() = Fingerprint::of(&material);
        let now = self.clock.now();
        match material
            .and_then(|material| material.identity())
            .and_then(|identity| identity.valid_at(now))
        {
            Ok(identity) => {
                tracing::info!(
                    certificate = %self.files.certificate.display(),
                    "reloaded the certificates"
                );
                warn_of_expiry(&identity, &self.files, now);
                self.metrics.expires(identity.not_after);
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
            }
            Err(fault) => {
                self.metrics.reload_failures.inc();
                tracing::error!(
                    %fault,
                    "cannot use the new certificates; the previous ones stay in use"
                );
            }
        }
    }

    fn loaded(&self) -> MutexGuard<'_, Fingerprint> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn warn_of_expiry(identity: &Identity, files: &TlsFiles, now: Timestamp) {
    let certificate = files.certificate.display();
    if identity.not_after <= now {
        tracing::error!(%certificate, "the certificate has expired; replace the file");
    } else if identity.not_after.since(now) < EXPIRY_WARNING {
        let days = identity.not_after.since(now).as_secs() / (24 * 3600);
        tracing::warn!(%certificate, days, "the certificate expires soon");
    }
}
