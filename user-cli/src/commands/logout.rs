use clap::Args;

use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::session::{TokenKind, TokenOptions};
use crate::show::Summary;

/// End the session and delete its stored tokens
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli logout
  user-cli logout --all")]
pub(crate) struct Logout {
    /// End all sessions of the account
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    token: TokenOptions,
}

impl Run for Logout {
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let token = context.token(TokenKind::Access, &self.token)?;
        let logged_out = context.call(user_proto::Logout {
            token: token.as_str().into(),
            all_sessions: self.all.then_some(()),
        })?;
        context.forget_session(&token, None);
        context.show(&logged_out, &Summary::new("Logged out."))?;
        Ok(())
    }
}
