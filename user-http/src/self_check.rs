//! The subcommand `check`: tests the configuration and every connection that it names.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use user_proto::Ping;
use user_proto::client::{Client, Config as ClientConfig, Error, Stream};

use crate::config::Config;

/// Maximum duration of each test.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Result of one test of the subcommand `check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub good: bool,
    /// Component that was tested.
    pub part: String,
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.good { "good " } else { "WRONG" };
        write!(f, "{mark}  {}: {}", self.part, self.message)
    }
}

/// Tests the addresses to listen on, and every node of the service. Changes nothing.
pub async fn run(config: &Config) -> Vec<Finding> {
    let mut findings = vec![listen("HTTP_PORT", config.listen).await];
    if let Some(address) = config.metrics_listen {
        findings.push(listen("METRICS_ADDR", address).await);
    }
    for addr in &config.service.addrs {
        findings.push(node(config, addr).await);
    }
    findings
}

async fn listen(variable: &str, address: std::net::SocketAddr) -> Finding {
    let part = format!("{variable} {address}");
    match TcpListener::bind(address).await {
        Ok(_) => Finding { good: true, part, message: "possible".to_owned() },
        Err(error) => {
            let in_use = error.kind() == std::io::ErrorKind::AddrInUse;
            let note = if in_use { "; this is expected while user-http runs" } else { "" };
            Finding { good: in_use, part, message: format!("{error}{note}") }
        }
    }
}

async fn node(config: &Config, addr: &str) -> Finding {
    let part = format!("SERVICE_ADDRS {addr}");
    let tls = match config.service.tls.as_ref().map(|files| files.load()).transpose() {
        Ok(tls) => tls,
        Err(error) => return Finding { good: false, part, message: error.to_string() },
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
            let message =
                format!("answers a ping in {:.1} ms, {encrypted}", 1000.0 * time.as_secs_f64());
            Finding { good: true, part, message }
        }
        Err(error) => Finding { good: false, part, message: explain(&error, addr).await },
    }
}

/// Returns a text with the error of the connection to `addr` and how to fix it.
async fn explain(error: &Error, addr: &str) -> String {
    let hint = match error {
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
