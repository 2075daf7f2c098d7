//! Idempotency: a request with an idempotency key is executed once, and repeating the same request
//! returns the same reply. Only a MAC (tag) of the request is stored. The reply is rebuilt from the
//! ids, numbers and times of the recorded outcome.

use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use crate::domain::{
    Clock, Fault, IdempotencyKeys, KeyClaim, KeyState, KeyedRequest, NODE_HEARTBEAT, NODE_TIMEOUT,
    RecordedOutcome, Refusal, RequestContext, UseCaseResult,
};
use crate::keys::KeyRing;

/// First and maximum pause between two polls while another attempt executes the same request.
const POLL_PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(320)];

/// Maximum number of claims of failed requests that wait for the database to be released.
pub const MAX_LATE_RELEASES: usize = 1024;
/// Pause between two attempts to release a claim, and their maximum number.
const RELEASE_PAUSE: Duration = Duration::from_millis(250);
const MAX_RELEASES: u32 = 120;

/// Service that claims idempotency keys, and finds the outcomes of repeated requests.
pub struct Idempotency {
    pub claims: Arc<dyn IdempotencyKeys>,
    /// Id of this node, different in every process.
    pub node: Uuid,
    /// Server keys, with which the tags (MACs) of requests are computed.
    pub keys: Arc<KeyRing>,
    pub clock: Arc<dyn Clock>,
    /// Bounds the number of claims that wait for the database to be released.
    pub late_releases: Arc<Semaphore>,
}

/// Records a heartbeat of a node periodically, forever, so that its claims are not taken over.
pub async fn report_alive(claims: Arc<dyn IdempotencyKeys>, node: Uuid) {
    let mut reports = tokio::time::interval(NODE_HEARTBEAT);
    reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        reports.tick().await;
        // If the database does not answer, other nodes may take over. A change that has lost its
        // claim is rolled back.
        let report = tokio::time::timeout(NODE_TIMEOUT, claims.report_alive(node)).await;
        if let Ok(Err(fault)) = report {
            tracing::debug!(%fault, "cannot report that this node is alive");
        }
    }
}

/// Result of [`Idempotency::claim`].
pub enum IdempotencyDecision {
    /// The request must be executed, with this claim.
    Execute(KeyClaim),
    /// The request has been executed. The reply must be rebuilt from its outcome, with tokens
    /// signed with the server key of this name.
    Replay(Box<RecordedOutcome>, String),
}

impl Idempotency {
    /// Returns true if an idempotency key is claimed, or was used within a day. Writes nothing.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn is_used(&self, key: [u8; 16]) -> Result<bool, Fault> {
        self.claims.key_is_used(Uuid::from_bytes(key), self.clock.now()).await
    }

    /// Claims an idempotency key for a request, or returns the recorded outcome of the same
    /// request. Waits while another attempt executes the same request.
    ///
    /// # Errors
    /// `IdempotencyConflict` if the idempotency key was used for a different request, or if the
    /// server key of its tag is retired or no longer configured.
    pub async fn claim(
        &self,
        key: [u8; 16],
        request: &[u8],
        context: &RequestContext,
    ) -> UseCaseResult<IdempotencyDecision> {
        let signing = self.keys.signing().unwrap_or_else(|| self.keys.configured());
        let now = self.clock.now();
        let keyed = KeyedRequest {
            claim: KeyClaim { key: Uuid::from_bytes(key), holder: Uuid::new_v4() },
            node: self.node,
            kid: signing.kid.clone(),
            tag: signing.request_tag(&[&key, request]),
            until: now.plus(context.deadline.saturating_duration_since(Instant::now())),
        };
        let mut pause = POLL_PAUSES[0];
        loop {
            let state = match self.claims.claim_key(&keyed, self.clock.now()).await {
                Ok(state) => state,
                Err(fault) => {
                    // The claim may have been stored, if only the reply was lost. A repeat of the
                    // request would wait for it.
                    self.release(keyed.claim).await;
                    return Err(fault.into());
                }
            };
            match state {
                KeyState::Claimed => return Ok(IdempotencyDecision::Execute(keyed.claim)),
                KeyState::Used { kid, tag, outcome } => {
                    let same = self.keys.find(&kid).is_some_and(|server_key| {
                        bool::from(server_key.request_tag(&[&key, request]).ct_eq(&tag))
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
            pause = (pause * 2).min(POLL_PAUSES[1]);
        }
    }

    /// Releases the claim of a failed request, so that the idempotency key can be used again. Does
    /// nothing if the claim is completed. If the database does not answer, repeats that in the
    /// background.
    pub async fn release(&self, claim: KeyClaim) {
        if self.claims.release_key(claim).await.is_ok() {
            return;
        }
        // A repeat of the request would wait until the claim expires. The database is probably
        // unavailable, which is why the request has failed.
        let Ok(slot) = self.late_releases.clone().try_acquire_owned() else { return };
        let claims = self.claims.clone();
        tokio::spawn(async move {
            for _ in 0..MAX_RELEASES {
                tokio::time::sleep(RELEASE_PAUSE).await;
                if claims.release_key(claim).await.is_ok() {
                    break;
                }
            }
            drop(slot);
        });
    }
}
