//! Limits of one connection.

use std::time::Duration;

/// Limits of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Maximum number of requests in flight; when it is reached, the server stops reading.
    pub in_flight: usize,
    /// Maximum number of requests in flight that hash a password or wait for it; further ones are
    /// answered `BUSY`.
    pub hashing: usize,
    /// Time from accepting the connection to the end of the first frame.
    pub first_frame: Duration,
    /// Time from the first byte of a frame to its last.
    pub frame: Duration,
    /// Time without a frame and without a request in flight, after which the connection is closed.
    pub idle: Duration,
    /// Maximum time that the client may take to read the bytes that are written to it.
    pub write: Duration,
}
