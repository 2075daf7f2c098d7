use clap::Args;

use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::secrets;
use crate::session::{DeviceOption, ShowTokens};

/// Log in and store the tokens
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli login kim
  printf '%s\\n' \"$PASSWORD\" | user-cli login kim@example.com --password-stdin --json")]
pub(crate) struct Login {
    /// Username or email address
    login: String,
    /// Read the password from the first line of stdin instead of prompting for it
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    device: DeviceOption,
    #[command(flatten)]
    show: ShowTokens,
}

impl Run for Login {
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let password = secrets::password(&context.runtime, "Password", self.password_stdin)?;
        let logged_in = context.call(user_proto::Login {
            device: self.device.field(),
            ..user_proto::Login::new(self.login.as_str().into(), password.as_str().into())
        })?;
        context.save_session(&logged_in, "Logged in.", &self.show)
    }
}
