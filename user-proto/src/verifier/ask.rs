//! Asking the service about a token that cannot be checked in memory.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::counters::Counter;
use super::token::{Claims, Token};
use super::verdict::{NotVerified, Verified, VerifyError};
use super::{Inner, Local};
use crate::client::Error;
use crate::error_code::{ErrorClass, ErrorCode};
use crate::table::{Common, TokenVerified, VerifyToken};

impl Inner {
    /// Asks the service about a token. What this verifier knows counts too: the node that answers
    /// may be behind the one that is followed.
    pub(super) async fn ask(
        &self,
        token: &[u8],
        common: Common<'_>,
    ) -> Result<Verified, NotVerified> {
        let local = &self.local;
        // Nothing that the service could accept, or that it may still accept.
        let Some(kid) = Token::parse(token).map(|parsed| parsed.kid) else {
            return Err(local.refuse());
        };
        if local.keys.is_revoked(&kid) {
            return Err(local.refuse());
        }
        local.counters.add(Counter::Asked, 0);
        let result = match self.call(token, common).await {
            Ok(reply) => local.judge(&kid, &reply).map_err(NotVerified::from),
            Err(error) => Err(error),
        };
        if result.as_ref().is_err_and(|error| error.reason == VerifyError::Unavailable) {
            local.counters.add(Counter::Unavailable, 0);
        }
        result
    }

    async fn call(
        &self,
        token: &[u8],
        mut common: Common<'_>,
    ) -> Result<TokenVerified, NotVerified> {
        let limit = common.deadline_ms.map(|ms| Duration::from_millis(ms.into()));
        let limit = limit.unwrap_or(Duration::MAX).min(self.local.config.ask_timeout);
        common.deadline_ms = Some(u32::try_from(limit.as_millis()).unwrap_or(u32::MAX));
        let reply = tokio::time::timeout(limit, async {
            let _permit = self.asking.acquire().await;
            self.pool.call_with(VerifyToken { access_token: token.into() }, common).await
        });
        match reply.await {
            Ok(reply) => {
                reply.map_err(|error| NotVerified { reason: reason(&error), source: Some(error) })
            }
            Err(_) => Err(VerifyError::Unavailable.into()),
        }
    }
}

impl Local {
    /// Counts a token that is refused without asking the service.
    fn refuse(&self) -> NotVerified {
        self.counters.add(Counter::Invalid, 0);
        VerifyError::Invalid.into()
    }

    /// Returns the verdict on a token that the service accepts.
    fn judge(&self, kid: &str, reply: &TokenVerified) -> Result<Verified, VerifyError> {
        let stale = reply.stale_ms.map(|ms| Duration::from_millis(ms.into()));
        let claims = Claims {
            user_id: reply.user_id,
            session_id: reply.session_id,
            issued_at: reply.issued_at.0,
            expires_at: reply.expires_at.0,
        };
        if self.keys.is_revoked(kid) {
            return Err(VerifyError::Invalid);
        }
        if self.revocations.contain(&claims) {
            return Err(VerifyError::Revoked);
        }
        if !self.is_left_to_service.load(Ordering::Acquire)
            && stale.is_some_and(|stale| stale > self.config.age_limit)
        {
            return Err(VerifyError::Unavailable);
        }
        Ok(Verified {
            user_id: claims.user_id,
            session_id: claims.session_id,
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            claims: None,
            stale,
        })
    }
}

/// Returns the reason that an error of VerifyToken means. Only an error that says something about
/// the token is one about the token.
fn reason(error: &Error) -> VerifyError {
    match error.code() {
        Some(ErrorCode::TOKEN_EXPIRED) => VerifyError::Expired,
        Some(ErrorCode::SESSION_REVOKED) => VerifyError::Revoked,
        Some(ErrorCode::NOT_PERMITTED) => VerifyError::Unavailable,
        Some(code) if code.class() == ErrorClass::Identity => VerifyError::Invalid,
        _ => VerifyError::Unavailable,
    }
}
