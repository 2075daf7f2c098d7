//! The token service: issues, verifies, refreshes and ends. A token check is a signature, claims
//! and one look into the set of what has ended: no SQL, no lock, no state a session.

mod access;
mod both;
mod exact;
mod open;
mod owner;
mod refresh;
mod retired;
mod revocations;
mod rotation;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::domain::{
    AuditEvent, AuditKind, Change, Clock, Fault, IdempotencyKeys, RecordCache, RecordedOutcome,
    Refusal, RequestContext, SessionRecord, Sessions, Timestamp, UseCaseResult, Wakeups,
};
use crate::keys::KeyRing;
use access::{AccessTokens, NO_KEY};
#[doc(hidden)]
pub use both::BothWays;
use refresh::RefreshToken;
pub use retired::{follow_retired, retire_known};
pub use revocations::{FRESH, Revocations};
pub use rotation::{Rotation, rotate};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 2048;

/// How long tokens live, and what they say of where they come from.
#[derive(Debug, Clone)]
pub struct TokenPolicy {
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: String,
    /// An access token's life.
    pub access_life: Duration,
    /// A session's life without a refresh.
    pub session_idle: Duration,
    /// A session's life in all.
    pub session_life: Duration,
}

/// The ports of the token service.
pub struct TokenStores {
    pub sessions: Arc<dyn Sessions>,
    pub claims: Arc<dyn IdempotencyKeys>,
    pub cache: Arc<dyn RecordCache>,
    pub wakeups: Arc<dyn Wakeups>,
}

/// The token service.
pub struct Tokens {
    access: AccessTokens,
    keys: Arc<KeyRing>,
    sessions: Arc<dyn Sessions>,
    claims: Arc<dyn IdempotencyKeys>,
    clock: Arc<dyn Clock>,
    policy: TokenPolicy,
    revocations: Arc<Revocations>,
    cache: Arc<dyn RecordCache>,
    wakeups: Arc<dyn Wakeups>,
}

/// A session's pair of tokens.
#[derive(Debug)]
pub struct TokenPair {
    /// Whose session.
    pub user_id: Uuid,
    /// The session.
    pub session_id: Uuid,
    /// The access token.
    pub access_token: Zeroizing<String>,
    /// How long it lives.
    pub access_expires_in: Duration,
    /// The refresh token.
    pub refresh_token: Zeroizing<String>,
    /// How long it lives.
    pub refresh_expires_in: Duration,
}

/// A good access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is.
    pub user_id: Uuid,
    /// Its session.
    pub session_id: Uuid,
    /// When it was issued, in seconds since 1970.
    pub issued_at: u64,
    /// When it ends, in seconds since 1970.
    pub expires_at: u64,
    /// The age of what is known of ended sessions, where it is over the promised second.
    pub stale: Option<Duration>,
}

impl Tokens {
    /// The token service over these parts.
    ///
    /// # Errors
    /// Where a key or the policy can't be used.
    pub fn new(
        keys: Arc<KeyRing>,
        stores: TokenStores,
        clock: Arc<dyn Clock>,
        policy: TokenPolicy,
        revocations: Arc<Revocations>,
    ) -> Result<Self, Fault> {
        let access = AccessTokens::new(&keys, &policy)?;
        let TokenStores { sessions, claims, cache, wakeups } = stores;
        Ok(Self { access, keys, sessions, claims, clock, policy, revocations, cache, wakeups })
    }

    /// Whether a key is left to make tokens and codes with.
    ///
    /// # Errors
    /// A fault where every one is retired.
    pub fn can_issue(&self) -> Result<(), Fault> {
        self.keys.signing().map(drop).ok_or_else(|| Fault::Unavailable(NO_KEY.to_owned()))
    }

    /// How many keys are left that tokens may be made with or read by.
    #[must_use]
    pub fn keys_left(&self) -> usize {
        self.keys.active().count()
    }

    /// The tokens that a session was given under an idempotency key, and the server's key of this
    /// name, where it has not ended since.
    ///
    /// # Errors
    /// `SessionRevoked`.
    pub async fn reissue(
        &self,
        session: &SessionRecord,
        kid: &str,
        once: Uuid,
        at: Timestamp,
    ) -> UseCaseResult<TokenPair> {
        self.still_open(session.id, session.user_id).await?;
        self.tokens_of(session, kid, Some(once), at)
    }

    /// Whether the session of a genuine token, expired or not, has not ended.
    ///
    /// # Errors
    /// `InvalidToken`, `SessionRevoked`.
    pub async fn token_still_open(&self, token: &[u8]) -> UseCaseResult<()> {
        let claims = self.access.read(token)?;
        if self.revocations.all_revoked_since(claims.issued_at) {
            return Err(Refusal::SessionRevoked.into());
        }
        self.still_open(claims.session_id, claims.user_id).await
    }

    async fn still_open(&self, session_id: Uuid, user_id: Uuid) -> UseCaseResult<()> {
        if self.revocations.contains_any([session_id, user_id])
            || self.sessions.session(session_id).await?.is_none()
        {
            return Err(Refusal::SessionRevoked.into());
        }
        Ok(())
    }

    /// Checks an access token. It never waits.
    ///
    /// # Errors
    /// `InvalidToken`, `TokenExpired`, `SessionRevoked`, or `Stale` where too little is known to
    /// say.
    pub fn verify(&self, token: &[u8]) -> UseCaseResult<Verified> {
        self.verify_at(token, self.time(), Instant::now())
    }

    /// What time it is for tokens.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.clock.now()
    }

    /// The same, by clocks that were looked at just now.
    ///
    /// # Errors
    /// As [`Tokens::verify`].
    pub fn verify_at(
        &self,
        token: &[u8],
        time: Timestamp,
        instant: Instant,
    ) -> UseCaseResult<Verified> {
        let claims = self.access.read(token)?;
        if time.seconds() >= claims.expires_at {
            return Err(Refusal::TokenExpired.into());
        }
        if self.revocations.contains_any([claims.session_id, claims.user_id])
            || self.revocations.all_revoked_since(claims.issued_at)
        {
            return Err(Refusal::SessionRevoked.into());
        }
        let stale = self.revocations.staleness(instant).map_err(|_| Refusal::Stale)?;
        Ok(Verified { stale, ..claims })
    }

    /// Exchanges a refresh token for new tokens.
    ///
    /// # Errors
    /// `InvalidToken`, `TokenExpired`, or `SessionRevoked`, also where this use proves that the
    /// token was copied.
    pub async fn refresh(
        &self,
        token: &[u8],
        context: &RequestContext,
    ) -> UseCaseResult<TokenPair> {
        let now = self.clock.now();
        let token = RefreshToken::read(token, &self.keys).ok_or(Refusal::InvalidToken)?;
        if token.expires_at <= now.seconds() {
            return Err(Refusal::TokenExpired.into());
        }
        let presented = (token.session_id, token.counter);
        let rotated =
            rotate(&*self.sessions, &*self.claims, presented, self.kid(), context.at(now)).await?;
        match rotated {
            Rotation::Advanced(session) | Rotation::Repeated(session) => {
                self.tokens_of(&session, self.kid(), context.claim.map(|claim| claim.key), now)
            }
            Rotation::Stolen(ended) => {
                self.publish_ended(&ended, now).await;
                Err(Refusal::SessionRevoked.into())
            }
            Rotation::NotIssued => Err(Refusal::InvalidToken.into()),
            Rotation::Gone => Err(Refusal::SessionRevoked.into()),
        }
    }

    /// Ends the session of a token, or all sessions of its user. An expired access token still ends
    /// its own session.
    ///
    /// # Errors
    /// Those of [`Tokens::verify`] and [`Tokens::refresh`]; `SessionRevoked` where no session was
    /// left to end.
    pub async fn logout(
        &self,
        token: &[u8],
        all: bool,
        context: &RequestContext,
    ) -> UseCaseResult<u32> {
        let now = self.clock.now();
        let (session_id, user_id) = match RefreshToken::read(token, &self.keys) {
            Some(token) if token.expires_at <= now.seconds() => {
                return Err(Refusal::TokenExpired.into());
            }
            Some(token) if all => {
                let session = self.sessions.session(token.session_id).await?;
                (token.session_id, session.ok_or(Refusal::SessionRevoked)?.user_id)
            }
            Some(token) => (token.session_id, Uuid::nil()),
            None => {
                let claims = self.access.read(token)?;
                if all && now.seconds() >= claims.expires_at {
                    return Err(Refusal::TokenExpired.into());
                }
                if self.revocations.all_revoked_since(claims.issued_at) {
                    return Err(Refusal::SessionRevoked.into());
                }
                (claims.session_id, claims.user_id)
            }
        };
        if self.revocations.contains_any([session_id, user_id]) {
            return Err(Refusal::SessionRevoked.into());
        }
        let outcome = RecordedOutcome::at(now);
        let ended = if all {
            let event = AuditEvent::of(AuditKind::LoggedOut, user_id).detail("all sessions");
            let change = Change::new(context.at(now), event, outcome.user(user_id));
            self.sessions.end_all_sessions(user_id, change).await?
        } else {
            let event = AuditEvent::new(AuditKind::LoggedOut).session(session_id);
            let change = Change::new(context.at(now), event, outcome);
            self.sessions.end_session(session_id, change).await?
        };
        self.publish_ended(&ended, now).await;
        if ended.sessions == 0 {
            return Err(Refusal::SessionRevoked.into());
        }
        Ok(ended.sessions)
    }

    /// Today's key. Where none is left, the name of one under which nothing is issued.
    fn kid(&self) -> &str {
        &self.keys.signing().unwrap_or_else(|| self.keys.configured()).kid
    }

    fn tokens_of(
        &self,
        session: &SessionRecord,
        kid: &str,
        once: Option<Uuid>,
        now: Timestamp,
    ) -> UseCaseResult<TokenPair> {
        // Derived from what is stored, so that a repeated refresh gives the same bytes.
        let session_end = session.created_at.plus(self.policy.session_life);
        let refresh_end = session.rotated_at.plus(self.policy.session_idle).min(session_end);
        let access_end = now.plus(self.policy.access_life).min(session_end);
        let token = RefreshToken {
            session_id: session.id,
            counter: session.counter,
            expires_at: refresh_end.seconds(),
        };
        let access_token = self.access.issue(session, kid, once, now, access_end)?;
        let key = self.keys.find(&session.kid).ok_or(Refusal::InvalidToken)?;
        Ok(TokenPair {
            user_id: session.user_id,
            session_id: session.id,
            access_token,
            access_expires_in: access_end.since(now),
            refresh_token: token.write(key),
            refresh_expires_in: refresh_end.since(now),
        })
    }
}
