//! A live service in this process, on a free port, with a clock that can be turned.

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
use user_server::service::Service;

use super::{Mails, Site};

/// A running service, its folder and its clock.
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

impl TestServer {
    /// The embedded default on a free port.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with other settings.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), settings).await
    }

    /// The same on a folder that may have been used before.
    pub async fn start_in(folder: TempDir, settings: &[(&str, &str)]) -> Self {
        let config = config(folder.path(), settings);
        let clock = Arc::new(ShiftedClock::default());
        let service = Service::start(&config, clock.clone()).await.unwrap();
        let site = Site {
            address: service.address(),
            mails: Mails(config.mail_dir),
            alone: true,
            held: false,
        };
        Self { site, clock, service, folder }
    }

    /// Ends the service; its folder stays.
    pub async fn stop(self) -> TempDir {
        self.service.stop().await;
        self.folder
    }

    /// The same, whose clock stands still.
    pub async fn start_held() -> Self {
        let mut server = Self::start().await;
        server.clock.hold();
        server.site.held = true;
        server
    }
}

/// The common tags of a request for an end user at this address.
pub fn on_behalf_of(ip: &str) -> Common<'static> {
    Common { client_address: Some(ip.parse::<IpAddr>().unwrap().into()), ..Common::default() }
}

/// The settings of a test: a free port, a folder of its own, a hash lane that two cores can share.
pub fn config(folder: &Path, settings: &[(&str, &str)]) -> Config {
    let folder = folder.to_str().unwrap().to_owned();
    let settings: Vec<(String, String)> =
        settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let read = move |name: &str| match settings.iter().find(|(key, _)| key == name) {
        Some((_, value)) => Some(value.clone()),
        None => match name {
            "TCP_PORT" => Some("0".to_owned()),
            "DATA_DIR" => Some(folder.clone()),
            "GRACE" => Some("5".to_owned()),
            _ => None,
        },
    };
    Config::read(&read, true).unwrap()
}

/// The refusal that a call ended with.
pub fn refused<R: std::fmt::Debug>(result: Result<R, client::Error>) -> ErrorReply<'static> {
    match result {
        Err(client::Error::Refused(error)) => error,
        other => panic!("not refused: {other:?}"),
    }
}

/// The code that a call was refused with.
pub async fn code_of<M: RequestMessage + Send + Sync>(client: &Client, request: M) -> ErrorCode
where
    M::Reply: std::fmt::Debug,
{
    refused(client.call(request).await).code
}

/// Between two mails to one address.
pub const MAIL_PAUSE: Duration = Duration::from_secs(60);
