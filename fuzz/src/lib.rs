//! What the fuzz targets call: the oracles that the tests of `user-proto` and `user-server` hold
//! too, which also replay `corpus/`.

use std::sync::OnceLock;

// Public, since the tests use more of it than the target does.
#[path = "../../user-server/tests/it/both_ways.rs"]
pub mod both_ways;
#[path = "../../user-proto/tests/it/oracles.rs"]
mod oracles;
#[path = "../../user-server/tests/it/oracle.rs"]
mod session;

/// A stream of frames, in any chunking.
///
/// # Panics
/// On a finding.
pub fn frames(data: &[u8]) {
    oracles::frames(data);
}

/// A body as a message of each direction.
///
/// # Panics
/// On a finding.
pub fn messages(data: &[u8]) {
    oracles::messages(data);
}

/// A session with the server's own parts, on a database that all inputs of a run share.
///
/// # Panics
/// On a finding.
pub fn session(data: &[u8]) {
    static ARENA: OnceLock<session::Arena> = OnceLock::new();
    ARENA.get_or_init(session::Arena::new).session(data);
}

/// Verifies an access token with both verifiers.
///
/// # Panics
/// On a finding.
pub fn tokens(data: &[u8]) {
    static ARENA: OnceLock<both_ways::Arena> = OnceLock::new();
    ARENA.get_or_init(both_ways::Arena::new).token(data);
}
