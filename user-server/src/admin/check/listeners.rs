//! Checks that the server can listen on its addresses. A port that is in use is no error, because
//! the server may be running.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::{Finding, good, wrong};
use crate::config::{Config, listen_hint};

/// Checks the addresses of the service and of the health checks.
pub(super) fn listeners(config: &Config) -> Vec<Finding> {
    let monitor = config.metrics_listen.map(|address| listener("METRICS_ADDR", address));
    std::iter::once(listener("TCP_PORT", config.listen)).chain(monitor).collect()
}

fn listener(variable: &'static str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => good(variable, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            good(variable, format!("{address} is in use, as by a running server"))
        }
        Err(error) => wrong(
            variable,
            format!(
                "cannot listen on {address}: {error}. {}",
                listen_hint(variable, address, &error)
            ),
        ),
    }
}
