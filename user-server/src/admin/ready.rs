//! The check `check --ready`: one running server, without its database.

use std::io::Write;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::command::{CommandError, CommandResult};
use crate::config::Config;
use crate::{http, tcp};

/// Sends a Ping to the running server over loopback, and requests /readyz if METRICS_ADDR is set,
/// because a server that is shutting down still answers a Ping. Where clients need a certificate,
/// which this command does not have, only /readyz is requested.
///
/// # Errors
/// If the server does not answer, or is not ready.
pub async fn ready(config: &Config, as_json: bool) -> CommandResult {
    let needs_certificate =
        config.tls.as_ref().is_some_and(|files| files.client_authorities.is_some());
    if needs_certificate && config.metrics_listen.is_none() {
        return Err(CommandError::new("clients need a certificate, which this command has not")
            .hint("Set METRICS_ADDR, so that it can request /readyz."));
    }
    let result = match config.metrics_listen {
        Some(address) if needs_certificate => readyz(address),
        Some(address) => match tcp::ping(config.listen, config.tls.as_ref()).await {
            Ok(()) => readyz(address),
            error => error,
        },
        None => tcp::ping(config.listen, config.tls.as_ref()).await,
    };
    let mut out = std::io::stdout();
    match (result, as_json) {
        (Ok(()), true) => writeln!(out, "{}", json!({ "ready": true }))?,
        (Ok(()), false) => writeln!(out, "ready")?,
        (Err(reason), true) => {
            writeln!(out, "{}", json!({ "ready": false, "reason": reason }))?;
            return Ok(1);
        }
        (Err(reason), false) => {
            return Err(CommandError::new(format!("not ready: {reason}"))
                .hint("Check that the server runs with the same TCP_PORT and LISTEN_ADDR."));
        }
    }
    Ok(0)
}

/// Requests /readyz, which states whether clients should connect.
fn readyz(address: SocketAddr) -> Result<(), String> {
    match http::get(address, "/readyz") {
        Ok((200, _)) => Ok(()),
        Ok((code, body)) => {
            let status = serde_json::from_str::<Value>(&body)
                .ok()
                .and_then(|body| Some(format!(" ({})", body.get("status")?.as_str()?)))
                .unwrap_or_default();
            Err(format!("/readyz at {address} answered {code}{status}"))
        }
        Err(error) => Err(format!("no answer from {address}: {error}")),
    }
}
