//! The TCP server: its listener, connections, limits and shutdown. It knows sockets and frames, but
//! no users.

mod connection;
mod context;
mod counters;
mod handshakes;
mod in_flight;
mod limiter;
mod limits;
mod peers;
mod read_buffer;
mod ready;
mod refusals;
mod request_limiter;
mod server;
mod shutdown;
mod unnamed;
mod watch;
mod write_buffer;

pub use connection::serve;
pub use context::ConnectionContext;
pub use counters::request_labels;
pub use limiter::MaxConnections;
pub use limits::ConnectionLimits;
pub use peers::TrustedPeers;
pub use ready::ping;
pub use refusals::RefusalLimiter;
pub use request_limiter::{RequestLimiter, RequestLimits};
pub use server::{Server, listen};
pub use shutdown::Shutdown;
pub use unnamed::UnnamedRequests;
