//! VerifyEmail 0x06.

use user_proto::{EmailVerified, VerifyEmail};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{DeviceName, Purpose, Refusal, RequestContext, UseCaseResult, Username};

impl Handle for VerifyEmail<'_> {
    fn check_sizes(&self) -> Result<(), Refusal> {
        sizes::code(&self.code)?;
        self.username.as_deref().map_or(Ok(()), Username::check_size)?;
        self.device.as_deref().map_or(Ok(()), DeviceName::check_size)
    }

    async fn precheck(&self, services: &Services, context: &RequestContext) -> UseCaseResult<()> {
        self.username.as_deref().map(Username::choose).transpose()?;
        self.device.as_deref().map(DeviceName::parse).transpose()?;
        let (id, network) = (self.verification_id, context.network);
        services.users.otp.check_guess(id, Purpose::Registration, None, network).await
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
