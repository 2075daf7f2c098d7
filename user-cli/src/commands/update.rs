use clap::Args;
use user_proto::UpdateUser;

use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::format::printable;
use crate::options::{parse_email, parse_username};
use crate::secrets;
use crate::session::{TokenKind, TokenOptions};
use crate::show::Summary;
use crate::state::Purpose;

/// Change the username, email address or password
#[derive(Args)]
#[command(after_long_help = "\
A change of the email address or password requires the current password. With --password-stdin,
stdin contains the token (with --token-stdin), the current password and the new password, in this
order and each on its own line; what a change does not need is left out.

Examples:
  user-cli update --username kim2
  user-cli update --email kim@example.org      # then: user-cli confirm-email
  printf '%s\\n' \"$OLD\" \"$NEW\" | user-cli update --new-password --password-stdin")]
pub(crate) struct Update {
    /// New username
    #[arg(long, value_parser = parse_username)]
    username: Option<String>,
    /// New email address; takes effect once it is confirmed with the emailed code
    #[arg(long, value_parser = parse_email)]
    email: Option<String>,
    /// Prompt for a new password and set it; ends all other sessions
    #[arg(long)]
    new_password: bool,
    /// Read the passwords from stdin instead of prompting for them: first the current one, then the
    /// new one, each on its own line
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    token: TokenOptions,
}

impl Run for Update {
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        if self.username.is_none() && self.email.is_none() && !self.new_password {
            return Err(Failure::usage(
                "nothing to change",
                "Pass --username, --email or --new-password.",
            ));
        }
        context.load()?;
        let token = context.token(TokenKind::Access, &self.token)?;
        let needs_current = self.email.is_some() || self.new_password;
        let current = needs_current
            .then(|| secrets::password(&context.runtime, "Current password", self.password_stdin))
            .transpose()?;
        let new = self
            .new_password
            .then(|| secrets::new_password(&context.runtime, "New password", self.password_stdin))
            .transpose()?;
        let updated = context.call(UpdateUser {
            access_token: token.as_str().into(),
            username: self.username.as_deref().map(Into::into),
            email: self.email.as_deref().map(Into::into),
            new_password: new.as_ref().map(|password| password.as_str().into()),
            current_password: current.as_ref().map(|password| password.as_str().into()),
        })?;
        let headline = if self.new_password {
            "Updated. All other sessions of the account have ended."
        } else {
            "Updated."
        };
        let mut summary = Summary::new(headline);
        if let Some(verification_id) = updated.verification_id {
            context.state.add_pending_code(Purpose::Email, verification_id);
            context.save();
            let email = self.email.as_deref().unwrap_or("the new address");
            summary = Summary::new(format!(
                "{headline} A code is on its way to {}; the old address stays in use until the \
                 code is confirmed.",
                printable(email)
            ))
            .next("user-cli confirm-email --code <CODE>");
        }
        context.show(&updated, &summary)?;
        Ok(())
    }
}
