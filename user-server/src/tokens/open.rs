//! Opening of sessions, and the list of a user's open sessions.

use uuid::Uuid;

use super::{TokenPair, Tokens};
use crate::domain::{
    ChangeContext, ClientNetwork, DeviceName, MAX_SESSIONS, NewSession, Refusal, SessionSummary,
    UseCaseResult,
};

impl Tokens {
    /// Creates a session to open, with a random id. `client` is the keyed hash of the network.
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
    /// A fault if every server key is retired.
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

    /// Returns the session id of an access token, and all open sessions of its user, the most
    /// recently used first.
    ///
    /// # Errors
    /// Those of [`Tokens::verify`].
    pub async fn list_sessions(&self, token: &[u8]) -> UseCaseResult<(Uuid, Vec<SessionSummary>)> {
        let verified = self.verify(token).await?;
        let mut sessions = self.sessions.sessions_of(verified.user_id, MAX_SESSIONS).await?;
        // The revocation set may not know yet that the session has ended.
        if !sessions.iter().any(|session| session.id == verified.session_id) {
            return Err(Refusal::SessionRevoked.into());
        }
        // The time of the last refresh would tell the thief of a refresh token when to present it
        // without being noticed, so the session of the token counts as used now.
        let now = self.clock.now();
        for session in &mut sessions {
            if session.id == verified.session_id {
                session.last_used_at = now;
            }
        }
        sessions.sort_by_key(|session| std::cmp::Reverse(session.last_used_at));
        Ok((verified.session_id, sessions))
    }
}
