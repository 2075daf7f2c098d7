//! The token service: issues, verifies and refreshes tokens, and ends sessions. The verification of
//! an access token checks its signature and claims, and looks up session and user in the in-memory
//! set of revocations: it needs no SQL, no lock, and no state per session.

mod access;
mod clock_jump;
mod ended;
mod exact;
mod feed;
mod log_marks;
mod open;
mod owner;
mod published;
mod reader;
mod recent;
mod refresh;
mod retired;
mod revocations;
mod rotation;
mod seen;
mod verifiers;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::domain::{
    AuditEvent, AuditKind, Clock, Fault, IdempotencyKeys, RecordCache, RecordedOutcome, Refusal,
    RequestContext, SessionRecord, Sessions, Timestamp, UseCaseResult, Wakeups,
};
use crate::keys::{KeyRing, TokenAlgorithm};
use crate::throttle::{Budget, Payer, Throttle};
use access::{AccessTokens, NO_KEY};
pub use feed::{RevocationPage, Revoked};
pub use published::PublishedKeys;
pub use reader::RevocationReader;
use refresh::RefreshToken;
pub use retired::retire_known;
pub use revocations::{FRESH, Revocations};
pub use rotation::{Rotation, rotate};
#[doc(hidden)]
pub use verifiers::Verifiers;
pub use watch::RevocationWatch;

/// Maximum length of a token in bytes. A longer token is refused without being parsed.
pub const MAX_TOKEN: usize = 2048;

/// Number of seconds by which the issue time of a token may be ahead of this node's clock.
const MAX_AHEAD: u64 = 60;

/// Registers the process for membarrier(2), which the sets of revocations use. That takes
/// microseconds before the first thread starts, and up to 13 ms afterwards.
pub fn register_process() {
    drop(papaya::HashMap::<(), ()>::new());
}

/// Issuer, audience and lifetimes of tokens and sessions.
#[derive(Debug, Clone)]
pub struct TokenPolicy {
    /// Issuer: the `iss` claim of access tokens.
    pub issuer: String,
    /// Audience: the `aud` claim of access tokens.
    pub audience: String,
    /// Lifetime of an access token.
    pub access_life: Duration,
    /// Idle time without a refresh after which a session ends.
    pub session_idle: Duration,
    /// Maximum lifetime of a session, however often it is refreshed.
    pub session_life: Duration,
    /// Algorithm that signs access tokens.
    pub signing: TokenAlgorithm,
    /// Algorithms of access tokens that are accepted.
    pub accepted: Vec<TokenAlgorithm>,
}

impl TokenPolicy {
    /// Returns the algorithms of access tokens, the one that signs first.
    fn algorithms(&self) -> impl Iterator<Item = TokenAlgorithm> {
        let others = self.accepted.iter().copied().filter(|other| *other != self.signing);
        std::iter::once(self.signing).chain(others)
    }
}

/// Ports that the token service uses.
pub struct TokenStores {
    pub sessions: Arc<dyn Sessions>,
    pub claims: Arc<dyn IdempotencyKeys>,
    pub cache: Arc<dyn RecordCache>,
    pub wakeups: Arc<dyn Wakeups>,
}

/// Service that issues, verifies and refreshes tokens, and ends sessions.
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
    throttle: Arc<Throttle>,
}

/// An access token and a refresh token of the same session, with their remaining lifetimes.
#[derive(Debug)]
pub struct TokenPair {
    pub user_id: Uuid,
    pub session_id: Uuid,
    pub access_token: Zeroizing<String>,
    pub access_expires_in: Duration,
    pub refresh_token: Zeroizing<String>,
    pub refresh_expires_in: Duration,
}

/// Claims of an access token that passed verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    pub user_id: Uuid,
    pub session_id: Uuid,
    /// Unix time of issue, in seconds.
    pub issued_at: u64,
    /// Unix time of expiry, in seconds.
    pub expires_at: u64,
    /// Time since this node last read the revocation log, if it exceeds [`FRESH`], otherwise
    /// `None`.
    pub stale: Option<Duration>,
}

impl Tokens {
    /// Creates the token service.
    ///
    /// # Errors
    /// If the header or the constant claims of tokens cannot be encoded.
    pub fn new(
        keys: Arc<KeyRing>,
        stores: TokenStores,
        throttle: Arc<Throttle>,
        clock: Arc<dyn Clock>,
        policy: TokenPolicy,
        revocations: Arc<Revocations>,
    ) -> Result<Self, Fault> {
        let access = AccessTokens::new(&keys, &policy)?;
        let TokenStores { sessions, claims, cache, wakeups } = stores;
        Ok(Self {
            access,
            keys,
            sessions,
            claims,
            clock,
            policy,
            revocations,
            cache,
            wakeups,
            throttle,
        })
    }

    /// Checks that a key is available with which tokens and codes can be issued.
    ///
    /// # Errors
    /// `Unavailable` if every key is retired.
    pub fn can_issue(&self) -> Result<(), Fault> {
        self.keys.signing().map(drop).ok_or_else(|| Fault::Unavailable(NO_KEY.to_owned()))
    }

    /// Returns the number of server keys that are not retired.
    #[must_use]
    pub fn keys_left(&self) -> usize {
        self.keys.active().count()
    }

    /// Issues the same tokens again that the request with this idempotency key returned at the time
    /// `at`, signed with the server key named `kid`.
    ///
    /// # Errors
    /// `SessionRevoked` if the session has ended.
    pub async fn reissue(
        &self,
        session: &SessionRecord,
        kid: &str,
        idempotency_key: Uuid,
        at: Timestamp,
    ) -> UseCaseResult<TokenPair> {
        self.still_open(session.id, session.user_id).await?;
        self.issue_pair(session, kid, Some(idempotency_key), at)
    }

    /// Checks that the session of an access token has not ended. The token must be genuine, but may
    /// have expired.
    ///
    /// # Errors
    /// `InvalidToken` if the token is not genuine; `SessionRevoked` if the session has ended.
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

    /// Verifies an access token and returns its claims.
    ///
    /// # Errors
    /// `InvalidToken`, `TokenExpired`, `SessionRevoked`; `Stale` if this node has not read the
    /// revocation log for too long.
    pub async fn verify(&self, token: &[u8]) -> UseCaseResult<Verified> {
        let verified = self.verify_known(token, self.time(), Instant::now())?;
        if !self.revocations.may_be_erased(verified.issued_at) {
            return Ok(verified);
        }
        self.still_open(verified.session_id, verified.user_id).await?;
        // Again: the session may have ended meanwhile.
        self.verify_known(token, self.time(), Instant::now())
    }

    /// Returns the current time by the clock of the token service.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.clock.now()
    }

    /// Verifies an access token like [`Tokens::verify`], at the given readings of the wall clock
    /// and the monotonic clock, without waiting for anything. Returns `None` if the session must be
    /// looked up, because the clock shows an earlier time than before.
    pub fn verify_at(
        &self,
        token: &[u8],
        time: Timestamp,
        instant: Instant,
    ) -> Option<UseCaseResult<Verified>> {
        let verified = self.verify_known(token, time, instant);
        let issued_at = verified.as_ref().ok().map(|verified| verified.issued_at);
        (!issued_at.is_some_and(|at| self.revocations.may_be_erased(at))).then_some(verified)
    }

    /// Verifies an access token by the revocations that this node knows. The token expires at the
    /// latest one lifetime by the current policy after it was issued.
    fn verify_known(
        &self,
        token: &[u8],
        time: Timestamp,
        instant: Instant,
    ) -> UseCaseResult<Verified> {
        let claims = self.access.read(token)?;
        // By the current lifetime, which may have been lowered since: revocations are not stored
        // for longer.
        let life_end = claims.issued_at.saturating_add(self.policy.access_life.as_secs());
        let expires_at = claims.expires_at.min(life_end);
        // A token from the future was issued before the clock was set back, and would live too
        // long.
        if time.seconds() >= expires_at
            || claims.issued_at > time.seconds().saturating_add(MAX_AHEAD)
        {
            return Err(Refusal::TokenExpired.into());
        }
        if self.revocations.contains_any([claims.session_id, claims.user_id])
            || self.revocations.all_revoked_since(claims.issued_at)
        {
            return Err(Refusal::SessionRevoked.into());
        }
        let stale = self.revocations.staleness(instant).map_err(|_| Refusal::Stale)?;
        Ok(Verified { expires_at, stale, ..claims })
    }

    /// Checks whether a refresh token is genuine and its session exists, without writing anything.
    ///
    /// # Errors
    /// `InvalidToken`, `TokenExpired`; `SessionRevoked` if the session has ended; `RateLimited` if
    /// the network has presented too many unknown tokens.
    pub async fn check_refresh(&self, token: &[u8], context: &RequestContext) -> UseCaseResult<()> {
        let token = RefreshToken::read(token, &self.keys).ok_or(Refusal::InvalidToken)?;
        if token.expires_at <= self.clock.now().seconds() {
            return Err(Refusal::TokenExpired.into());
        }
        self.session_exists(token.session_id, context).await.map(drop)
    }

    /// Returns a session that must exist.
    async fn session_exists(
        &self,
        session_id: Uuid,
        context: &RequestContext,
    ) -> UseCaseResult<SessionRecord> {
        let lookup = self.throttle.unknown_ids.charge(context.network, Instant::now())?;
        let session = self.sessions.session(session_id).await?.ok_or(Refusal::SessionRevoked)?;
        self.throttle.unknown_ids.refund(context.network, lookup, Instant::now());
        Ok(session)
    }

    /// Exchanges a refresh token for a new access token and a new refresh token.
    ///
    /// # Errors
    /// `InvalidToken`, `TokenExpired`; `SessionRevoked` if the session has ended, or if this reuse
    /// shows that the token was stolen, which ends the session; `RateLimited`.
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
        let lookup = self.throttle.unknown_ids.charge(context.network, Instant::now())?;
        let presented = (token.session_id, token.counter);
        // One event for each session and hour.
        let event = AuditEvent {
            dedup: Some(self.throttle.once_an_hour("refresh", token.session_id)),
            ..AuditEvent::new(AuditKind::Refreshed).session(token.session_id)
        };
        let rotation =
            rotate(&*self.sessions, presented, self.kid(), event, context.at(now)).await?;
        if rotation != Rotation::Gone {
            self.throttle.unknown_ids.refund(context.network, lookup, Instant::now());
        }
        match rotation {
            Rotation::Advanced(session) => {
                self.issue_pair(&session, self.kid(), context.claim.map(|claim| claim.key), now)
            }
            Rotation::Repeated(session) => {
                if let Some(claim) = context.claim {
                    // Stored for a day, so it is not free, unlike a repeat without a key.
                    let payer = Payer::Session(session.id);
                    self.throttle.charge(Budget::RepeatedRefreshes, payer).await?;
                    let outcome = RecordedOutcome::at(now).user(session.user_id);
                    self.claims.complete_key(claim, &outcome.session(session.clone())).await?;
                }
                self.issue_pair(&session, self.kid(), context.claim.map(|claim| claim.key), now)
            }
            Rotation::Stolen(ended) => {
                self.publish_ended(&ended, now).await;
                Err(Refusal::SessionRevoked.into())
            }
            Rotation::NotIssued => Err(Refusal::InvalidToken.into()),
            Rotation::TooMany(retry_after) => Err(Refusal::RateLimited { retry_after }.into()),
            Rotation::Gone => Err(Refusal::SessionRevoked.into()),
        }
    }

    /// Returns the name of the server key that signs new tokens. If every key is retired, returns
    /// the name of a retired key, with which no token is issued.
    fn kid(&self) -> &str {
        &self.keys.signing().unwrap_or_else(|| self.keys.configured()).kid
    }

    fn issue_pair(
        &self,
        session: &SessionRecord,
        kid: &str,
        idempotency_key: Option<Uuid>,
        now: Timestamp,
    ) -> UseCaseResult<TokenPair> {
        // Derived from stored values, so that a repeated refresh returns the same bytes. The access
        // token is not issued later either: an entry of the revocation log has the stored time.
        let issued_at = now.min(session.rotated_at);
        let session_end = session.created_at.plus(self.policy.session_life);
        let refresh_end = session.rotated_at.plus(self.policy.session_idle).min(session_end);
        let access_end = issued_at.plus(self.policy.access_life).min(session_end);
        let token = RefreshToken {
            session_id: session.id,
            counter: session.counter,
            expires_at: refresh_end.seconds(),
        };
        let access_token =
            self.access.issue(session, kid, idempotency_key, issued_at, access_end)?;
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
