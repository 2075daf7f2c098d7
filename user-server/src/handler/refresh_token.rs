//! RefreshToken 0x08.

use user_proto::{RefreshToken, TokenRefreshed};

use super::execute_once::Replay;
use super::{Handle, Services};
use crate::domain::{RequestContext, UseCaseResult};

impl Handle for RefreshToken<'_> {
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
