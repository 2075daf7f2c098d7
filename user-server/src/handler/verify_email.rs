//! VerifyEmail 0x06.

use user_proto::{EmailVerified, VerifyEmail};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{Refusal, RequestContext, UseCaseResult};

impl Handle for VerifyEmail<'_> {
    fn too_large(&self) -> Option<Refusal> {
        sizes::code(&self.code)
            .or_else(|| self.username.as_deref().and_then(sizes::username))
            .or_else(|| sizes::device(self.device.as_deref()))
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<EmailVerified<'static>> {
        let (id, code) = (self.verification_id, self.code.expose());
        let (username, device) = (self.username.as_deref(), self.device.as_deref());
        let tokens = services.users.verify_email(id, code, username, device, context).await?;
        Ok(tokens.into())
    }

    async fn replay(
        self,
        services: &Services,
        replay: Replay<'_>,
    ) -> UseCaseResult<EmailVerified<'static>> {
        Ok(replay.token_pair(services).await?.into())
    }
}
