use clap::Args;

use crate::codes::CodeOptions;
use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::options::parse_username;
use crate::session::{DeviceOption, ShowTokens};
use crate::state::Purpose;

/// Verify the email address of a new account with the emailed code, and log in
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli verify-email --code 123456
  user-cli verify-email --code 123456 --username kim2   # if the name has been taken since")]
pub(crate) struct VerifyEmail {
    #[command(flatten)]
    code: CodeOptions,
    /// Username to use instead of the registered one
    #[arg(long, value_parser = parse_username)]
    username: Option<String>,
    #[command(flatten)]
    device: DeviceOption,
    #[command(flatten)]
    show: ShowTokens,
}

impl Run for VerifyEmail {
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let verification_id = context.verification_id(
            self.code.verification_id,
            Some(Purpose::Registration),
            "register",
        )?;
        let code = context.code(&self.code, Purpose::Registration)?;
        let verified = context.call(user_proto::VerifyEmail {
            username: self.username.as_deref().map(Into::into),
            device: self.device.field(),
            ..user_proto::VerifyEmail::new(verification_id, code.as_str().into())
        })?;
        context.state.remove_pending_code(Purpose::Registration);
        let headline = "Verified: the account is active, and you are logged in.";
        context.save_session(&verified, headline, &self.show)
    }
}
