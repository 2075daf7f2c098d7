//! The TCP server: a listener, its connections, their limits and their end. It knows sockets and
//! frames, and no user.

mod connection;
mod counters;
mod handshakes;
mod in_flight;
mod limiter;
mod peers;
mod read_buffer;
mod server;
mod write_buffer;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use connection::{ConnectionContext, serve};
pub use counters::names;
pub use limiter::MaxConnections;
pub use peers::TrustedPeers;
pub use server::{Server, listen};

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Requests in flight; then the server stops reading.
    pub in_flight: usize,
    /// Of them, those that hash or wait to; then the server answers `BUSY`.
    pub hashing: usize,
    /// From the accept to the end of the first frame.
    pub first_frame: Duration,
    /// From the first byte of a frame to its last.
    pub frame: Duration,
    /// Without a frame, and with none in flight.
    pub idle: Duration,
    /// For the peer to read what is written.
    pub write: Duration,
}

/// How the server ends: each stage once.
#[derive(Clone, Default)]
pub struct Shutdown {
    /// Nothing new: connections are told, requests in flight are answered.
    pub drain: CancellationToken,
    /// The grace is over: connections end as they are.
    pub kill: CancellationToken,
}
