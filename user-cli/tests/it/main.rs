//! Integration tests of user-cli, as one binary: they run the real program as a user or a script
//! would, against a scripted or a real server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that panics has failed, as it should"
)]

mod accounts;
mod authority;
mod bench;
mod cli;
mod conform;
mod dev_cert;
mod early_ends;
mod errors;
mod fake_server;
mod frames;
mod interrupts;
mod live_server;
mod mistakes;
mod output;
mod profiles;
mod shell;
mod tls;
mod tokens;
mod top;
mod tour;
mod vectors;
mod verify_local;
