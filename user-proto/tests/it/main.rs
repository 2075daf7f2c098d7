//! The tests of the wire, as one binary: the vectors, `PROTOCOL.md`, and what has to hold for any
//! bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that panics has failed, as it should"
)]

mod allocations;
#[cfg(feature = "client")]
mod client;
mod codes;
mod contract;
mod corpus;
mod document;
mod files;
mod invalid;
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
