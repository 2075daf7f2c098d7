//! Ending of sessions: at logout, by the user from another session, and after too many wrong
//! passwords.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::Tokens;
use super::refresh::RefreshToken;
use super::rotation::{Superseded, end_stolen, judge};
use crate::domain::{
    AuditEvent, AuditKind, Change, ChangeContext, EndedSessions, Failure, RecordedOutcome, Refusal,
    RequestContext, Timestamp, UseCaseResult,
};
use crate::throttle::{Budget, Payer};

impl Tokens {
    /// Ends the session of an access or refresh token, or all sessions of its user if `all` is set.
    /// Returns the number of ended sessions. An expired access token still ends its own session. A
    /// refresh token that was superseded shows that a token was probably stolen: it ends its own
    /// session only, with the error `SessionRevoked`.
    ///
    /// # Errors
    /// Those of [`Tokens::verify`] and [`Tokens::refresh`]; `SessionRevoked` if the session had
    /// already ended.
    pub async fn logout(
        &self,
        token: &[u8],
        all: bool,
        context: &RequestContext,
    ) -> UseCaseResult<u32> {
        let now = self.clock.now();
        // A logout from a session that has ended writes nothing. The revocations in memory do not
        // decide, since the database may have lost the end of the session in a failover.
        let (session_id, user_id, accepted) = match RefreshToken::read(token, &self.keys) {
            Some(token) => {
                let (session_id, user_id) = self.owner_of_refresh(&token, context, now).await?;
                (session_id, user_id, None)
            }
            None => self.read_for_logout(token, all, now)?,
        };
        if all {
            let found = self.session_exists(session_id, context).await;
            if let Err(Failure::Refused(Refusal::SessionRevoked)) = found {
                self.end_lost_session((session_id, user_id), accepted, context).await?;
            }
            found?;
        }
        let lookup = self.throttle.unknown_ids.charge(context.network, Instant::now())?;
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
            self.end_lost_session((session_id, user_id), accepted, context).await?;
            return Err(Refusal::SessionRevoked.into());
        }
        self.throttle.unknown_ids.refund(context.network, lookup, Instant::now());
        Ok(ended.sessions)
    }

    /// Checks whether a logout can succeed, without writing anything.
    ///
    /// # Errors
    /// Those of [`Tokens::logout`].
    pub async fn check_logout(
        &self,
        token: &[u8],
        all: bool,
        context: &RequestContext,
    ) -> UseCaseResult<()> {
        if RefreshToken::read(token, &self.keys).is_some() {
            return self.check_refresh(token, context).await;
        }
        let (session_id, _, accepted) = self.read_for_logout(token, all, self.clock.now())?;
        match self.session_exists(session_id, context).await {
            Err(Failure::Refused(Refusal::SessionRevoked)) if accepted.is_some() => Ok(()),
            found => found.map(drop),
        }
    }

    /// Revokes a session that has no row, although its access token is accepted: a failover has
    /// lost the row of an answered login, or it was deleted by a clock that was ahead. `accepted`
    /// is the time of the token, and `None` if it is not accepted anyway.
    async fn end_lost_session(
        &self,
        (session_id, user_id): (Uuid, Uuid),
        accepted: Option<Timestamp>,
        context: &RequestContext,
    ) -> UseCaseResult<()> {
        let Some(issued) = accepted else { return Ok(()) };
        let now = self.clock.now();
        let event = AuditEvent::of(AuditKind::LoggedOut, user_id).session(session_id);
        // The request is refused, so it completes no idempotency key.
        let context = ChangeContext { claim: None, ..context.at(now) };
        let event = event.detail("a session that has no row");
        let change = Change::new(context, event, RecordedOutcome::at(now));
        let ended = self.sessions.revoke_session(session_id, now.max(issued), change).await?;
        self.publish_ended(&ended, now).await;
        Ok(())
    }

    /// Returns the session id and the user id of an access token that is presented for a logout,
    /// and, if this node accepts the token, the end of the second in which it was issued.
    fn read_for_logout(
        &self,
        token: &[u8],
        all: bool,
        now: Timestamp,
    ) -> UseCaseResult<(Uuid, Uuid, Option<Timestamp>)> {
        let claims = self.access.read(token)?;
        if all && now.seconds() >= claims.expires_at {
            return Err(Refusal::TokenExpired.into());
        }
        if self.revocations.all_revoked_since(claims.issued_at) {
            return Err(Refusal::SessionRevoked.into());
        }
        let is_accepted = now.seconds() < claims.expires_at
            && !self.revocations.contains_any([claims.session_id, claims.user_id]);
        let issued = Duration::from_secs(claims.issued_at.saturating_add(1));
        let accepted = is_accepted.then(|| Timestamp(0).plus(issued));
        Ok((claims.session_id, claims.user_id, accepted))
    }

    /// Returns the session id and the user id of a refresh token that is still valid.
    async fn owner_of_refresh(
        &self,
        token: &RefreshToken,
        context: &RequestContext,
        now: Timestamp,
    ) -> UseCaseResult<(Uuid, Uuid)> {
        if token.expires_at <= now.seconds() {
            return Err(Refusal::TokenExpired.into());
        }
        let session = self.session_exists(token.session_id, context).await?;
        let owner = (session.id, session.user_id);
        if session.counter == token.counter {
            return Ok(owner);
        }
        match judge(&session, token.counter, now) {
            Superseded::Repeated => Ok(owner),
            Superseded::NotIssued => Err(Refusal::InvalidToken.into()),
            Superseded::Stolen => {
                let ended = end_stolen(&*self.sessions, &session, context.at(now)).await?;
                self.publish_ended(&ended, now).await;
                Err(Refusal::SessionRevoked.into())
            }
        }
    }

    /// Ends the session `session_id` if it belongs to the user of an access token. Returns the
    /// number of ended sessions: one, or zero if the user has no such session.
    ///
    /// # Errors
    /// Those of [`Tokens::verify`]; `RateLimited`.
    pub async fn end_session(
        &self,
        token: &[u8],
        session_id: Uuid,
        context: &RequestContext,
    ) -> UseCaseResult<u32> {
        let verified = self.verify(token).await?;
        let now = self.clock.now();
        let outcome = RecordedOutcome::at(now);
        // The owner of a session never changes, so it need not be read in the transaction.
        let owned = self.sessions.session(session_id).await?;
        let ended = if owned.is_some_and(|session| session.user_id == verified.user_id) {
            self.throttle.charge(Budget::EndedSessions, Payer::User(verified.user_id)).await?;
            let event = AuditEvent::of(AuditKind::LoggedOut, verified.user_id).session(session_id);
            let is_own = session_id == verified.session_id;
            let event = if is_own { event } else { event.detail("from another session") };
            let change = Change::new(context.at(now), event, outcome.clone());
            self.sessions.end_session(session_id, change).await?
        } else {
            EndedSessions::default()
        };
        self.publish_ended(&ended, now).await;
        if let (0, Some(claim)) = (ended.sessions, context.claim) {
            // Nothing was charged, so nothing is stored: a repeat gets the same reply anyway.
            self.claims.release_key(claim).await?;
        }
        Ok(ended.sessions)
    }

    /// Ends a session in which the current password was wrong too often.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn end_guessed_session(
        &self,
        session_id: Uuid,
        user_id: Uuid,
        context: &RequestContext,
    ) -> UseCaseResult<()> {
        let now = self.clock.now();
        let event = AuditEvent::of(AuditKind::LoggedOut, user_id).session(session_id);
        // The request is refused, so it completes no idempotency key.
        let context = ChangeContext { claim: None, ..context.at(now) };
        let event = event.detail("too many wrong passwords");
        let change = Change::new(context, event, RecordedOutcome::at(now));
        let ended = self.sessions.end_session(session_id, change).await?;
        self.publish_ended(&ended, now).await;
        Ok(())
    }
}
