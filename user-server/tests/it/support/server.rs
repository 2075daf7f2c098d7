//! A server in this process, on a free port, with a clock that a test can advance.

use std::net::IpAddr;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use user_proto::client::{self, Client};
use user_proto::{Common, ErrorCode, ErrorReply, RequestMessage};
use user_server::config::Config;
use user_server::domain::ShiftedClock;
use user_server::service::{Service, StartError};

use super::{EmailFolder, Site, free_port};

/// A running service with its data folder and its clock.
pub struct TestServer {
    pub site: Site,
    pub clock: Arc<ShiftedClock>,
    pub service: Service,
    pub folder: TempDir,
}

impl Deref for TestServer {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

/// Starts a service. Its folder, or its port, may be in use for a moment: a process that another
/// test starts shares the lock of the folder until it executes its program.
pub async fn start(config: &Config, clock: Arc<ShiftedClock>) -> Service {
    let mut attempts = 0;
    loop {
        match Service::start(config, clock.clone()).await {
            Err(StartError::InUse(_) | StartError::Listen(..)) if attempts < 100 => attempts += 1,
            started => return started.unwrap(),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl TestServer {
    /// Starts the embedded default on a free port.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Like [`TestServer::start`], with settings.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), settings).await
    }

    /// Like [`TestServer::start_with`], in a folder that an earlier server may have used.
    pub async fn start_in(folder: TempDir, settings: &[(&str, &str)]) -> Self {
        Self::start_at(folder, settings, Arc::default()).await
    }

    /// Like [`TestServer::start_in`], with a clock that may show another time.
    pub async fn start_at(
        folder: TempDir,
        settings: &[(&str, &str)],
        clock: Arc<ShiftedClock>,
    ) -> Self {
        let config = config(folder.path(), settings);
        let service = start(&config, clock.clone()).await;
        let site = Site {
            address: service.address(),
            emails: EmailFolder(config.mail_dir),
            single_node: true,
            clock_frozen: false,
        };
        Self { site, clock, service, folder }
    }

    /// Stops the service, and returns its folder.
    pub async fn stop(self) -> TempDir {
        self.service.stop().await;
        self.folder
    }

    /// Like [`TestServer::start`], with a clock that advances only by request.
    pub async fn start_frozen() -> Self {
        let mut server = Self::start().await;
        server.clock.freeze();
        server.site.clock_frozen = true;
        server
    }
}

/// Returns the common tags of a request for an end user at this address.
pub fn on_behalf_of(ip: &str) -> Common<'static> {
    Common { client_address: Some(ip.parse::<IpAddr>().unwrap().into()), ..Common::default() }
}

/// Returns the configuration of a test server: a free port, a data folder, a short grace period,
/// and these settings. The system gives that port to nobody else while the server restarts.
pub fn config(folder: &Path, settings: &[(&str, &str)]) -> Config {
    let port = free_port();
    let folder = folder.to_str().unwrap().to_owned();
    let settings: Vec<(String, String)> =
        settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let read = move |name: &str| match settings.iter().find(|(key, _)| key == name) {
        Some((_, value)) => Some(value.clone()),
        None => match name {
            "TCP_PORT" => Some(port.to_string()),
            "DATA_DIR" => Some(folder.clone()),
            "GRACE" => Some("5".to_owned()),
            _ => None,
        },
    };
    Config::read(&read, true).unwrap()
}

/// Returns the refusal of a call.
///
/// # Panics
/// If the call succeeded, or got no answer.
pub fn refused<R: std::fmt::Debug>(result: Result<R, client::Error>) -> ErrorReply<'static> {
    match result {
        Err(client::Error::Refused(error)) => error,
        other => panic!("not refused: {other:?}"),
    }
}

/// Makes a call, and returns the code of its refusal.
pub async fn code_of<M: RequestMessage + Send + Sync>(client: &Client, request: M) -> ErrorCode
where
    M::Reply: std::fmt::Debug,
{
    refused(client.call(request).await).code
}

/// Minimum time between two emails to one address.
pub const MAIL_PAUSE: Duration = Duration::from_secs(60);
