//! The context of a request: the network of the client, the deadline, and the idempotency claim.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ChangeContext, ClientNetwork, KeyClaim, Origin, Timestamp};

/// Network, deadline and idempotency claim of one request.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Network of the end user, which rate limits apply to, or `None` if a trusted gateway did not
    /// state it.
    pub network: Option<ClientNetwork>,
    /// Time after which the client no longer waits for the reply.
    pub deadline: Instant,
    /// Token that is cancelled when the client's connection closes.
    pub gone: CancellationToken,
    /// Claim on the idempotency key of the request, or `None` if it was sent without one.
    pub claim: Option<KeyClaim>,
}

impl RequestContext {
    /// Creates the context of a change that this request makes at the time `at`.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> ChangeContext {
        ChangeContext { at, origin: Origin::Client(self.network), claim: self.claim }
    }
}
