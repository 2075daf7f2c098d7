//! ResetPassword 0x0C.

use user_proto::{PasswordReset, ResetPassword};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{Password, Purpose, Refusal, RequestContext, UseCaseResult};

impl Handle for ResetPassword<'_> {
    fn check_sizes(&self) -> Result<(), Refusal> {
        sizes::code(&self.code)?;
        sizes::new_password(&self.new_password, "new_password")
    }

    async fn precheck(&self, services: &Services, context: &RequestContext) -> UseCaseResult<()> {
        Password::chosen(self.new_password.expose(), "new_password")?;
        let (id, network) = (self.verification_id, context.network);
        services.users.otp.check_guess(id, Purpose::PasswordReset, None, network).await
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<PasswordReset> {
        let (id, code, password) =
            (self.verification_id, self.code.expose(), self.new_password.expose());
        let sessions_ended = services.users.reset_password(id, code, password, context).await?;
        Ok(PasswordReset { sessions_ended })
    }

    async fn replay(self, _: &Services, replay: Replay<'_>) -> UseCaseResult<PasswordReset> {
        Ok(PasswordReset { sessions_ended: replay.outcome.sessions_ended })
    }
}
