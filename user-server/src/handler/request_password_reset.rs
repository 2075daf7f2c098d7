//! RequestPasswordReset 0x0B.

use user_proto::{PasswordResetRequested, RequestPasswordReset};

use super::replay::Replay;
use super::{Handle, Services};
use crate::domain::{Email, Refusal, RequestContext, UseCaseResult};

impl Handle for RequestPasswordReset<'_> {
    const NEEDS_KEY: bool = true;

    fn check_sizes(&self) -> Result<(), Refusal> {
        Email::check_size(&self.email)
    }

    async fn precheck(&self, _: &Services, _: &RequestContext) -> UseCaseResult<()> {
        Ok(Email::parse(&self.email).map(drop)?)
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<PasswordResetRequested> {
        Ok(services.users.request_password_reset(&self.email, context).await?.into())
    }

    async fn replay(
        self,
        services: &Services,
        replay: Replay<'_>,
    ) -> UseCaseResult<PasswordResetRequested> {
        Ok(replay.code_sent(services)?.into())
    }
}
