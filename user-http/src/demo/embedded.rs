//! A `user-server` that this program starts for the demo page and stops when it ends itself.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

/// Name of the executable.
const PROGRAM: &str = "user-server";
/// Settings of this program that the service would take for its own.
const OWN_SETTINGS: [&str; 4] = ["LISTEN_ADDR", "METRICS_ADDR", "TLS_CERT", "TLS_KEY"];
/// Maximum time until the service listens.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Maximum time until the service has stopped.
const STOP_LIMIT: Duration = Duration::from_secs(15);
const INTERVAL: Duration = Duration::from_millis(50);

/// Error about a service that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    #[error("cannot start {path}: {error}")]
    Program { path: String, error: std::io::Error },
    #[error("user-server ended before it listened on {0}")]
    Ended(SocketAddr),
}

impl NotStarted {
    /// Returns a hint that says how to fix the error.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Program { .. } => {
                "Put user-server into the folder of user-http or into PATH, or set SERVICE_ADDRS to \
                 a service that runs."
            }
            Self::Ended(_) => "The lines above say why.",
        }
    }
}

/// A running service.
#[derive(Debug)]
pub struct EmbeddedService(Child);

impl EmbeddedService {
    /// Starts the service with its embedded default, unless something listens on its address
    /// already. `folder` is that of this program.
    ///
    /// # Errors
    /// If the service does not start.
    pub async fn start(
        address: SocketAddr,
        folder: Option<&Path>,
    ) -> Result<Option<Self>, NotStarted> {
        if TcpStream::connect(address).await.is_ok() {
            return Ok(None);
        }
        let beside = folder.map(|folder| folder.join(PROGRAM)).filter(|path| path.exists());
        let path = beside.unwrap_or_else(|| PathBuf::from(PROGRAM));
        let mut command = Command::new(&path);
        for name in OWN_SETTINGS {
            command.env_remove(name);
        }
        // A group of its own, so that Ctrl-C stops it after this program.
        command.process_group(0);
        command.env("TCP_PORT", address.port().to_string()).stdin(Stdio::null());
        let child = command
            .spawn()
            .map_err(|error| NotStarted::Program { path: path.display().to_string(), error })?;
        let mut service = Self(child);
        let began = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if began.elapsed() > START_LIMIT || !service.is_running() {
                return Err(NotStarted::Ended(address));
            }
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(Some(service))
    }

    fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Asks the service to shut down, and waits for that.
    pub async fn stop(mut self) {
        let asked = Command::new("kill").args(["-s", "TERM", &self.0.id().to_string()]).status();
        if asked.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return;
        }
        let began = Instant::now();
        while self.is_running() && began.elapsed() < STOP_LIMIT {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

impl Drop for EmbeddedService {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
