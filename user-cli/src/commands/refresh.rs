use clap::Args;
use user_proto::RefreshToken;

use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::session::{ShowTokens, TokenKind, TokenOptions};

/// Exchange the refresh token for new tokens and store them
#[derive(Args)]
#[command(after_long_help = "\
Here, --token and --token-stdin take the refresh token, and $USER_CLI_TOKEN is ignored.

Examples:
  user-cli refresh
  user-cli refresh --token-stdin < refresh-token.txt")]
pub(crate) struct Refresh {
    #[command(flatten)]
    token: TokenOptions,
    #[command(flatten)]
    show: ShowTokens,
}

impl Run for Refresh {
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let token = context.token(TokenKind::Refresh, &self.token)?;
        let refreshed = context.call(RefreshToken { refresh_token: token.as_str().into() })?;
        context.save_session(&refreshed, "Refreshed.", &self.show)
    }
}
