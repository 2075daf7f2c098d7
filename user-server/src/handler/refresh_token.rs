//! RefreshToken 0x08.

use user_proto::{RefreshToken, TokenRefreshed};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{Refusal, RequestContext, UseCaseResult};

impl Handle for RefreshToken<'_> {
    fn check_sizes(&self) -> Result<(), Refusal> {
        sizes::token(&self.refresh_token)
    }

    async fn precheck(&self, services: &Services, context: &RequestContext) -> UseCaseResult<()> {
        services.tokens.check_refresh(self.refresh_token.expose(), context).await
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<TokenRefreshed<'static>> {
        Ok(services.tokens.refresh(self.refresh_token.expose(), context).await?.into())
    }

    async fn replay(
        self,
        services: &Services,
        replay: Replay<'_>,
    ) -> UseCaseResult<TokenRefreshed<'static>> {
        Ok(replay.token_pair(services).await?.into())
    }
}
