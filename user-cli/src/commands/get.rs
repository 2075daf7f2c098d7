use clap::Args;
use user_proto::GetUser;

use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::session::{TokenKind, TokenOptions};
use crate::show::Summary;

/// Show the account
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli get
  user-cli get --json")]
pub(crate) struct Get {
    #[command(flatten)]
    token: TokenOptions,
}

impl Run for Get {
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let token = context.token(TokenKind::Access, &self.token)?;
        let user = context.call(GetUser { access_token: token.as_str().into() })?;
        context.show(&user, &Summary::new("Account:"))?;
        Ok(())
    }
}
