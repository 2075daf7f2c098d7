//! Tests of the wire protocol in one binary: the vectors, PROTOCOL.md, and properties that hold for
//! any bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports a failure by a panic")]

mod allocations;
#[cfg(feature = "client")]
mod client;
mod codes;
mod contract;
mod corpus;
mod document;
mod files;
mod invalid;
mod machine;
mod oracles;
mod properties;
mod samples;
mod secrets;
mod spans;
mod strategies;
mod stream;
mod table;
mod valid;
mod vectors;
#[cfg(feature = "verifier")]
mod verifier;
mod wireshark;
