//! A live service for the program to talk to.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use user_server::config::Config;
use user_server::domain::SystemClock;
use user_server::service::Service;

/// A live service in this process, on a free port, in a folder of its own.
pub(crate) struct Live {
    runtime: Runtime,
    service: Option<Service>,
    pub(crate) folder: TempDir,
    pub(crate) address: String,
    /// Where it tells its figures.
    pub(crate) metrics: String,
}

impl Live {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(settings: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap().to_owned();
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
            folder,
        }
    }

    pub(crate) fn stop(&mut self) {
        if let Some(service) = self.service.take() {
            self.runtime.block_on(service.stop());
        }
    }

    /// The code in the newest mail to this address whose subject says this.
    pub(crate) fn code(&self, to: &str, subject: &str) -> String {
        let began = Instant::now();
        loop {
            if let Some(code) = newest_code(&self.folder.path().join("mails"), to, subject) {
                return code;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "no mail to {to} about {subject}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Mails are named in the order of their making, and a code stands indented on a line of its own.
fn newest_code(folder: &Path, to: &str, subject: &str) -> Option<String> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "eml"));
    files.sort();
    files.iter().rev().find_map(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        let header = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
        };
        let is_it = header("To:") == to && header("Subject:").contains(subject);
        is_it
            .then(|| text.lines().find_map(|line| line.strip_prefix("    ")))
            .flatten()
            .map(|code| code.trim().into())
    })
}
