use clap::Args;
use serde_json::Value;
use user_proto::VerifyToken;

use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::session::{TokenKind, TokenOptions};
use crate::show::Summary;

/// Check whether an access token is valid
#[derive(Args)]
#[command(after_long_help = "\
The token is taken from --token, --token-stdin, $USER_CLI_TOKEN or the stored session, in this
order.

Examples:
  user-cli verify
  USER_CLI_TOKEN=eyJ0eXAi... user-cli verify --json")]
pub(crate) struct Verify {
    #[command(flatten)]
    token: TokenOptions,
}

impl Run for Verify {
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let token = context.token(TokenKind::Access, &self.token)?;
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
