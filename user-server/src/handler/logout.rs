//! Logout 0x09.

use user_proto::{LoggedOut, Logout};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{Refusal, RequestContext, UseCaseResult};

impl Handle for Logout<'_> {
    fn check_sizes(&self) -> Result<(), Refusal> {
        sizes::token(&self.token)
    }

    async fn precheck(&self, services: &Services, context: &RequestContext) -> UseCaseResult<()> {
        let (token, all) = (self.token.expose(), self.all_sessions.is_some());
        services.tokens.check_logout(token, all, context).await
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<LoggedOut> {
        let (token, all) = (self.token.expose(), self.all_sessions.is_some());
        let sessions_ended = services.tokens.logout(token, all, context).await?;
        Ok(LoggedOut { sessions_ended })
    }

    async fn replay(self, _: &Services, replay: Replay<'_>) -> UseCaseResult<LoggedOut> {
        Ok(LoggedOut { sessions_ended: replay.outcome.sessions_ended })
    }
}
