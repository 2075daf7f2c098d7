//! Integration tests of user-http, as one binary: the real program in front of a live service, and
//! behind real proxies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that panics has failed, as it should"
)]

mod api;
mod behind;
mod browser;
mod check;
mod chromium;
mod demo;
mod docs;
mod documents;
mod hostile;
mod http;
mod in_memory;
mod limits;
mod nodes;
mod operations;
mod packaging;
mod program;
mod proxies;
mod scripted;
mod service;
