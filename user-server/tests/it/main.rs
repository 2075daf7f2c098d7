//! The service as its users meet it: a live server on a free port, real files, and the binary itself.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod http;
mod support;
mod tour;
