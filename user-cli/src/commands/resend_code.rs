use clap::Args;
use uuid::Uuid;

use crate::context::{Context, Needs, Run};
use crate::failure::Failure;
use crate::show::Summary;
use crate::state::Purpose;

/// Resend a pending code
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli resend-code                  # the most recent code
  user-cli resend-code --purpose reset")]
pub(crate) struct ResendCode {
    /// Which pending code to resend, instead of the most recent one
    #[arg(long, value_enum)]
    purpose: Option<Purpose>,
    /// Verification that the code belongs to, instead of the most recent one
    #[arg(long, value_name = "ID", conflicts_with = "purpose")]
    verification_id: Option<Uuid>,
}

impl Run for ResendCode {
    fn needs(&self) -> Needs {
        Needs::Connection
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let verification_id =
            context.verification_id(self.verification_id, self.purpose, "register")?;
        let resent = context.call(user_proto::ResendCode { verification_id })?;
        context.show(&resent, &Summary::new("The code is on its way again."))?;
        Ok(())
    }
}
