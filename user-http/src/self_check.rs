//! The subcommand `check`: tests the configuration and every connection that it names.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use user_proto::Ping;
use user_proto::client::{Client, Config as ClientConfig, Error, Stream};

use crate::app::StartError;
use crate::config::Config;

/// Name of a finding that is only a warning.
const WARNING: &str = "warning";
/// Maximum duration of each test.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Result of one test of the subcommand `check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Set unless the program cannot work with the component.
    pub good: bool,
    /// Setting that names the component.
    pub part: &'static str,
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = match self.part {
            WARNING => "WARN ",
            _ if self.good => "good ",
            _ => "WRONG",
        };
        write!(f, "{mark}  {:<13}  {}", self.part, self.message)
    }
}

/// Tests the addresses to listen on, and every node of the service. Changes nothing.
pub async fn run(config: &Config) -> Vec<Finding> {
    let warnings = config.warnings.iter();
    let mut findings: Vec<Finding> =
        warnings.map(|text| Finding { good: true, part: WARNING, message: text.clone() }).collect();
    findings.push(listen("HTTP_PORT", config.listen).await);
    if let Some(address) = config.metrics_listen {
        findings.push(listen("METRICS_ADDR", address).await);
    }
    for addr in &config.service.addrs {
        findings.push(node(config, addr).await);
    }
    findings
}

async fn listen(part: &'static str, address: std::net::SocketAddr) -> Finding {
    let (good, message) = match TcpListener::bind(address).await {
        Ok(_) => (true, format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            (true, format!("{address} is in use, as by a running user-http"))
        }
        Err(error) => {
            let error = StartError::Listen { variable: part, address, error };
            (false, format!("{error}. {}", error.hint()))
        }
    };
    Finding { good, part, message }
}

async fn node(config: &Config, addr: &str) -> Finding {
    let part = "SERVICE_ADDRS";
    let tls = match config.service.tls.as_ref().map(|files| files.load()).transpose() {
        Ok(tls) => tls,
        Err(error) => return Finding { good: false, part, message: format!("{addr}: {error}") },
    };
    let encrypted = if tls.is_some() { "TLS 1.3" } else { "without TLS" };
    let client = Client::with_config(
        addr,
        ClientConfig {
            deadline: Some(TIMEOUT),
            connect_timeout: TIMEOUT,
            wait_for_server: false,
            tls,
            ..ClientConfig::default()
        },
    );
    let began = Instant::now();
    let result = client.call(Ping {}).await;
    let time = began.elapsed();
    client.close().await;
    match result {
        Ok(_) => {
            let message = format!(
                "{addr} answers a ping in {:.1} ms, {encrypted}",
                1000.0 * time.as_secs_f64()
            );
            Finding { good: true, part, message }
        }
        Err(error) => {
            let message = format!("{addr}: {}", explain(&error, addr).await);
            Finding { good: false, part, message }
        }
    }
}

/// Returns a text with the error of the connection to `addr` and how to fix it.
async fn explain(error: &Error, addr: &str) -> String {
    let hint = match error {
        _ if error.not_a_service().is_some() => {
            "another program listens on this address, not a user-server"
        }
        Error::Connect(_) => "check that user-server runs and listens on this address",
        Error::Handshake(_) => "check SERVICE_CA, SERVICE_NAME and SERVICE_CERT",
        // A server with TLS closes a connection without it.
        _ if Stream::connect(addr).await.is_ok() => {
            "the address accepts connections; check that it is a user-server, and that both sides \
             use TLS or neither does"
        }
        _ => "check the network between this machine and the node",
    };
    format!("{error}; {hint}")
}
