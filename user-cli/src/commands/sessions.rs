use clap::Args;
use user_proto::ListSessions;

use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::session::{TokenKind, TokenOptions};
use crate::show::Summary;

/// List the open sessions of the account
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli sessions
  user-cli sessions --json")]
pub(crate) struct Sessions {
    #[command(flatten)]
    token: TokenOptions,
}

impl Run for Sessions {
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let token = context.token(TokenKind::Access, &self.token)?;
        let sessions = context.call(ListSessions::new(token.as_str().into()))?;
        let headline = match sessions.sessions.len() {
            1 => "1 open session:".to_owned(),
            count => format!("{count} open sessions:"),
        };
        let next = "user-cli end-session <SESSION_ID>";
        context.show(&sessions, &Summary::new(headline).next(next))?;
        Ok(())
    }
}
