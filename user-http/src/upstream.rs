//! The user service, which this program is a client of: its addresses, TLS, the reloading of
//! certificates, and the verifier that checks tokens in memory. Knows no HTTP.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use user_proto::client::{Config, NodeStatus, Pool, PoolConfig, Tls, TlsOption, TlsOptions};
use user_proto::limits;
use user_proto::verifier::{Status, Verifier, VerifierConfig};
use zeroize::Zeroizing;

/// Longest time for one attempt to connect to a node.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait between two attempts to connect to a node. It is short, because the pool probes
/// every node each second anyway, and a node that is back should be used soon.
const MAX_BACKOFF: Duration = Duration::from_secs(2);
/// Interval at which the connections to the nodes are examined for the log.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// Time for which every connected node may be slow before that is logged as an outage. A moment of
/// load is none.
const SLOW_LIMIT: Duration = Duration::from_secs(2);

/// Configuration of the connections to the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Addresses of the nodes (`host:port`).
    pub addrs: Vec<String>,
    /// Files for TLS; `None` connects without encryption.
    pub tls: Option<ServiceTlsFiles>,
    /// True if tokens may be sent over a network without TLS.
    pub allow_plaintext: bool,
    /// Number of connections to each node.
    pub connections: usize,
    /// Time without a reply after which a node is considered slow and avoided.
    pub slow_after: Duration,
    /// Issuer of access tokens (`iss`).
    pub issuer: String,
    /// Audience of access tokens (`aud`).
    pub audience: String,
}

/// Files for TLS to the user service, and the expected name in its certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceTlsFiles {
    pub authorities: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub name: Option<String>,
}

/// Error about one of the files for TLS to the service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct TlsFileError {
    /// Variable that names the file.
    pub variable: &'static str,
    /// Value of the variable.
    pub value: String,
    pub reason: String,
}

impl ServiceTlsFiles {
    /// Reads the files.
    ///
    /// # Errors
    /// If a file cannot be read or used.
    pub fn load(&self) -> Result<Tls, TlsFileError> {
        let read = |option, path: &Option<PathBuf>| {
            path.as_deref().map(|path| self.read(option, path)).transpose()
        };
        let authorities = read(TlsOption::Authorities, &self.authorities)?;
        let certificate = read(TlsOption::Certificate, &self.certificate)?;
        let key = read(TlsOption::Key, &self.key)?;
        let options = TlsOptions {
            authorities: authorities.as_deref().map(Vec::as_slice),
            certificate: certificate.as_deref().map(Vec::as_slice),
            key: key.as_deref().map(Vec::as_slice),
            server_name: self.name.as_deref(),
        };
        Tls::new(&options).map_err(|error| self.error(error.option, error.reason))
    }

    fn read(&self, option: TlsOption, path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsFileError> {
        std::fs::read(path)
            .map(Zeroizing::new)
            .map_err(|error| self.error(option, format!("cannot read the file: {error}")))
    }

    fn error(&self, option: TlsOption, reason: String) -> TlsFileError {
        let path = |path: &Option<PathBuf>| {
            path.as_deref().map(|path| path.display().to_string()).unwrap_or_default()
        };
        let (variable, value) = match option {
            TlsOption::Authorities => ("SERVICE_CA", path(&self.authorities)),
            TlsOption::Certificate => ("SERVICE_CERT", path(&self.certificate)),
            TlsOption::Key => ("SERVICE_KEY", path(&self.key)),
            TlsOption::ServerName => ("SERVICE_NAME", self.name.clone().unwrap_or_default()),
        };
        TlsFileError { variable, value, reason }
    }
}

/// The connections to the nodes of the user service.
pub struct Upstream {
    pool: Pool,
    /// `None` if a token must not cross the network to one of the nodes. The client then refuses to
    /// send one as well.
    verifier: Option<Verifier>,
    tls: Option<(ServiceTlsFiles, Tls)>,
}

impl Upstream {
    /// Begins to connect to the nodes of the service.
    ///
    /// # Errors
    /// If a file for TLS cannot be read or used.
    pub fn start(config: &ServiceConfig) -> Result<Self, TlsFileError> {
        let tls = match &config.tls {
            Some(files) => Some((files.clone(), files.load()?)),
            None => None,
        };
        let client = Config {
            connect_timeout: CONNECT_TIMEOUT,
            max_backoff: MAX_BACKOFF,
            tls: tls.as_ref().map(|(_, tls)| tls.clone()),
            allow_plaintext: config.allow_plaintext,
            ..Config::default()
        };
        let pool =
            PoolConfig { client, connections: config.connections, slow_after: config.slow_after };
        let pool = Pool::start(&config.addrs, pool);
        let verifier = VerifierConfig {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            // Each check states its own deadline, and the listener limits their number.
            ask_timeout: Duration::from_millis(limits::MAX_DEADLINE_MS.into()),
            max_asking: usize::MAX,
            ..VerifierConfig::default()
        };
        Ok(Self { verifier: Verifier::with_pool(pool.clone(), verifier).ok(), pool, tls })
    }

    /// Returns the verifier, which checks tokens in memory or asks the service.
    #[must_use]
    pub fn verifier(&self) -> Option<&Verifier> {
        self.verifier.as_ref()
    }

    /// Returns the connections, for requests of end users.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Returns the state of the verifier.
    #[must_use]
    pub fn verifier_status(&self) -> Status {
        self.verifier.as_ref().map(Verifier::status).unwrap_or_default()
    }

    /// Returns the state of every connection to the service.
    #[must_use]
    pub fn status(&self) -> Vec<NodeStatus> {
        self.pool.status()
    }

    /// Returns true if at least one node of the service can be reached.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.pool.status().iter().any(|node| node.connected)
    }

    /// Logs when no node answers any more, and when one answers again. Does not return.
    pub async fn log_outages(&self) {
        let mut silent_since = None;
        let mut reported = false;
        loop {
            let nodes = self.pool.status();
            if nodes.iter().any(|node| node.connected && !node.slow) {
                if let (Some(since), true) = (silent_since, reported) {
                    let outage_ms = Instant::now().duration_since(since).as_millis();
                    tracing::info!(outage_ms, "the user service answers again");
                }
                (silent_since, reported) = (None, false);
            } else if !reported {
                let since = *silent_since.get_or_insert_with(Instant::now);
                let connected = nodes.iter().any(|node| node.connected);
                if !connected || since.elapsed() >= SLOW_LIMIT {
                    reported = true;
                    let nodes: Vec<_> = nodes.iter().map(|node| node.addr.as_str()).collect();
                    tracing::warn!(
                        nodes = nodes.join(", "),
                        "no node of the user service answers; checks that need one are answered \
                         with 503, and `user-http check` says why"
                    );
                }
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    }

    /// Reloads the files for TLS. If they cannot be used, the current ones stay in use. Connections
    /// that are open are not affected.
    pub fn reload(&self) {
        let Some((files, current)) = &self.tls else { return };
        match files.load() {
            Ok(tls) => {
                current.replace(&tls);
                tracing::info!("reloaded the certificates for the service");
            }
            Err(error) => {
                tracing::error!(%error, "cannot use the new certificates; the previous ones stay");
            }
        }
    }

    /// Waits for requests in flight, and closes the connections.
    pub async fn close(&self) {
        if let Some(verifier) = &self.verifier {
            verifier.close().await;
        }
        self.pool.close().await;
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("nodes", &self.pool.status()).finish_non_exhaustive()
    }
}
