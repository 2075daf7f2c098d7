use clap::Args;

use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::format::printable;
use crate::options::{parse_email, parse_username};
use crate::secrets;
use crate::show::Summary;
use crate::state::Purpose;

/// Create an account; a verification code is sent to its email address
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli register kim kim@example.com
  printf '%s\\n' \"$PASSWORD\" | user-cli register kim kim@example.com --password-stdin")]
pub(crate) struct Register {
    /// Username of 3 to 32 characters, without `@`
    #[arg(value_parser = parse_username)]
    username: String,
    /// Email address that the code is sent to
    #[arg(value_parser = parse_email)]
    email: String,
    /// Read the password from the first line of stdin instead of prompting for it
    #[arg(long)]
    password_stdin: bool,
}

impl Run for Register {
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let password = secrets::new_password(&context.runtime, "Password", self.password_stdin)?;
        let registered = context.call(user_proto::Register {
            username: self.username.as_str().into(),
            email: self.email.as_str().into(),
            password: password.as_str().into(),
        })?;
        context.state.add_pending_code(Purpose::Registration, registered.verification_id);
        context.save();
        let summary = Summary::new(format!(
            "Registered. A code is on its way to {}.",
            printable(&self.email)
        ))
        .next("user-cli verify-email --code <CODE>");
        context.show(&registered, &summary)?;
        Ok(())
    }
}
