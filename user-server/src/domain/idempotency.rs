//! Idempotency keys: which attempt executes the request of a key, and the outcome that repeats of
//! the request get.

use std::time::Duration;

use uuid::Uuid;

use super::{SessionRecord, Timestamp};

/// Interval at which a node reports that it is alive.
pub const NODE_HEARTBEAT: Duration = Duration::from_millis(500);
/// Time without a report after which a node counts as dead.
pub const NODE_TIMEOUT: Duration = Duration::from_secs(2);

/// A claim on an idempotency key: the right to execute its request. The change that completes the
/// request completes the claim in the same transaction, and fails if the claim is no longer held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyClaim {
    /// The key that the client sent.
    pub key: Uuid,
    /// The id of this attempt.
    pub holder: Uuid,
}

/// A request to execute under an idempotency key.
#[derive(Debug, Clone)]
pub struct KeyedRequest {
    pub claim: KeyClaim,
    /// The id of the node that executes it.
    pub node: Uuid,
    /// The name of the server key that the tag is made with.
    pub kid: String,
    /// A MAC over the whole request, which a repeat must match.
    pub tag: [u8; 32],
    /// The time at which the claim ends if the request is not completed.
    pub until: Timestamp,
}

/// State of an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// This attempt holds the claim.
    Claimed,
    /// Another attempt holds or has completed it.
    Used {
        /// The name of the server key that the tag is made with.
        kid: String,
        /// The MAC over the request that the key was used for.
        tag: [u8; 32],
        /// The outcome, or `None` while the request is being executed.
        outcome: Option<RecordedOutcome>,
    },
}

/// The outcome of a change, from which its reply can be rebuilt. It contains no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedOutcome {
    pub at: Timestamp,
    pub user_id: Option<Uuid>,
    /// The verification that was started or continued.
    pub verification_id: Option<Uuid>,
    /// The session that was opened or refreshed, as it was then.
    pub session: Option<SessionRecord>,
    pub sessions_ended: u32,
}

impl RecordedOutcome {
    /// Returns an outcome with only a time.
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
    /// Idempotency keys.
    IdempotencyKeys, idempotency_keys_port {
        /// Announces a node, before it serves requests. On a database that only one node uses, this
        /// releases every claim, since the node that held them is dead.
        fn start_node(node: Uuid) -> ();
        /// Reports that a node is alive. The claims of a node that has not reported for longer than
        /// [`NODE_TIMEOUT`] can be taken over.
        fn report_alive(node: Uuid) -> ();
        /// Claims a key that is unused, expired or released, or that a dead node has claimed for
        /// the same request. Otherwise returns its state.
        fn claim_key(request: &KeyedRequest, now: Timestamp) -> KeyState;
        /// Releases a claim after its request failed without a change.
        fn release_key(claim: KeyClaim) -> ();
        /// Completes a claim after its request succeeded without a change, such as a repeated
        /// refresh.
        fn complete_key(claim: KeyClaim, outcome: &RecordedOutcome) -> ();
    }
}
