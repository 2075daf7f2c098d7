//! What the fuzz targets call: the oracles that the tests of `user-proto` hold too, which also replay `corpus/`.

#[path = "../../user-proto/tests/it/oracles.rs"]
mod oracles;

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
