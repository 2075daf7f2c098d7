//! The functions that the fuzz targets call. The tests of `user-proto` and `user-server` call the
//! same functions, and also replay `corpus/`.

use std::sync::OnceLock;

// Public, because the target does not use every item of the module.
#[path = "../../user-server/tests/it/both_ways.rs"]
pub mod both_ways;
#[path = "../../user-proto/tests/it/oracles.rs"]
mod oracles;
#[path = "../../user-server/tests/it/oracle.rs"]
mod session;

/// Checks the frame decoder with a stream in several chunkings.
///
/// # Panics
/// Panics on a finding.
pub fn frames(data: &[u8]) {
    oracles::frames(data);
}

/// Checks the message decoders of both directions. The first byte is the type, the others are the
/// body.
///
/// # Panics
/// Panics on a finding.
pub fn messages(data: &[u8]) {
    oracles::messages(data);
}

/// Checks a connection to a server. All inputs of a run share one database.
///
/// # Panics
/// Panics on a finding.
pub fn session(data: &[u8]) {
    static ARENA: OnceLock<session::Arena> = OnceLock::new();
    ARENA.get_or_init(session::Arena::new).session(data);
}

/// Verifies an access token with both verifiers.
///
/// # Panics
/// Panics on a finding.
pub fn tokens(data: &[u8]) {
    static ARENA: OnceLock<both_ways::Arena> = OnceLock::new();
    ARENA.get_or_init(both_ways::Arena::new).token(data);
}
