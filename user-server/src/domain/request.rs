//! The context of a request: the network of the client, the deadline, and the idempotency claim.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ChangeContext, ClientNetwork, KeyClaim, NetworkPrefix, Origin, Timestamp};

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

tokio::task_local! {
    static CURRENT: Requester;
}

/// Party that a task works for. A resource that requests wait for is shared fairly between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Requester {
    /// The service itself, in a background task.
    Service,
    /// The end users in a network, for IPv6 in a /48; `None` if it is not known.
    EndUsers(Option<NetworkPrefix>),
}

impl Requester {
    /// Returns the requester of requests from a network.
    #[must_use]
    pub fn of(network: Option<ClientNetwork>) -> Self {
        Self::EndUsers(network.and_then(|network| network.prefixes().last()))
    }

    /// Returns the requester that the current task works for.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.try_with(|requester| *requester).unwrap_or(Self::Service)
    }

    /// Runs `work` for this requester.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }
}
