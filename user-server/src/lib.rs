//! The user service, room by room; ARCHITECTURE.md has the map.
//!
//! It is a library so that tests and fuzz targets can run the very thing that the binary runs.

pub mod admin;
pub mod audit;
pub mod cache;
pub mod config;
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
pub mod service;
pub mod store;
pub mod tcp;
pub mod throttle;
pub mod tls;
pub mod tokens;
pub mod users;
