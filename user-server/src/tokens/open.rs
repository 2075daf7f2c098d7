//! Open sessions: new ones, and those of an account for its owner.

use uuid::Uuid;

use super::{TokenPair, Tokens};
use crate::domain::{
    AuditEvent, AuditKind, Change, ChangeContext, ClientNetwork, DeviceName, EndedSessions,
    MAX_SESSIONS, NewSession, RecordedOutcome, Refusal, RequestContext, SessionSummary,
    UseCaseResult,
};

impl Tokens {
    /// Returns a session to open from a network, which is also known by the pseudonym `client`.
    #[must_use]
    pub fn new_session(
        &self,
        device: Option<DeviceName>,
        network: Option<ClientNetwork>,
        client: String,
    ) -> NewSession {
        let network = network.map(|network| network.coarse());
        NewSession { id: Uuid::new_v4(), kid: self.kid().to_owned(), device, network, client }
    }

    /// Issues the first tokens of a session.
    ///
    /// # Errors
    /// A fault if no key is left to sign the token.
    pub fn first_tokens(
        &self,
        session: &NewSession,
        user_id: Uuid,
        context: &ChangeContext,
    ) -> UseCaseResult<TokenPair> {
        self.issue_pair(
            &session.opened(user_id, context.at),
            self.kid(),
            context.claim.map(|claim| claim.key),
            context.at,
        )
    }

    /// Returns the session of an access token, and all open sessions of its user, the most recently
    /// used first.
    ///
    /// # Errors
    /// Those of [`Tokens::verify`].
    pub async fn list_sessions(&self, token: &[u8]) -> UseCaseResult<(Uuid, Vec<SessionSummary>)> {
        let verified = self.verify(token)?;
        let sessions = self.sessions.sessions_of(verified.user_id, MAX_SESSIONS).await?;
        // The revocation set may not know yet that the session has ended.
        if !sessions.iter().any(|session| session.id == verified.session_id) {
            return Err(Refusal::SessionRevoked.into());
        }
        Ok((verified.session_id, sessions))
    }

    /// Ends a session of the user of an access token, which may be the token's own. Returns the
    /// number of sessions that ended: zero if the user has no such session.
    ///
    /// # Errors
    /// Those of [`Tokens::verify`].
    pub async fn end_session(
        &self,
        token: &[u8],
        session_id: Uuid,
        context: &RequestContext,
    ) -> UseCaseResult<u32> {
        let verified = self.verify(token)?;
        let now = self.clock.now();
        let outcome = RecordedOutcome::at(now);
        // The owner of a session never changes, so it need not be read in the transaction.
        let owned = self.sessions.session(session_id).await?;
        let ended = if owned.is_some_and(|session| session.user_id == verified.user_id) {
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
            self.claims.complete_key(claim, &outcome).await?;
        }
        Ok(ended.sessions)
    }
}
