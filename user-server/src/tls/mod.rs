//! TLS: the server's certificate, whom it lets in, and how both are renewed while it runs. TLS 1.3
//! alone, without early data and without resumption: a connection lives long, and each one shows
//! its certificate. Knows streams and files; no frame, no user.

mod failure;
mod identity;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
pub use tokio_rustls::server::TlsStream;

use crate::domain::{Clock, Timestamp};
use crate::metrics::TlsMetrics;
pub use failure::NoHandshake;
use identity::{Fingerprint, Material};
pub use identity::{Identity, Part, TlsFault};

/// How often it is looked whether the files have changed.
const PERIOD: Duration = Duration::from_secs(2);
/// The life that a certificate should have left.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// The files of a server's identity, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities whose clients alone are let in; everybody where there is none.
    pub client_authorities: Option<PathBuf>,
}

/// A server's identity, as its files have it now.
pub struct Tls {
    files: TlsFiles,
    current: RwLock<Arc<Identity>>,
    /// The files as they were when they were last tried, whether they could be used or not.
    tried: Mutex<Fingerprint>,
    clock: Arc<dyn Clock>,
    metrics: TlsMetrics,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn start(
        files: TlsFiles,
        clock: Arc<dyn Clock>,
        metrics: TlsMetrics,
    ) -> Result<Self, TlsFault> {
        let material = Material::read(&files);
        let tried = Fingerprint::of(&material);
        let identity = material?.identity()?;
        // One that is over is no reason to stay down: the new one is taken up when it is there.
        warn_of_its_end(&identity, &files, clock.now());
        metrics.expires(identity.expires);
        Ok(Self {
            files,
            current: RwLock::new(Arc::new(identity)),
            tried: Mutex::new(tried),
            clock,
            metrics,
        })
    }

    /// Whether clients have to show a certificate, so that whoever is in is believed.
    #[must_use]
    pub fn knows_clients(&self) -> bool {
        self.files.client_authorities.is_some()
    }

    /// Makes a stream of a client's a secret one.
    ///
    /// # Errors
    /// Why there is none. The client was told, as TLS tells it.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> Result<TlsStream<S>, NoHandshake> {
        let config = self.current.read().unwrap_or_else(PoisonError::into_inner).config.clone();
        TlsAcceptor::from(config).accept(stream).await.map_err(|error| NoHandshake::of(&error))
    }

    /// Reads the files again. Where they can't be used, what was there stays. Connections that are
    /// open stay as they are.
    pub fn reload(&self) {
        self.apply(Material::read(&self.files));
    }

    /// Reads the files again whenever they have changed.
    pub async fn follow(self: Arc<Self>) {
        let mut before = *self.tried();
        loop {
            tokio::time::sleep(PERIOD).await;
            let files = self.files.clone();
            let Ok(material) = tokio::task::spawn_blocking(move || Material::read(&files)).await
            else {
                continue;
            };
            let now = Fingerprint::of(&material);
            // Certificate and key are two files, so that half of a change may be seen: it has to be
            // at rest.
            if now == before && now != *self.tried() {
                self.apply(material);
            }
            before = now;
        }
    }

    fn apply(&self, material: Result<Material, TlsFault>) {
        *self.tried() = Fingerprint::of(&material);
        let now = self.clock.now();
        match material
            .and_then(|material| material.identity())
            .and_then(|identity| identity.valid_at(now))
        {
            Ok(identity) => {
                tracing::info!(certificate = %self.files.certificate.display(), "certificates were read again");
                warn_of_its_end(&identity, &self.files, now);
                self.metrics.expires(identity.expires);
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
            }
            Err(fault) => {
                self.metrics.reload_failures.inc();
                tracing::error!(%fault, "new certificates can not be used; those from before stay");
            }
        }
    }

    fn tried(&self) -> MutexGuard<'_, Fingerprint> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn warn_of_its_end(identity: &Identity, files: &TlsFiles, now: Timestamp) {
    let certificate = files.certificate.display();
    if identity.expires <= now {
        tracing::error!(%certificate, "the certificate has expired; put a new one in its place");
    } else if identity.expires.since(now) < SOON {
        let days = identity.expires.since(now).as_secs() / (24 * 3600);
        tracing::warn!(%certificate, days, "the certificate expires soon");
    }
}
