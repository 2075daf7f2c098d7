//! What a caller may set.

use std::sync::Arc;
use std::time::Duration;

use crate::limits;

/// How a [`Client`](crate::client::Client) behaves. The defaults are those of PROTOCOL.md.
#[derive(Clone)]
pub struct Config {
    /// The deadline of calls that name none. It is sent to the server; where it is `None`, the
    /// server's default of 10 s counts on both sides.
    pub deadline: Option<Duration>,
    /// How long one attempt to connect may take, its handshake included.
    pub connect_within: Duration,
    /// Whether a call that finds no server waits for one while its deadline lasts. Otherwise it
    /// fails at once, which suits a person better than a gateway.
    pub wait_for_server: bool,
    /// The wait before the second attempt to connect. It doubles from there, and each wait is
    /// shortened by up to half at random, so that clients that lost their server together do not
    /// come back together.
    pub backoff_first: Duration,
    /// The longest wait between two attempts to connect.
    pub backoff_longest: Duration,
    /// The silence after which the connection is tried with a ping. Half of the server's idle
    /// time-out counts where that is known and shorter.
    pub ping_after: Duration,
    /// The same where a reply is awaited: a server that has stopped, or is cut off, is left soon,
    /// and calls go on with another.
    pub ping_awaiting_after: Duration,
    /// How long a ping may go unanswered before the connection counts as lost.
    pub pong_within: Duration,
    /// TLS, and whom it trusts; none where it is `None`.
    #[cfg(feature = "tls")]
    pub tls: Option<super::tls::Tls>,
    /// Who sees every frame. Frames hold passwords and tokens.
    pub tap: Option<Tap>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            deadline: None,
            connect_within: Duration::from_secs(5),
            wait_for_server: true,
            backoff_first: Duration::from_millis(100),
            backoff_longest: Duration::from_secs(5),
            ping_after: Duration::from_secs(limits::PING_AFTER.into()),
            ping_awaiting_after: Duration::from_secs(2),
            pong_within: Duration::from_secs(10),
            #[cfg(feature = "tls")]
            tls: None,
            tap: None,
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("deadline", &self.deadline)
            .field("wait_for_server", &self.wait_for_server)
            .field("tap", &self.tap.is_some())
            .finish_non_exhaustive()
    }
}

/// Is shown each frame, its length field included, just before it is written or just after it was
/// read.
pub type Tap = Arc<dyn Fn(Direction, &[u8]) + Send + Sync>;

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Sent,
    /// From the server.
    Received,
}
