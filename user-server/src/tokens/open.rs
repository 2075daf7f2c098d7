//! Open sessions: new ones, and those of an account for its owner.

use uuid::Uuid;

use super::{TokenPair, Tokens};
use crate::domain::{
    ChangeContext, ClientNetwork, DeviceName, MAX_SESSIONS, NewSession, Refusal, SessionSummary,
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
}
