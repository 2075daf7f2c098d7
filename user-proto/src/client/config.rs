//! The configuration of a client.

use std::sync::Arc;
use std::time::Duration;

use crate::limits;

/// Configuration of a [`Client`](crate::client::Client). The defaults are those of PROTOCOL.md.
#[derive(Clone)]
pub struct Config {
    /// Deadline of calls that do not set their own. The client sends it to the server. With `None`,
    /// the default of 10 s applies on both sides.
    pub deadline: Option<Duration>,
    /// Time limit for one attempt to connect, including the TLS handshake.
    pub connect_timeout: Duration,
    /// If `true`, a call waits until its deadline for a server that is not reachable. If `false`,
    /// it fails at once, which suits an interactive tool better than a gateway; also if another
    /// program answers there, or after three connections that were lost without any answer.
    pub wait_for_server: bool,
    /// Number of times that a request is sent in total if the server answers `BUSY`, or another
    /// error after which the client library repeats a request. Between them, the client waits as
    /// long as the server asks for. With 1, it passes the error on at once.
    pub busy_attempts: u32,
    /// Wait before the second attempt to connect. The wait doubles with every further attempt, and
    /// is reduced at random by up to half, so that many clients do not reconnect at the same time.
    pub initial_backoff: Duration,
    /// Longest wait between two attempts to connect.
    pub max_backoff: Duration,
    /// Time without a received frame after which the client sends a ping. Half of the server's idle
    /// timeout applies instead if it is known and shorter.
    pub ping_after: Duration,
    /// Time without a received frame after which the client sends a ping while a reply is pending.
    /// Shorter than `ping_after`, so that calls soon move to another server if one stops
    /// responding.
    pub ping_pending_after: Duration,
    /// Time limit for the reply to a ping, after which the connection is considered lost.
    pub pong_timeout: Duration,
    /// TLS configuration; `None` connects without TLS.
    #[cfg(feature = "tls")]
    pub tls: Option<super::tls::Tls>,
    /// If `true`, secrets are also sent without TLS to an address that is not loopback. If `false`,
    /// such a call fails with [`Error::PlaintextRefused`](super::Error::PlaintextRefused).
    pub allow_plaintext: bool,
    /// Function that is called with every frame. Frames contain passwords and tokens.
    pub tap: Option<Tap>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            deadline: None,
            connect_timeout: Duration::from_secs(5),
            wait_for_server: true,
            busy_attempts: 3,
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            ping_after: Duration::from_secs(limits::PING_AFTER.into()),
            ping_pending_after: Duration::from_secs(2),
            pong_timeout: Duration::from_secs(10),
            #[cfg(feature = "tls")]
            tls: None,
            allow_plaintext: false,
            tap: None,
        }
    }
}

impl Config {
    /// Returns `true` if the connection is encrypted.
    pub(super) fn uses_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        return false;
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("deadline", &self.deadline)
            .field("wait_for_server", &self.wait_for_server)
            .field("allow_plaintext", &self.allow_plaintext)
            .field("tap", &self.tap.is_some())
            .finish_non_exhaustive()
    }
}

/// Function that receives each frame, including its length field, just before it is written or just
/// after it was read.
pub type Tap = Arc<dyn Fn(Direction, &[u8]) + Send + Sync>;

/// Direction of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Sent,
    /// From the server to the client.
    Received,
}
