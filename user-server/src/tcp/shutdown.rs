//! The two stages of a shutdown.

use tokio_util::sync::CancellationToken;

/// The two stages of a shutdown, each a token that is cancelled once. Clones share the tokens.
#[derive(Clone, Default)]
pub struct Shutdown {
    /// Stops accepting connections and requests: clients are notified, and requests in flight are
    /// answered.
    pub drain: CancellationToken,
    /// Closes every remaining connection at once: the grace period is over.
    pub kill: CancellationToken,
}
