//! Login 0x02.

use user_proto::{LoggedIn, Login};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{Refusal, RequestContext, UseCaseResult};

impl Handle for Login<'_> {
    const NEEDS_KEY: bool = true;

    fn too_large(&self) -> Option<Refusal> {
        sizes::login(&self.login, &self.password)
    }

    fn hashes(&self) -> bool {
        true
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<LoggedIn<'static>> {
        let tokens = services.users.login(&self.login, self.password.expose(), context).await?;
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
