use std::time::Duration;

use clap::Args;
use serde_json::Value;
use user_proto::verifier::{Status, Verified, VerifierConfig, VerifyError};
use user_proto::{ErrorCode, ErrorReply, TokenVerified, UnixSeconds, VerifyToken, client};

use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::format;
use crate::session::{TokenKind, TokenOptions};
use crate::show::Summary;

/// Time to wait for keys and revocations without --timeout.
const WAIT: Duration = Duration::from_secs(5);

/// Check whether an access token is valid
#[derive(Args)]
#[command(after_long_help = "\
The token is taken from --token, --token-stdin, $USER_CLI_TOKEN or the stored session, in this
order.

With --local, the keys and revocations are fetched first, and the token is checked in memory, as a
gateway does that verifies tokens locally. If that is not possible, the server is asked; the output
says which of the two was done. It works from an address in TRUSTED_PEERS of the server.

Examples:
  user-cli verify
  user-cli verify --local
  USER_CLI_TOKEN=eyJ0eXAi... user-cli verify --json")]
pub(crate) struct Verify {
    #[command(flatten)]
    token: TokenOptions,
    /// Fetch keys and revocations, and check the token in memory
    #[arg(long)]
    local: bool,
    /// JWT_ISSUER of the server
    #[arg(long, value_name = "TEXT", requires = "local", default_value = "user-service")]
    issuer: String,
    /// JWT_AUDIENCE of the server
    #[arg(long, value_name = "TEXT", requires = "local", default_value = "user-service")]
    audience: String,
}

impl Run for Verify {
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let token = context.token(TokenKind::Access, &self.token)?;
        if self.local {
            return self.run_local(context, token.as_str());
        }
        let verified = context.call(VerifyToken { access_token: token.as_str().into() })?;
        let summary = Summary::new(match verified.stale_ms {
            None => "The token is valid.",
            Some(_) => {
                "The token was valid when the server last read the revocation log. Later \
                 revocations are not considered."
            }
        });
        let valid = [("valid", Value::Bool(true), "yes".to_owned())];
        context.show_with(&verified, &valid, &summary)?;
        Ok(())
    }
}

impl Verify {
    fn run_local(&self, context: &Context<'_>, token: &str) -> Result<(), Failure> {
        let config = VerifierConfig {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            ..VerifierConfig::default()
        };
        let verifier = context.verifier(config)?;
        let limit = context.global.timeout.unwrap_or(WAIT);
        let (verdict, in_memory, status) = context.runtime.run(async {
            verifier.wait_until_complete(limit).await;
            let local = verifier.verify_local(token);
            let in_memory = local.is_some();
            let verdict = match local {
                Some(verdict) => verdict,
                None => verifier.verify(token).await,
            };
            (verdict, in_memory, verifier.status())
        })?;
        let verified = verdict.map_err(|error| failure(context, error, &status))?;
        let how = if in_memory {
            "in memory".to_owned()
        } else {
            format!("by asking the server, because {}", reason(&status))
        };
        let age = status.age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let mut extra = vec![
            ("valid", Value::Bool(true), "yes".to_owned()),
            ("local", Value::Bool(in_memory), how),
            ("keys", status.keys.into(), status.keys.to_string()),
            ("revocations", status.revocations.into(), status.revocations.to_string()),
        ];
        if let Some(age) = age {
            extra.push(("age_ms", age.into(), format!("{age} ms")));
        }
        let summary = Summary::new("The token is valid.");
        context.show_with(&reply(&verified), &extra, &summary)?;
        Ok(())
    }
}

fn reply(verified: &Verified) -> TokenVerified {
    let millis = |stale: Duration| u32::try_from(stale.as_millis()).unwrap_or(u32::MAX);
    TokenVerified {
        user_id: verified.user_id,
        session_id: verified.session_id,
        issued_at: UnixSeconds(verified.issued_at),
        expires_at: UnixSeconds(verified.expires_at),
        stale_ms: verified.stale.map(millis),
    }
}

/// Returns the reason for which the server was asked, as the end of a sentence.
fn reason(status: &Status) -> String {
    match &status.last_error {
        Some(error) => format!("keys or revocations are missing: {}", format::printable(error)),
        None if status.age.is_none() => "not all revocations have arrived".to_owned(),
        None if status.keys == 0 => {
            "the server publishes no keys; it signs tokens with HS256".to_owned()
        }
        None => "the token has an unknown key, or another issuer or audience than --issuer and \
                 --audience, or the server's clock was set back"
            .to_owned(),
    }
}

/// Returns the failure for a token that is not valid.
fn failure(context: &Context<'_>, error: VerifyError, status: &Status) -> Failure {
    let code = match error {
        VerifyError::Invalid => ErrorCode::INVALID_TOKEN,
        VerifyError::Expired => ErrorCode::TOKEN_EXPIRED,
        VerifyError::Revoked => ErrorCode::SESSION_REVOKED,
        VerifyError::Unavailable => {
            return Failure::usage(
                format!("cannot check the token with {}: {}", context.endpoint, reason(status)),
                "Check that the server is running, and that its TRUSTED_PEERS contains the address \
                 of this machine.",
            );
        }
    };
    let reply =
        ErrorReply { code, message: error.to_string().into(), retry_after_ms: None, field: None };
    context.call_failure(client::Error::Refused(reply), false)
}
