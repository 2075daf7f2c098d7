//! EndSession 0x0F.

use user_proto::{EndSession, SessionEnded};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{Refusal, RequestContext, UseCaseResult};

impl Handle for EndSession<'_> {
    fn check_sizes(&self) -> Result<(), Refusal> {
        sizes::token(&self.access_token)
    }

    async fn precheck(&self, services: &Services, _: &RequestContext) -> UseCaseResult<()> {
        services.tokens.verify(self.access_token.expose()).await.map(drop)
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<SessionEnded> {
        let token = self.access_token.expose();
        let sessions_ended = services.tokens.end_session(token, self.session_id, context).await?;
        Ok(SessionEnded { sessions_ended })
    }

    async fn replay(self, _: &Services, replay: Replay<'_>) -> UseCaseResult<SessionEnded> {
        Ok(SessionEnded { sessions_ended: replay.outcome.sessions_ended })
    }
}
