//! A real server of the user service, started in the test process, with accounts.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use user_proto::client::Client;
use user_proto::{Login, Logout, Register, VerifyEmail};
use user_server::config::Config;
use user_server::domain::ShiftedClock;
use user_server::service::{Service, StartError};

const PASSWORD: &str = "tides rise at nine";

/// A server with its own data folder.
pub(crate) struct LiveService {
    runtime: Runtime,
    service: Option<Service>,
    folder: TempDir,
    pub(crate) clock: Arc<ShiftedClock>,
    pub(crate) address: String,
    settings: Vec<(String, String)>,
}

/// A user who is logged in.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) user_id: String,
    pub(crate) session_id: String,
    pub(crate) token: String,
}

impl LiveService {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with additional settings.
    pub(crate) fn start_with(settings: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut live = Self {
            runtime: Runtime::new().unwrap(),
            service: None,
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ShiftedClock::default()),
            address: "127.0.0.1:0".to_owned(),
            settings: settings.iter().map(owned).collect(),
        };
        live.resume();
        live
    }

    /// Starts the server again, at the same address and with the same data.
    pub(crate) fn resume(&mut self) {
        let port = self.address.rsplit_once(':').unwrap().1.to_owned();
        let data = self.folder.path().to_str().unwrap().to_owned();
        let variable = |name: &str| match name {
            "TCP_PORT" => Some(port.clone()),
            "DATA_DIR" => Some(data.clone()),
            "GRACE" => Some("1".to_owned()),
            _ => self.settings.iter().find(|(set, _)| set == name).map(|(_, value)| value.clone()),
        };
        let config = Config::read(&variable, true).unwrap();
        let start = Instant::now();
        let service = loop {
            // A process that another test starts shares the lock of the folder until it executes
            // its program.
            match self.runtime.block_on(Service::start(&config, Arc::clone(&self.clock) as _)) {
                Err(StartError::InUse(_)) if start.elapsed() < Duration::from_secs(5) => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                started => break started.unwrap(),
            }
        };
        self.address = service.address().to_string();
        self.service = Some(service);
    }

    pub(crate) fn stop(&mut self) {
        if let Some(service) = self.service.take() {
            self.runtime.block_on(service.stop());
        }
    }

    /// Registers a user, and opens a session.
    pub(crate) fn register(&self, name: &str) -> Account {
        let email = format!("{name}@example.com");
        let client = Client::new(self.address.clone());
        let verified = self.runtime.block_on(async {
            let request = Register {
                username: name.into(),
                email: email.as_str().into(),
                password: PASSWORD.into(),
            };
            let registered = client.call(request).await.unwrap();
            let code = self.code(&email).await;
            let verify = VerifyEmail::new(registered.verification_id, code.into());
            client.call(verify).await.unwrap()
        });
        Account {
            user_id: verified.user_id.to_string(),
            session_id: verified.session_id.to_string(),
            token: verified.access_token.expose_str().unwrap().to_owned(),
        }
    }

    /// Opens another session of a user.
    pub(crate) fn log_in(&self, name: &str) -> Account {
        let client = Client::new(self.address.clone());
        let call = client.call(Login::new(name.to_owned().into(), PASSWORD.into()));
        let logged_in = self.runtime.block_on(call).unwrap();
        Account {
            user_id: logged_in.user_id.to_string(),
            session_id: logged_in.session_id.to_string(),
            token: logged_in.access_token.expose_str().unwrap().to_owned(),
        }
    }

    /// Ends the session of a token.
    pub(crate) fn log_out(&self, account: &Account) {
        self.end_sessions(account, None);
    }

    /// Ends all sessions of a user.
    pub(crate) fn log_out_everywhere(&self, account: &Account) {
        self.end_sessions(account, Some(()));
    }

    fn end_sessions(&self, account: &Account, all_sessions: Option<()>) {
        let client = Client::new(self.address.clone());
        let logout = Logout { token: account.token.as_str().into(), all_sessions };
        self.runtime.block_on(client.call(logout)).unwrap();
    }

    /// Advances the clock of the service, so that tokens expire.
    pub(crate) fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Returns a code of this length that was emailed to an address.
    pub(crate) fn emailed(&self, email: &str, length: usize) -> String {
        self.runtime.block_on(self.code_of(email, length))
    }

    async fn code(&self, email: &str) -> String {
        self.code_of(email, 6).await
    }

    async fn code_of(&self, email: &str, length: usize) -> String {
        let start = Instant::now();
        loop {
            if let Some(code) = code_in(&self.folder.path().join("mails"), email, length) {
                return code;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "no email to {email}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for LiveService {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns the code of this length in an email to an address. It is indented, on a line by itself.
fn code_in(folder: &Path, email: &str, length: usize) -> Option<String> {
    std::fs::read_dir(folder).ok()?.find_map(|file| {
        let path = file.unwrap().path();
        path.extension().filter(|extension| *extension == "eml")?;
        let text = std::fs::read_to_string(path).ok()?;
        text.lines().find(|line| *line == format!("To: {email}"))?;
        let code = text.lines().find_map(|line| line.strip_prefix("    "))?.trim();
        (code.len() == length).then(|| code.to_owned())
    })
}
