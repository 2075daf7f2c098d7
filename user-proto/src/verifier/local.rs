//! The check in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::cache::{CachedToken, TokenCache, TokenDigest};
use super::config::VerifierConfig;
use super::counters::{Counter, Counters};
use super::keys::Keys;
use super::revocations::Revocations;
use super::time::{ServiceTime, Timing};
use super::token::{Claims, MAX_TOKEN, Token};
use super::verdict::{Verified, VerifyError};

/// Value of `complete_at` while the revocations are not complete.
const INCOMPLETE: i64 = i64::MIN;
/// Age of the revocations over which a verdict states it.
const STALE_AFTER: Duration = Duration::from_secs(1);

/// Keys, revocations and cache of a verifier. The follower writes them, and readers do not wait for
/// it.
///
/// A check loads `complete_at` and `keys_until` first, then looks into keys and revocations, and
/// reads the clock last. The follower writes in the opposite order: it adds the entries of an
/// answer, and then advances `complete_at`. So at the time of the clock reading, the reader has
/// seen every revocation that the service knew at `complete_at`, and `complete_at` is not older
/// than the age limit. A reader may stop at any point, for any time: if it stops before the clock
/// reading, it finds the age over the limit and the service is asked; by the time at which an entry
/// is removed, the clock reading shows the token to be expired. If it stops after the clock
/// reading, its verdict was true then, and the check began before.
pub(super) struct Local {
    pub(super) config: VerifierConfig,
    pub(super) start: Instant,
    /// Time at which the set of revocations was complete, in nanoseconds since `start`.
    complete_at: AtomicI64,
    /// The same for the revoked keys, which are never too many.
    revoked_keys_complete_at: AtomicI64,
    /// Time until which the keys are used if they are not read again, in nanoseconds since `start`.
    keys_until: AtomicI64,
    /// Lifetime of an access token in seconds, as the service has stated it.
    pub(super) access_life: AtomicU64,
    /// `true` after an entry that this version does not understand.
    pub(super) has_unknown_entry: AtomicBool,
    /// `true` if the service signs tokens with HS256, or does not let this client verify tokens.
    /// Every verdict is then that of the service, with the staleness that its operator allows
    /// (STALE_LIMIT).
    pub(super) is_left_to_service: AtomicBool,
    pub(super) keys: Keys,
    pub(super) revocations: Revocations,
    pub(super) time: ServiceTime,
    pub(super) cache: TokenCache,
    pub(super) counters: Counters,
    /// Notified when a token does not fit the last answer to GetKeys: it names an unknown key, or
    /// has a longer lifetime.
    pub(super) keys_outdated: Notify,
}

/// Times that limit the use of keys and revocations, as they were before a check looked at those.
#[derive(Clone, Copy)]
struct Limits {
    complete_at: i64,
    keys_until: i64,
}

impl Limits {
    /// Returns the age of the revocations at the time of a later clock reading.
    ///
    /// # Errors
    /// If the revocations or keys are too old.
    fn age(self, local: &Local, now: Instant) -> Result<Duration, Undecided> {
        let age = local.age_at(self.complete_at, now).ok_or(Undecided::NotReady)?;
        let has_keys = nanos(now.saturating_duration_since(local.start)) < self.keys_until;
        if age <= local.config.age_limit && has_keys { Ok(age) } else { Err(Undecided::NotReady) }
    }
}

/// Reason for which a token is not checked in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecided {
    /// The revocations or keys are not known well enough.
    NotReady,
    UnknownKey,
    /// The signature is genuine, but the token is valid for longer than the service has stated. It
    /// may have changed the lifetime.
    LongLife,
    /// The signature is genuine, but issuer or audience are not the configured ones. The
    /// configuration of this verifier may be wrong, so the service decides.
    OtherIssuer,
    /// The service's clock was set back.
    Disputed,
}

impl Local {
    pub(super) fn new(config: VerifierConfig) -> Self {
        let start = Instant::now();
        Self {
            start,
            complete_at: AtomicI64::new(INCOMPLETE),
            revoked_keys_complete_at: AtomicI64::new(INCOMPLETE),
            keys_until: AtomicI64::new(0),
            access_life: AtomicU64::new(0),
            has_unknown_entry: AtomicBool::new(false),
            is_left_to_service: AtomicBool::new(false),
            keys: Keys::default(),
            revocations: Revocations::new(),
            time: ServiceTime::new(start),
            cache: TokenCache::new(config.cached_tokens),
            counters: Counters::default(),
            keys_outdated: Notify::new(),
            config,
        }
    }

    /// Declares that the set contains everything that the service knew at `sent`, less the
    /// `staleness` of its own knowledge. Entries are never removed early, so an earlier statement
    /// stays true, and the later time counts.
    pub(super) fn set_complete(&self, sent: Instant, staleness: Duration) {
        self.complete_at.fetch_max(self.known_at(sent, staleness), Ordering::AcqRel);
    }

    /// Declares the same of the revoked keys.
    pub(super) fn set_revoked_keys_complete(&self, sent: Instant, staleness: Duration) {
        self.revoked_keys_complete_at.fetch_max(self.known_at(sent, staleness), Ordering::AcqRel);
    }

    fn known_at(&self, sent: Instant, staleness: Duration) -> i64 {
        nanos(sent.saturating_duration_since(self.start)) - nanos(staleness)
    }

    /// Returns the JWK Set of the service, or `None` if one of its keys may be revoked.
    pub(super) fn published_keys(&self) -> Option<Arc<str>> {
        let limits = Limits {
            complete_at: self.revoked_keys_complete_at.load(Ordering::Acquire),
            ..self.limits()
        };
        let published = self.keys.published()?;
        limits.age(self, Instant::now()).ok().map(|_| published)
    }

    /// Declares that the keys can be used until this time.
    pub(super) fn set_keys_until(&self, until: Instant) {
        let until = nanos(until.saturating_duration_since(self.start));
        self.keys_until.store(until, Ordering::Release);
    }

    /// Declares that the set is not complete.
    pub(super) fn set_incomplete(&self) {
        self.complete_at.store(INCOMPLETE, Ordering::Release);
    }

    /// Returns `true` if all revocations have arrived, whatever their age.
    pub(super) fn is_complete(&self) -> bool {
        self.complete_at.load(Ordering::Acquire) != INCOMPLETE
    }

    /// Returns the age of the revocations, or `None` while they are not complete.
    pub(super) fn age(&self) -> Option<Duration> {
        let complete_at = self.complete_at.load(Ordering::Acquire);
        self.age_at(complete_at, Instant::now())
    }

    /// Returns `true` if tokens are checked in memory.
    pub(super) fn is_ready(&self) -> bool {
        self.keys.are_loaded()
            && self.keys.current().len() > 0
            && !self.has_unknown_entry.load(Ordering::Acquire)
            && self.limits().age(self, Instant::now()).is_ok()
    }

    fn limits(&self) -> Limits {
        Limits {
            complete_at: self.complete_at.load(Ordering::Acquire),
            keys_until: self.keys_until.load(Ordering::Acquire),
        }
    }

    /// Checks a token in memory.
    pub(super) fn check(&self, token: &[u8]) -> Result<Result<Verified, VerifyError>, Undecided> {
        if token.len() > MAX_TOKEN {
            self.counters.add(Counter::Invalid, 0);
            return Ok(Err(VerifyError::Invalid));
        }
        let digest = TokenDigest::of(token).ok_or(Undecided::NotReady)?;
        let result = self.check_digest(token, digest)?;
        self.counters.count(&result, digest.spread());
        Ok(result)
    }

    fn check_digest(
        &self,
        token: &[u8],
        digest: TokenDigest,
    ) -> Result<Result<Verified, VerifyError>, Undecided> {
        let limits = self.limits();
        if limits.complete_at == INCOMPLETE || self.has_unknown_entry.load(Ordering::Acquire) {
            return Err(Undecided::NotReady);
        }
        let generation = self.keys.generation();
        let claims = match self.cache.get(&digest, generation) {
            Some(claims) => {
                self.counters.add(Counter::CacheHit, digest.spread());
                claims
            }
            None => match self.verify_signature(token)? {
                Some(claims) => {
                    self.cache.insert(digest, CachedToken { claims, generation });
                    claims
                }
                None => {
                    limits.age(self, Instant::now())?;
                    return Ok(Err(VerifyError::Invalid));
                }
            },
        };
        let revoked = self.revocations.contain(&claims);
        let now = Instant::now();
        let age = limits.age(self, now)?;
        match self.time.check(claims.issued_at, claims.expires_at, now) {
            Timing::Current => {}
            Timing::Expired => return Ok(Err(VerifyError::Expired)),
            Timing::Disputed => return Err(Undecided::Disputed),
        }
        if revoked {
            return Ok(Err(VerifyError::Revoked));
        }
        let life = self.access_life.load(Ordering::Acquire);
        if claims.expires_at.saturating_sub(claims.issued_at) > life {
            self.keys_outdated.notify_one();
            return Err(Undecided::LongLife);
        }
        Ok(Ok(Verified {
            user_id: claims.user_id,
            session_id: claims.session_id,
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            claims: None,
            stale: (age > STALE_AFTER).then_some(age),
        }))
    }

    /// Returns the claims of a token with a valid signature, or `None` if it is not a token of this
    /// service.
    fn verify_signature(&self, token: &[u8]) -> Result<Option<Claims>, Undecided> {
        let Some(token) = Token::parse(token) else { return Ok(None) };
        let keys = self.keys.current();
        let Some(key) = keys.get(&token.kid) else {
            if self.keys.is_revoked(&token.kid) {
                return Ok(None);
            }
            self.keys_outdated.notify_one();
            return Err(Undecided::UnknownKey);
        };
        if !token.names(key.algorithm) || !key.verify(token.signed, &token.signature) {
            return Ok(None);
        }
        let (issuer, audience) = (&self.config.issuer, &self.config.audience);
        token.claims(issuer, audience).map_err(|_| Undecided::OtherIssuer)
    }

    fn age_at(&self, complete_at: i64, now: Instant) -> Option<Duration> {
        let now = nanos(now.saturating_duration_since(self.start));
        // Negative if the set was completed after the clock reading.
        let age = now.checked_sub(complete_at)?.max(0);
        Some(Duration::from_nanos(age.unsigned_abs()))
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX / 4)
}
