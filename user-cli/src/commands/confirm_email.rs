use clap::Args;

use crate::codes::CodeOptions;
use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::session::{TokenKind, TokenOptions};
use crate::show::Summary;
use crate::state::Purpose;

/// Confirm a change of the email address with the emailed code
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli update --email kim@example.org
  user-cli confirm-email --code 123456")]
pub(crate) struct ConfirmEmail {
    #[command(flatten)]
    code: CodeOptions,
    #[command(flatten)]
    token: TokenOptions,
}

impl Run for ConfirmEmail {
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let verification_id = context.verification_id(
            self.code.verification_id,
            Some(Purpose::Email),
            "update --email <EMAIL>",
        )?;
        let token = context.token(TokenKind::Access, &self.token)?;
        let code = context.code(&self.code, Purpose::Email)?;
        let confirmed = context.call(user_proto::ConfirmEmail {
            access_token: token.as_str().into(),
            verification_id,
            code: code.as_str().into(),
        })?;
        context.state.remove_pending_code(Purpose::Email);
        context.save();
        context
            .show(&confirmed, &Summary::new("Confirmed. The new email address is in use now."))?;
        Ok(())
    }
}
