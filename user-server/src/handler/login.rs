//! Login 0x02.

use user_proto::{LoggedIn, Login};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{DeviceName, Refusal, RequestContext, UseCaseResult};

impl Handle for Login<'_> {
    const NEEDS_KEY: bool = true;

    fn check_sizes(&self) -> Result<(), Refusal> {
        sizes::login(&self.login, &self.password)?;
        self.device.as_deref().map_or(Ok(()), DeviceName::check_size)
    }

    async fn precheck(&self, _: &Services, _: &RequestContext) -> UseCaseResult<()> {
        Ok(self.device.as_deref().map(DeviceName::parse).transpose().map(drop)?)
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<LoggedIn<'static>> {
        let (password, device) = (self.password.expose(), self.device.as_deref());
        let tokens = services.users.login(&self.login, password, device, context).await?;
        Ok(tokens.into())
    }

    async fn replay(
        self,
        services: &Services,
        replay: Replay<'_>,
    ) -> UseCaseResult<LoggedIn<'static>> {
        Ok(replay.token_pair(services).await?.into())
    }
}
