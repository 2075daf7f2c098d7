use clap::Args;
use user_proto::DeleteUser;

use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::secrets;
use crate::session::{TokenKind, TokenOptions};
use crate::show::Summary;

/// Delete the account permanently
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli delete
  printf '%s\\n' \"$PASSWORD\" | user-cli delete --password-stdin")]
pub(crate) struct Delete {
    /// Read the password from the first line of stdin instead of prompting for it; from the second
    /// line with --token-stdin
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    token: TokenOptions,
}

impl Run for Delete {
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let token = context.token(TokenKind::Access, &self.token)?;
        let password =
            secrets::password(&context.runtime, "Current password", self.password_stdin)?;
        let deleted = context.call(DeleteUser {
            access_token: token.as_str().into(),
            current_password: password.as_str().into(),
        })?;
        context.forget_session(&token, Some(&deleted.user_id.to_string()));
        let summary = Summary::new("Deleted. All sessions of the account have ended.");
        context.show(&deleted, &summary)?;
        Ok(())
    }
}
