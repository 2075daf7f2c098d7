//! The functions that the fuzz targets call. The tests of `user-proto` and `user-server` call the
//! same functions, and also replay `corpus/`.

use std::sync::OnceLock;

use user_server::keys::TokenAlgorithm;

// Public, because the target does not use every item of the module.
#[path = "../../user-server/tests/it/connection_oracle.rs"]
mod connection_oracle;
#[path = "../../user-proto/tests/it/oracles.rs"]
mod oracles;
#[path = "../../user-server/tests/it/token_oracle.rs"]
pub mod token_oracle;

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
    static ORACLE: OnceLock<connection_oracle::ConnectionOracle> = OnceLock::new();
    ORACLE.get_or_init(connection_oracle::ConnectionOracle::new).check(data);
}

/// Verifies an access token with both verifiers. The first byte selects the algorithm, and how the
/// others change a valid token.
///
/// # Panics
/// Panics on a finding.
pub fn tokens(data: &[u8]) {
    static ORACLES: OnceLock<[token_oracle::TokenOracle; 3]> = OnceLock::new();
    let oracles = ORACLES.get_or_init(|| TokenAlgorithm::ALL.map(token_oracle::TokenOracle::new));
    let algorithm = data.first().map_or(0, |mode| usize::from(mode / 8) % oracles.len());
    oracles[algorithm].check(data);
}
