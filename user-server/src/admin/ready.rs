//! The check `check --ready`: one running server, without its database.

use std::io::Write;

use super::command::{CommandError, CommandResult};
use crate::config::Config;
use crate::{http, tcp};

/// Sends a Ping to the running server over loopback. Where clients need a certificate, which this
/// command does not have, it requests /readyz instead.
///
/// # Errors
/// If the server does not answer.
pub async fn ready(config: &Config) -> CommandResult {
    let needs_certificate =
        config.tls.as_ref().is_some_and(|files| files.client_authorities.is_some());
    let result = match (needs_certificate, config.metrics_listen) {
        (false, _) => tcp::ping(config.listen, config.tls.as_ref()).await,
        (true, Some(address)) => match http::get(address, "/readyz") {
            Ok((200, _)) => Ok(()),
            Ok((code, _)) => Err(format!("/readyz at {address} answered {code}")),
            Err(error) => Err(format!("no answer from {address}: {error}")),
        },
        (true, None) => {
            return Err(CommandError::new(
                "clients need a certificate, which this command has not",
            )
            .hint("Set METRICS_ADDR, so that it can request /readyz."));
        }
    };
    result.map_err(|error| {
        CommandError::new(format!("not ready: {error}"))
            .hint("Check that the server runs with the same TCP_PORT and LISTEN_ADDR.")
    })?;
    writeln!(std::io::stdout(), "ready")?;
    Ok(0)
}
