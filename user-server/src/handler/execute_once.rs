//! Execution of a change under an idempotency key: only once, however often it is requested.

use bytes::BytesMut;
use tokio::time::Instant;
use user_proto::limits::MAX_FRAME;
use user_proto::{Common, IdempotencyKey, Reply, Request};
use zeroize::Zeroize;

use super::replay::Replay;
use super::{Services, dispatch};
use crate::domain::{Failure, Fault, RequestContext, UseCaseResult};
use crate::idempotency::IdempotencyDecision;

/// Executes a request under its idempotency key, or replays the recorded outcome if it was executed
/// before. A request that can only fail claims no key.
pub(super) async fn execute(
    services: &Services,
    key: IdempotencyKey,
    request: Request<'_>,
    context: RequestContext,
) -> UseCaseResult<Reply<'static>> {
    if let Err(failure) = dispatch::precheck(&request, services, &context).await
        && !may_replay(services, key, &failure, &context).await?
    {
        return Err(failure);
    }
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

/// Returns true if a request that can only fail now may have been executed before, under its
/// idempotency key: it may have ended its own session, for example.
async fn may_replay(
    services: &Services,
    key: IdempotencyKey,
    failure: &Failure,
    context: &RequestContext,
) -> UseCaseResult<bool> {
    if let Failure::Fault(_) = failure {
        return Ok(false);
    }
    let unknown_ids = &services.users.throttle.unknown_ids;
    let charge = unknown_ids.charge(context.network, Instant::now())?;
    let is_used = services.idempotency.is_used(key.0).await?;
    if is_used {
        unknown_ids.refund(context.network, charge, Instant::now());
    }
    Ok(is_used)
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
