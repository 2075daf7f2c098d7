//! Execution of a change under an idempotency key: only once, however often it is requested.

use bytes::BytesMut;
use user_proto::limits::MAX_FRAME;
use user_proto::{Common, IdempotencyKey, Reply, Request};
use uuid::Uuid;
use zeroize::Zeroize;

use super::{Services, dispatch};
use crate::domain::{Fault, RecordedOutcome, RequestContext, UseCaseResult};
use crate::idempotency::IdempotencyDecision;
use crate::tokens::TokenPair;
use crate::users::CodeSent;

/// Executes a request under its key, or replays its outcome.
pub(super) async fn execute(
    services: &Services,
    key: IdempotencyKey,
    request: Request<'_>,
    context: RequestContext,
) -> UseCaseResult<Reply<'static>> {
    let content = RequestContent::of(&request)?;
    match services.idempotency.claim(key.0, &content.0, &context).await? {
        IdempotencyDecision::Replay(outcome, kid) => {
            let replay = Replay { outcome: &outcome, kid: &kid, key };
            dispatch::replay(request, services, replay).await
        }
        IdempotencyDecision::Execute(claim) => {
            let context = RequestContext { claim: Some(claim), ..context };
            let answer = dispatch::execute(request, services, &context).await;
            if answer.is_err() {
                services.idempotency.release(claim).await;
            }
            answer
        }
    }
}

/// The stored outcome of a completed request, from which its reply is rebuilt.
#[derive(Clone, Copy)]
pub(super) struct Replay<'a> {
    pub(super) outcome: &'a RecordedOutcome,
    /// The name of the server key that the tokens of the reply are signed with.
    kid: &'a str,
    key: IdempotencyKey,
}

impl Replay<'_> {
    /// Returns what the reply states about the code of the recorded verification.
    pub(super) fn code_sent(self, services: &Services) -> UseCaseResult<CodeSent> {
        let id = self.outcome.verification_id.ok_or_else(missing)?;
        Ok(services.users.code_sent(id))
    }

    /// Returns the tokens of the recorded session again, unless it has ended since.
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

/// The canonical encoding of a request without its common tags. Wiped on drop, since it contains
/// passwords.
struct RequestContent(BytesMut);

impl RequestContent {
    fn of(request: &Request<'_>) -> Result<Self, Fault> {
        // Allocated at the largest size, so that it is never reallocated and leaves no copy behind.
        let mut content = Self(BytesMut::with_capacity(MAX_FRAME));
        request.encode(0, &Common::default(), &mut content.0).map_err(Fault::internal)?;
        Ok(content)
    }
}

impl Drop for RequestContent {
    fn drop(&mut self) {
        self.0.as_mut().zeroize();
    }
}
