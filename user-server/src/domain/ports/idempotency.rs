//! What a request under an idempotency key needs of the store. The change itself completes the
//! claim that it carries.

use async_trait::async_trait;

use crate::domain::records::{KeyClaim, KeyStanding, KeyedRequest};
use crate::domain::{Fault, Timestamp};

/// Idempotency keys.
#[async_trait]
pub trait IdempotencyKeys: Send + Sync {
    /// Claims a key that is free, whose claim has run out, or whose use was forgotten; else what it
    /// stands for.
    async fn claim_key(&self, request: &KeyedRequest, now: Timestamp)
    -> Result<KeyStanding, Fault>;
    /// Gives a claim back of which nothing came.
    async fn release_key(&self, claim: KeyClaim) -> Result<(), Fault>;
}
