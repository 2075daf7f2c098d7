//! ListSessions 0x0E.

use std::borrow::Cow;

use user_proto::{ListSessions, SessionRow, Sessions, UnixSeconds};

use super::{Handle, Services, sizes};
use crate::domain::{Refusal, RequestContext, SessionSummary, UseCaseResult};

impl Handle for ListSessions<'_> {
    fn check_sizes(&self) -> Result<(), Refusal> {
        sizes::token(&self.access_token)
    }

    async fn handle(
        self,
        services: &Services,
        _: &RequestContext,
    ) -> UseCaseResult<Sessions<'static>> {
        let (current, sessions) = services.tokens.list_sessions(self.access_token.expose()).await?;
        let row = |session: SessionSummary| SessionRow {
            session_id: session.id,
            created_at: UnixSeconds(session.created_at.seconds()),
            last_used_at: UnixSeconds(session.last_used_at.seconds()),
            device: session.device.map(Cow::Owned),
            network: session.network.map(Cow::Owned),
            current: (session.id == current).then_some(()),
        };
        Ok(Sessions { sessions: sessions.into_iter().map(row).collect() })
    }
}
