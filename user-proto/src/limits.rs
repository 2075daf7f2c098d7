//! Sizes, numbers and times that are part of the protocol. Changing one requires a change to
//! PROTOCOL.md.

/// Size in bytes of the length field at the start of a frame.
pub const LENGTH_FIELD: usize = 4;
/// Smallest value of the length field: a type (1 byte) and a request id (4 bytes).
pub const MIN_LENGTH: usize = 5;
/// Largest value of the length field. It fits 16 bits, so every frame starts with two zero bytes.
pub const MAX_LENGTH: usize = 65_535;
/// Size in bytes of the longest frame, including its length field.
pub const MAX_FRAME: usize = LENGTH_FIELD + MAX_LENGTH;
/// Bit that distinguishes the type of a reply from the type of its request.
pub const REPLY_BIT: u8 = 0x80;
/// Largest instant, in seconds or milliseconds: 2^53 - 1, the largest integer that JavaScript
/// represents exactly.
pub const MAX_INSTANT: u64 = (1 << 53) - 1;
/// Types of the requests that a server answers only to peers that its operator trusts.
pub const TRUSTED_TYPES: std::ops::RangeInclusive<u8> = 0x20..=0x2F;
/// Request id of errors that concern the connection itself. Only the server sends it.
pub const CONNECTION_ID: u32 = 0;

/// Default limit of requests in flight on one connection. `Pong` carries the server's own value.
pub const DEFAULT_MAX_IN_FLIGHT: u32 = 256;
/// Default limit of requests in flight on one connection that hash a password. `Pong` carries the
/// server's own value.
pub const DEFAULT_MAX_HASHING: u32 = 32;
/// Default time in seconds without a frame after which a server closes a connection. `Pong` carries
/// the server's own value.
pub const DEFAULT_IDLE_TIMEOUT: u32 = 300;
/// Time in seconds without a frame after which a client sends a `Ping`.
pub const PING_AFTER: u32 = 60;
/// Deadline in milliseconds of a request without a `deadline_ms` tag.
pub const DEFAULT_DEADLINE_MS: u32 = 10_000;
/// Longest deadline in milliseconds. A longer one is reduced to this value.
pub const MAX_DEADLINE_MS: u32 = 30_000;
/// Longest wait in milliseconds of a `WatchRevocations`. A longer one is reduced to this value.
pub const MAX_WAIT_MS: u32 = 5_000;
/// Maximum size in bytes of the message text of an error reply.
pub const MAX_ERROR_MESSAGE: usize = 512;
/// Longest lifetime in seconds of an access token.
pub const MAX_ACCESS_LIFE: u32 = 60 * 60;
/// Maximum length in bytes of a `kid`. A service makes kids of at most 43 bytes.
pub const MAX_KID: usize = 256;
