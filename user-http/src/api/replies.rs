//! Bodies of replies that several routes share.

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use user_proto::{CodeReply, SessionsEndedReply, TokenReply, UnixSeconds, UserChangeReply};
use utoipa::ToSchema;

use super::body::{JsonUuid, SecretText};

/// A code was sent by email.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CodeSent {
    /// Id under which the code is entered.
    #[schema(value_type = Uuid)]
    verification_id: JsonUuid,
    /// Seconds until the code expires.
    code_expires_in: u32,
    /// Seconds after which the code can be sent again.
    resend_after: u32,
}

impl<const TYPE: u8> From<CodeReply<TYPE>> for CodeSent {
    fn from(reply: CodeReply<TYPE>) -> Self {
        Self {
            verification_id: JsonUuid(reply.verification_id),
            code_expires_in: reply.code_expires_in,
            resend_after: reply.resend_after,
        }
    }
}

/// A session with its tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenPair {
    #[schema(value_type = Uuid)]
    user_id: JsonUuid,
    #[schema(value_type = Uuid)]
    session_id: JsonUuid,
    /// Token for the header Authorization: Bearer.
    #[schema(value_type = String)]
    access_token: SecretText,
    /// Seconds until the access token expires.
    access_expires_in: u32,
    /// Token with which both tokens are replaced, once.
    #[schema(value_type = String)]
    refresh_token: SecretText,
    /// Seconds until the refresh token expires.
    refresh_expires_in: u32,
    /// Always `Bearer`.
    token_type: &'static str,
}

impl<const TYPE: u8> From<TokenReply<'static, TYPE>> for TokenPair {
    fn from(reply: TokenReply<'static, TYPE>) -> Self {
        Self {
            user_id: JsonUuid(reply.user_id),
            session_id: JsonUuid(reply.session_id),
            access_token: SecretText(reply.access_token),
            access_expires_in: reply.access_expires_in,
            refresh_token: SecretText(reply.refresh_token),
            refresh_expires_in: reply.refresh_expires_in,
            token_type: "Bearer",
        }
    }
}

/// A session was opened. Its tokens are in cookies, unless `return_tokens` asks for them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OpenedSession {
    #[schema(value_type = Uuid)]
    user_id: JsonUuid,
    #[schema(value_type = Uuid)]
    session_id: JsonUuid,
    /// Token for the header Authorization: Bearer; only with `return_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    access_token: Option<SecretText>,
    /// Seconds until the access token expires.
    access_expires_in: u32,
    /// Token with which both tokens are replaced, once; only with `return_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    refresh_token: Option<SecretText>,
    /// Seconds until the refresh token expires.
    refresh_expires_in: u32,
    /// `Bearer`; only with `return_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token_type: Option<&'static str>,
}

impl OpenedSession {
    /// Returns the body for a session with its tokens in cookies.
    pub(super) fn in_cookies<const TYPE: u8>(reply: &TokenReply<'static, TYPE>) -> Self {
        Self {
            user_id: JsonUuid(reply.user_id),
            session_id: JsonUuid(reply.session_id),
            access_token: None,
            access_expires_in: reply.access_expires_in,
            refresh_token: None,
            refresh_expires_in: reply.refresh_expires_in,
            token_type: None,
        }
    }

    /// Returns the body for a session with tokens that the caller keeps.
    pub(super) fn with_tokens<const TYPE: u8>(reply: TokenReply<'static, TYPE>) -> Self {
        let session = Self::in_cookies(&reply);
        Self {
            access_token: Some(SecretText(reply.access_token)),
            refresh_token: Some(SecretText(reply.refresh_token)),
            token_type: Some("Bearer"),
            ..session
        }
    }
}

/// Sessions were ended.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct SessionsEnded {
    /// Number of sessions that were ended.
    sessions_ended: u32,
}

impl std::ops::AddAssign for SessionsEnded {
    fn add_assign(&mut self, other: Self) {
        self.sessions_ended = self.sessions_ended.saturating_add(other.sessions_ended);
    }
}

impl<const TYPE: u8> From<SessionsEndedReply<TYPE>> for SessionsEnded {
    fn from(reply: SessionsEndedReply<TYPE>) -> Self {
        Self { sessions_ended: reply.sessions_ended }
    }
}

/// The user after a change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserChanged {
    #[schema(value_type = Uuid)]
    user_id: JsonUuid,
    username: String,
    /// Email address that is in effect. A new one takes effect once its code is entered.
    email: String,
    /// Id under which the code of a new email address is entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>, nullable = false)]
    verification_id: Option<JsonUuid>,
}

impl<const TYPE: u8> From<UserChangeReply<'static, TYPE>> for UserChanged {
    fn from(reply: UserChangeReply<'static, TYPE>) -> Self {
        Self {
            user_id: JsonUuid(reply.user_id),
            username: reply.username.into_owned(),
            email: reply.email.into_owned(),
            verification_id: reply.verification_id.map(JsonUuid),
        }
    }
}

/// Returns a point in time in the format of RFC 3339.
pub(super) fn rfc3339(instant: UnixSeconds) -> String {
    let seconds = i64::try_from(instant.0).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    // RFC 3339 ends with the year 9999.
    time.and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "9999-12-31T23:59:59Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_format_of_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_795_855_000, "2026-11-28T08:36:40Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "9999-12-31T23:59:59Z"),
            ((1 << 53) - 1, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(UnixSeconds(seconds)), text);
        }
    }
}
