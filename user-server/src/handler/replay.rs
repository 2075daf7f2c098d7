//! Replay of completed requests under an idempotency key.

use user_proto::IdempotencyKey;
use uuid::Uuid;

use super::Services;
use crate::domain::{Fault, RecordedOutcome, UseCaseResult};
use crate::tokens::TokenPair;
use crate::users::CodeSent;

/// The recorded outcome of a completed request, from which its reply is rebuilt.
#[derive(Clone, Copy)]
pub(super) struct Replay<'a> {
    pub(super) outcome: &'a RecordedOutcome,
    /// Identifier (kid) of the server key that signs the tokens in the reply.
    pub(super) kid: &'a str,
    pub(super) key: IdempotencyKey,
}

impl Replay<'_> {
    /// Returns the details of the code that was emailed for the recorded verification, as they
    /// appear in the reply.
    pub(super) fn code_sent(self, services: &Services) -> UseCaseResult<CodeSent> {
        let id = self.outcome.verification_id.ok_or_else(missing)?;
        Ok(services.users.code_sent(id))
    }

    /// Issues the tokens of the recorded session again.
    ///
    /// # Errors
    /// If the session has ended since.
    pub(super) async fn token_pair(self, services: &Services) -> UseCaseResult<TokenPair> {
        let session = self.outcome.session.as_ref().ok_or_else(missing)?;
        let key = Uuid::from_bytes(self.key.0);
        services.tokens.reissue(session, self.kid, key, self.outcome.at).await
    }

    pub(super) fn user_id(self) -> UseCaseResult<Uuid> {
        Ok(self.outcome.user_id.ok_or_else(missing)?)
    }
}

fn missing() -> Fault {
    Fault::internal("the outcome of an idempotency key lacks what its reply needs")
}
