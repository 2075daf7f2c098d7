//! ResendCode 0x07.

use user_proto::{CodeResent, ResendCode};

use super::replay::Replay;
use super::replies::seconds;
use super::{Handle, Services};
use crate::domain::{Refusal, RequestContext, UseCaseResult};
use crate::users::CodeSent;

impl Handle for ResendCode {
    const NEEDS_KEY: bool = true;

    fn check_sizes(&self) -> Result<(), Refusal> {
        Ok(())
    }

    async fn precheck(&self, services: &Services, context: &RequestContext) -> UseCaseResult<()> {
        services.users.otp.check_resend(self.verification_id, context).await
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<CodeResent> {
        Ok(services.users.resend_code(self.verification_id, context).await?.into())
    }

    async fn replay(self, services: &Services, replay: Replay<'_>) -> UseCaseResult<CodeResent> {
        Ok(replay.code_sent(services)?.into())
    }
}

impl From<CodeSent> for CodeResent {
    fn from(sent: CodeSent) -> Self {
        Self { code_expires_in: seconds(sent.expires_in), resend_after: seconds(sent.resend_after) }
    }
}
