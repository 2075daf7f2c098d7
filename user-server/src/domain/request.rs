//! The context of a request: the network that it is charged to, and its deadline.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ChangeContext, ClientNetwork, KeyClaim, Origin, Timestamp};

/// Context of one request.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The network that budgets are charged to, or `None` where a trusted gateway named none.
    pub network: Option<ClientNetwork>,
    /// The time after which the client no longer waits for the reply.
    pub deadline: Instant,
    /// Cancelled when the client's connection has closed.
    pub gone: CancellationToken,
    /// The claim on the idempotency key that the request was sent with.
    pub claim: Option<KeyClaim>,
}

impl RequestContext {
    /// Returns the context of a change that this request makes at `at`.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> ChangeContext {
        ChangeContext { at, origin: Origin::Client(self.network), claim: self.claim }
    }
}
