//! Idempotency: a change under a client's key happens once, and whoever asks again with the same
//! request gets the same reply. What a request said is kept as a tag under a subkey; its reply is
//! made again from ids, numbers and times.

use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::{
    Clock, IdempotencyKeys, KeyClaim, KeyState, KeyedRequest, RecordedOutcome, Refusal,
    RequestContext, UseCaseResult,
};
use crate::keys::KeyRing;

/// How soon somebody who waits for another to finish looks again, at first and at most.
const LOOKS: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(320)];

/// Who may do what a key stands for.
pub struct Idempotency {
    /// Where the keys are.
    pub uses: Arc<dyn IdempotencyKeys>,
    /// What the tags are made with.
    pub keys: Arc<KeyRing>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What is to be done with a request.
pub enum IdempotencyDecision {
    /// Do it, under this claim.
    Execute(KeyClaim),
    /// It is done; make the reply again, with tokens under the key of this name.
    Replay(Box<RecordedOutcome>, String),
}

impl Idempotency {
    /// Claims a key for a request, or finds what came of it. Where the same request is under way,
    /// it waits for its end.
    ///
    /// # Errors
    /// `IdempotencyConflict` where the key stands for another request, or for one that no key of
    /// the server knows again.
    pub async fn claim(
        &self,
        key: [u8; 16],
        request: &[u8],
        context: &RequestContext,
    ) -> UseCaseResult<IdempotencyDecision> {
        let signing = self.keys.signing().unwrap_or_else(|| self.keys.configured());
        let now = self.clock.now();
        let wish = KeyedRequest {
            claim: KeyClaim { key: Uuid::from_bytes(key), holder: Uuid::new_v4() },
            kid: signing.kid.clone(),
            tag: signing.request_tag(&[&key, request]),
            until: now.plus(context.deadline.saturating_duration_since(Instant::now())),
        };
        let mut pause = LOOKS[0];
        loop {
            match self.uses.claim_key(&wish, self.clock.now()).await? {
                KeyState::Claimed => return Ok(IdempotencyDecision::Execute(wish.claim)),
                KeyState::Used { kid, tag, outcome } => {
                    let same = self.keys.find(&kid).is_some_and(|its| {
                        bool::from(its.request_tag(&[&key, request]).ct_eq(&tag))
                    });
                    match outcome {
                        _ if !same => return Err(Refusal::IdempotencyConflict.into()),
                        Some(outcome) => {
                            return Ok(IdempotencyDecision::Replay(Box::new(outcome), kid));
                        }
                        None => tokio::time::sleep(pause).await,
                    }
                }
            }
            pause = (pause * 2).min(LOOKS[1]);
        }
    }

    /// Gives a claim back of which nothing came, so that the key is free. What was done after all
    /// stays done.
    pub async fn release(&self, claim: KeyClaim) {
        if let Err(fault) = self.uses.release_key(claim).await {
            // It runs out by itself.
            tracing::warn!(%fault, "a claim on an idempotency key was not given back");
        }
    }
}
