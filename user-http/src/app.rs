//! Assembles, starts and stops all parts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use crate::api::{Api, TokenAges};
use crate::auth::AuthCheck;
use crate::config::Config;
use crate::endpoints::Endpoints;
use crate::forwarded::TrustedProxies;
use crate::listener::{Listener, Options};
use crate::logs::{DroppedLines, RareLine};
use crate::metrics::{ConnectionMetrics, Metrics};
use crate::monitor::{self, Monitor};
use crate::tls::{Tls, TlsFault};
use crate::upstream::{TlsFileError, Upstream};

/// Interval at which the files of certificates are checked for changes.
const RELOAD_INTERVAL: Duration = Duration::from_secs(10);
/// Longest time for which startup waits for a connection to the first node of the service. The node
/// need not be reachable, but if it is, the first check should not find it unconnected.
const FIRST_CONNECTION: Duration = Duration::from_millis(500);

/// The running program, with its listeners and its connections to the user service.
pub struct App {
    listener: Listener,
    monitor_listener: Option<Listener>,
    monitor: Arc<Monitor>,
    upstream: Arc<Upstream>,
    tls: Option<Arc<Tls>>,
    grace: Duration,
}

/// Error that prevents the program from starting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address} ({variable}): {error}")]
    Listen { variable: &'static str, address: SocketAddr, error: std::io::Error },
    #[error(transparent)]
    Tls(#[from] TlsFault),
    #[error(transparent)]
    ServiceTls(#[from] TlsFileError),
}

impl StartError {
    /// Returns a hint that says how to fix the error.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Listen { variable, error, .. } => match error.kind() {
                std::io::ErrorKind::AddrInUse => format!(
                    "Another process listens there. Stop it, or choose another port with \
                     {variable}."
                ),
                std::io::ErrorKind::PermissionDenied => format!(
                    "A port below 1024 needs the privilege CAP_NET_BIND_SERVICE. Use a port of 1024 \
                     or higher with {variable}, or grant it with \
                     AmbientCapabilities=CAP_NET_BIND_SERVICE of systemd."
                ),
                _ => format!("Set {variable} and LISTEN_ADDR to an address of this machine."),
            },
            Self::Tls(fault) => fault.file.hint().to_owned(),
            Self::ServiceTls(error) => format!("Correct the file of {}.", error.variable),
        }
    }
}

impl App {
    /// Starts all parts. The service need not be reachable.
    ///
    /// # Errors
    /// If an address cannot be listened on, or a certificate cannot be used.
    pub async fn start(config: &Config, dropped_lines: DroppedLines) -> Result<Self, StartError> {
        let tls = config.tls.clone().map(Tls::load).transpose()?.map(Arc::new);
        let upstream = Arc::new(Upstream::start(&config.service)?);
        let metrics = Arc::new(Metrics::default());
        let check = Arc::new(AuthCheck {
            upstream: Arc::clone(&upstream),
            trusted_proxies: config.trusted_proxies.clone(),
            timeout: config.check_timeout,
            cookies: config.browser.cookies.clone(),
            login: config.browser.login.clone(),
            metrics: Arc::clone(&metrics.checks),
            warned: Once::new(),
        });
        let api = config.api_timeout.map(|timeout| {
            Arc::new(Api {
                upstream: Arc::clone(&upstream),
                trusted_proxies: config.trusted_proxies.clone(),
                timeout,
                cookies: config.browser.cookies.clone(),
                cors_origins: config.browser.cors_origins.clone(),
                login: config.browser.login.clone(),
                return_hosts: config.browser.return_hosts.clone(),
                token_ages: TokenAges::default(),
                scheme: if config.tls.is_some() { "https" } else { "http" },
                metrics: Arc::clone(&metrics.api),
                warned: Once::new(),
                login_reported: RareLine::default(),
                loop_reported: RareLine::default(),
            })
        });
        let monitor = Arc::new(Monitor {
            upstream: Arc::clone(&upstream),
            metrics: Arc::clone(&metrics),
            dropped_lines,
            draining: AtomicBool::new(false),
        });
        let listening =
            |variable, address| move |error| StartError::Listen { variable, address, error };
        let monitor_listener = match config.metrics_listen {
            Some(address) => {
                let options = Options {
                    handler: monitor::router(Arc::clone(&monitor)),
                    limits: monitor::LIMITS,
                    tls: None,
                    trusted_proxies: TrustedProxies::default(),
                    proxy_protocol: false,
                    metrics: Arc::new(ConnectionMetrics::default()),
                };
                let started = Listener::start(address, options).await;
                Some(started.map_err(listening("METRICS_ADDR", address))?)
            }
            None => None,
        };
        wait_for_first(&upstream).await;
        let options = Options {
            handler: Endpoints::new(check, api, Arc::clone(&upstream), config.demo),
            limits: config.limits,
            tls: tls.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            proxy_protocol: config.proxy_protocol,
            metrics: Arc::clone(&metrics.connections),
        };
        let listener = Listener::start(config.listen, options)
            .await
            .map_err(listening("HTTP_PORT", config.listen))?;
        Ok(Self { listener, monitor_listener, monitor, upstream, tls, grace: config.grace })
    }

    /// Returns the address on which the checks of proxies are answered.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Returns the address of health checks and metrics, or `None` if they are off.
    #[must_use]
    pub fn monitor_address(&self) -> Option<SocketAddr> {
        self.monitor_listener.as_ref().map(Listener::address)
    }

    /// Returns true if at least one node of the service can be reached.
    #[must_use]
    pub fn is_service_reachable(&self) -> bool {
        self.upstream.is_reachable()
    }

    /// Returns a function that returns the status in one line.
    pub fn status(&self) -> impl Fn() -> String + Send + 'static {
        let monitor = Arc::clone(&self.monitor);
        move || monitor.status().to_owned()
    }

    /// Reloads all certificates, as on SIGHUP.
    pub fn reload(&self) {
        if let Some(tls) = &self.tls {
            tls.reload();
        }
        self.upstream.reload();
    }

    /// Reloads the certificate of the listener when its files have changed. Does not return.
    pub async fn follow_certificate(&self) {
        let Some(tls) = &self.tls else { return std::future::pending().await };
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            let tls = Arc::clone(tls);
            let _ = tokio::task::spawn_blocking(move || tls.reload()).await;
        }
    }

    /// Logs when the service is lost, and when it is back. Does not return.
    pub async fn log_outages(&self) {
        self.upstream.log_outages().await;
    }

    /// Makes /readyz report this process as not ready.
    pub fn set_draining(&self) {
        self.monitor.draining.store(true, Ordering::Relaxed);
    }

    /// Stops accepting, completes requests in flight within the grace period, and closes all
    /// connections.
    pub async fn stop(self) {
        self.set_draining();
        let left = self.listener.drain(self.grace, &self.monitor.metrics.connections).await;
        if left > 0 {
            tracing::warn!(connections = left, "the grace period ended before all requests did");
        }
        self.upstream.close().await;
        if let Some(monitor) = self.monitor_listener {
            monitor.drain(Duration::ZERO, &ConnectionMetrics::default()).await;
        }
    }
}

async fn wait_for_first(upstream: &Upstream) {
    let connected = async {
        while !upstream.is_reachable() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let _ = tokio::time::timeout(FIRST_CONNECTION, connected).await;
}
