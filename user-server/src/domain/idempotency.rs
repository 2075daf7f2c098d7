//! Idempotency keys: a request with a key is executed only once, and repeats of the request get the
//! recorded outcome.

use std::time::Duration;

use uuid::Uuid;

use super::{SessionRecord, Timestamp};

/// Interval between two heartbeats of a node.
pub const NODE_HEARTBEAT: Duration = Duration::from_millis(500);
/// Time without a heartbeat after which a node counts as dead.
pub const NODE_TIMEOUT: Duration = Duration::from_secs(2);

/// Claim on an idempotency key: the right of one attempt to execute the request. The change that
/// the request makes completes the claim in the same transaction, and fails if the claim was lost
/// to another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyClaim {
    /// Idempotency key that the client sent.
    pub key: Uuid,
    /// Id of the attempt that has the claim.
    pub holder: Uuid,
}

/// Request to execute with an idempotency key, represented by a MAC.
#[derive(Debug, Clone)]
pub struct KeyedRequest {
    pub claim: KeyClaim,
    /// Id of the node that executes the request.
    pub node: Uuid,
    /// Name of the server key that `tag` was made with.
    pub kid: String,
    /// MAC over the whole request, which a repeat must match.
    pub tag: [u8; 32],
    /// Time at which the claim expires if the request is not completed.
    pub until: Timestamp,
}

/// State of an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// This attempt now has the claim, and must execute the request.
    Claimed,
    /// Another attempt has claimed or completed the key.
    Used {
        /// Name of the server key that `tag` was made with.
        kid: String,
        /// MAC over the request that the key was used for.
        tag: [u8; 32],
        /// Recorded outcome, or `None` while the request is being executed.
        outcome: Option<RecordedOutcome>,
    },
}

/// Outcome of a change, from which the reply to the request can be rebuilt. It contains no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedOutcome {
    pub at: Timestamp,
    pub user_id: Option<Uuid>,
    /// Verification that the change started or continued, if any.
    pub verification_id: Option<Uuid>,
    /// Session that the change opened or refreshed, as it was right afterwards, if any.
    pub session: Option<SessionRecord>,
    pub sessions_ended: u32,
}

impl RecordedOutcome {
    /// Creates an outcome that contains only the time of the change.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self { at, user_id: None, verification_id: None, session: None, sessions_ended: 0 }
    }

    #[must_use]
    pub fn user(self, id: Uuid) -> Self {
        Self { user_id: Some(id), ..self }
    }

    #[must_use]
    pub fn verification(self, id: Option<Uuid>) -> Self {
        Self { verification_id: id, ..self }
    }

    #[must_use]
    pub fn session(self, session: SessionRecord) -> Self {
        Self { session: Some(session), ..self }
    }
}

port! {
    ($)
    /// Idempotency keys, the claims on them, and the recorded outcomes.
    IdempotencyKeys, idempotency_keys_port {
        /// Announces a node before it serves requests. If only one node can use the database, this
        /// also releases all claims, since the node that made them is dead.
        fn start_node(node: Uuid) -> ();
        /// Records a heartbeat of a node. The claims of a node without a heartbeat for longer than
        /// [`NODE_TIMEOUT`] can be taken over.
        fn report_alive(node: Uuid) -> ();
        /// Returns true if a key is claimed or used, without claiming it.
        fn key_is_used(key: Uuid, now: Timestamp) -> bool;
        /// Claims a key that is unused, expired or released, or that a dead node has claimed for
        /// the same request. Otherwise returns [`KeyState::Used`].
        fn claim_key(request: &KeyedRequest, now: Timestamp) -> KeyState;
        /// Releases a claim after its request failed without a change, so that the key can be used
        /// again.
        fn release_key(claim: KeyClaim) -> ();
        /// Records the outcome of a claim after its request succeeded without a change, such as a
        /// repeated refresh.
        fn complete_key(claim: KeyClaim, outcome: &RecordedOutcome) -> ();
    }
}
