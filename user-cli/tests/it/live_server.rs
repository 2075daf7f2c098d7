//! A real server, started in the test process.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use user_server::config::Config;
use user_server::domain::SystemClock;
use user_server::service::Service;

/// A real server on a free port, with its own data directory.
pub(crate) struct LiveServer {
    runtime: Runtime,
    service: Option<Service>,
    pub(crate) data_dir: TempDir,
    pub(crate) address: String,
    /// URL of its metrics.
    pub(crate) metrics: String,
}

impl LiveServer {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with additional settings.
    pub(crate) fn start_with(settings: &[(&str, String)]) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let data = data_dir.path().to_str().unwrap().to_owned();
        let settings: Vec<(String, String)> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let set = move |name: &str| {
            settings.iter().find(|(set, _)| set == name).map(|(_, value)| value.clone())
        };
        let variable = move |name: &str| match name {
            "TCP_PORT" => Some("0".to_owned()),
            "DATA_DIR" => Some(data.clone()),
            "METRICS_ADDR" => Some("127.0.0.1:0".to_owned()),
            "GRACE" => Some("5".to_owned()),
            _ => set(name),
        };
        let config = Config::read(&variable, true).unwrap();
        let runtime = Runtime::new().unwrap();
        let service = runtime.block_on(Service::start(&config, Arc::new(SystemClock))).unwrap();
        let metrics = format!("http://{}", service.monitor_address().unwrap());
        Self {
            runtime,
            address: service.address().to_string(),
            metrics,
            service: Some(service),
            data_dir,
        }
    }

    /// Returns the metrics of the server.
    pub(crate) fn read_metrics(&self) -> String {
        use std::io::{Read, Write};
        let address = self.metrics.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn stop(&mut self) {
        if let Some(service) = self.service.take() {
            self.runtime.block_on(service.stop());
        }
    }

    /// Waits for an email to this address with this text in its subject, and returns the code of
    /// the newest one.
    pub(crate) fn code(&self, to: &str, subject: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(code) = newest_code(&self.data_dir.path().join("mails"), to, subject) {
                return code;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "no email to {to} about {subject}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for LiveServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns the code of the newest email. The file names of emails sort by age, and a code is
/// indented, on a line by itself.
fn newest_code(directory: &Path, to: &str, subject: &str) -> Option<String> {
    let mut files: Vec<_> =
        std::fs::read_dir(directory).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "eml"));
    files.sort();
    files.iter().rev().find_map(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        let header = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
        };
        let matches = header("To:") == to && header("Subject:").contains(subject);
        matches
            .then(|| text.lines().find_map(|line| line.strip_prefix("    ")))
            .flatten()
            .map(|code| code.trim().into())
    })
}
