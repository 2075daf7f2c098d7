//! The numbers of the wire. They are part of the protocol: changing one is a change of PROTOCOL.md.

/// Bytes of the length field that starts every frame.
pub const LENGTH_FIELD: usize = 4;
/// The smallest length: a type (1 byte) and a request id (4 bytes).
pub const MIN_LENGTH: usize = 5;
/// The largest length. Every frame therefore starts with two zero bytes.
pub const MAX_LENGTH: usize = 65_535;
/// Bytes of the longest frame, its length field included.
pub const MAX_FRAME: usize = LENGTH_FIELD + MAX_LENGTH;
/// The bit that makes a reply's type out of its request's.
pub const REPLY_BIT: u8 = 0x80;
/// The largest instant: 2^53 - 1 seconds, the largest integer that JavaScript holds exactly.
pub const MAX_INSTANT: u64 = (1 << 53) - 1;
/// The request id that stands for the connection itself. Only the server uses it.
pub const CONNECTION_ID: u32 = 0;

/// Requests in flight on one connection, by default; a server tells its own number in `Pong`.
pub const DEFAULT_MAX_IN_FLIGHT: u32 = 256;
/// Seconds without a frame after which a server closes a connection, by default; `Pong` tells the
/// real number.
pub const DEFAULT_IDLE_TIMEOUT: u32 = 300;
/// Seconds of silence after which a client pings.
pub const PING_AFTER: u32 = 60;
/// The deadline of a request that names none, in milliseconds.
pub const DEFAULT_DEADLINE_MS: u32 = 10_000;
/// The longest deadline, in milliseconds; a longer one counts as this.
pub const MAX_DEADLINE_MS: u32 = 30_000;
/// Bytes of the longest text of an error reply.
pub const MAX_ERROR_MESSAGE: usize = 512;
