//! The modules of the user service; ARCHITECTURE.md describes them and their dependencies.
//!
//! They are a library so that tests and fuzz targets run the same code as the binary.

pub mod admin;
pub mod audit;
pub mod cache;
pub mod config;
// With the list of methods of each port, for `store`.
#[macro_use]
pub mod domain;
pub mod handler;
pub mod http;
pub mod idempotency;
pub mod keys;
pub mod mail;
pub mod metrics;
pub mod otp;
pub mod outbox;
pub mod password;
pub mod process;
pub mod service;
pub mod store;
pub mod tcp;
pub mod throttle;
pub mod tls;
pub mod tokens;
pub mod users;
