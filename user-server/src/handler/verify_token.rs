//! VerifyToken 0x03.

use user_proto::{TokenVerified, UnixSeconds, VerifyToken};

use super::replies::millis;
use super::{ClockReading, Handle, Services, sizes};
use crate::domain::{Refusal, RequestContext, UseCaseResult};
use crate::tokens::Verified;

impl Handle for VerifyToken<'_> {
    const IMMEDIATE: bool = true;

    fn check_sizes(&self) -> Result<(), Refusal> {
        sizes::token(&self.access_token)
    }

    #[inline]
    fn answer_now(
        &self,
        services: &Services,
        clocks: ClockReading,
    ) -> Option<UseCaseResult<TokenVerified>> {
        let token = self.access_token.expose();
        let verified = services.tokens.verify_at(token, clocks.time, clocks.instant)?;
        Some(verified.map(TokenVerified::from))
    }

    async fn handle(self, services: &Services, _: &RequestContext) -> UseCaseResult<TokenVerified> {
        services.tokens.verify(self.access_token.expose()).await.map(TokenVerified::from)
    }
}

impl From<Verified> for TokenVerified {
    fn from(verified: Verified) -> Self {
        Self {
            user_id: verified.user_id,
            session_id: verified.session_id,
            issued_at: UnixSeconds(verified.issued_at),
            expires_at: UnixSeconds(verified.expires_at),
            stale_ms: verified.stale.map(millis),
        }
    }
}
