use clap::Args;
use serde_json::json;

use crate::context::{Context, Needs, Run};
use crate::failure::Failure;
use crate::format::{rfc_3339, seconds, unix_now};
use crate::output;

/// Print the stored access token, for use by other programs
///
/// Whoever has the token has the session, so do not let it appear in logs or on a shared screen.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli token
  USER_CLI_TOKEN=$(user-cli token) user-cli verify --addr other-node:3001
  user-cli token --refresh --json")]
pub(crate) struct Token {
    /// Print the refresh token instead
    #[arg(long)]
    refresh: bool,
}

impl Run for Token {
    fn needs(&self) -> Needs {
        Needs::Address
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let Some(session) = &context.state.session else {
            return Err(Failure::usage(
                format!("no token is stored for {}", context.endpoint),
                "Log in with `user-cli login <LOGIN>`.",
            ));
        };
        let (kind, token, expires_at, hint) = if self.refresh {
            let hint = "Log in again with `user-cli login <LOGIN>`.";
            ("refresh", &session.refresh_token, session.refresh_expires_at, hint)
        } else {
            let hint = "Run `user-cli refresh`, then repeat the command.";
            ("access", &session.access_token, session.access_expires_at, hint)
        };
        let now = unix_now();
        if expires_at <= now {
            let ago = seconds(now - expires_at);
            return Err(Failure::usage(format!("the stored {kind} token expired {ago} ago"), hint));
        }
        if context.global.json {
            output::json(&json!({
                "kind": kind,
                "token": token,
                "expires_at": rfc_3339(expires_at),
                "user_id": session.user_id,
                "session_id": session.session_id,
            }))?;
        } else {
            output::line(token)?;
        }
        Ok(())
    }
}
