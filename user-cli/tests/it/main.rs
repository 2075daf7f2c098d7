//! The tests of user-cli, as one binary: the real program, run as a person or a script would,
//! against a server that follows a script.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that panics has failed, as it should"
)]

mod accounts;
mod authority;
mod bench;
mod cli;
mod ends;
mod errors;
mod fake;
mod frames;
mod live;
mod shell;
mod tls;
mod tokens;
mod top;
mod tour;
mod vectors;
