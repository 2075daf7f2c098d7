use clap::{Args, Subcommand};
use user_proto::RequestPasswordReset;

use crate::codes::CodeOptions;
use crate::context::{Context, Needs, Run};
use crate::failure::Failure;
use crate::format::printable;
use crate::options::parse_email;
use crate::secrets;
use crate::show::Summary;
use crate::state::Purpose;

/// Reset a forgotten password with an emailed code
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli reset-password request kim@example.com
  user-cli reset-password confirm --code 7KQ4M-2XW9D")]
pub(crate) struct ResetPassword {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    /// Send a code to the email address of the account
    #[command(after_long_help = "\
Examples:
  user-cli reset-password request kim@example.com")]
    Request {
        /// Email address of the account
        #[arg(value_parser = parse_email)]
        email: String,
    },
    /// Set a new password with the code; ends all sessions of the account
    #[command(after_long_help = "\
Examples:
  user-cli reset-password confirm --code 7KQ4M-2XW9D
  printf '%s\\n' \"$NEW\" | user-cli reset-password confirm --code 7KQ4M-2XW9D --password-stdin")]
    Confirm {
        #[command(flatten)]
        code: CodeOptions,
        /// Read the new password from the first line of stdin instead of prompting for it
        #[arg(long)]
        password_stdin: bool,
    },
}

impl Run for ResetPassword {
    fn needs(&self) -> Needs {
        match self.step {
            Step::Request { .. } => Needs::Connection,
            Step::Confirm { .. } => Needs::Secrets,
        }
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        match &self.step {
            Step::Request { email } => request(context, email),
            Step::Confirm { code, password_stdin } => confirm(context, code, *password_stdin),
        }
    }
}

fn request(context: &mut Context<'_>, email: &str) -> Result<(), Failure> {
    let requested = context.call(RequestPasswordReset { email: email.into() })?;
    context.state.add_pending_code(Purpose::Reset, requested.verification_id);
    context.save();
    let summary = Summary::new(format!(
        "If {} belongs to an account, a code is on its way to it.",
        printable(email)
    ))
    .next("user-cli reset-password confirm --code <CODE>");
    context.show(&requested, &summary)?;
    Ok(())
}

fn confirm(
    context: &mut Context<'_>,
    options: &CodeOptions,
    password_stdin: bool,
) -> Result<(), Failure> {
    let verification_id = context.verification_id(
        options.verification_id,
        Some(Purpose::Reset),
        "reset-password request <EMAIL>",
    )?;
    let code = context.code(options, Purpose::Reset)?;
    let password = secrets::new_password(&context.runtime, "New password", password_stdin)?;
    let reset = context.call(user_proto::ResetPassword {
        verification_id,
        code: code.as_str().into(),
        new_password: password.as_str().into(),
    })?;
    context.state.remove_pending_code(Purpose::Reset);
    context.save();
    let summary = Summary::new("The new password is set. All sessions of the account have ended.")
        .next("user-cli login <LOGIN>");
    context.show(&reset, &summary)?;
    Ok(())
}
