//! HTTP front end of the user service: answers gateways that ask about each request of an end user,
//! and offers everything that an end user does as JSON.
//! It is a client of the service through `user-proto`, and knows nothing of users or storage.

pub mod api;
pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod cookies;
pub mod demo;
mod endpoints;
pub mod forwarded;
pub mod jwks;
mod listener;
pub mod logs;
pub mod manual;
pub mod metrics;
pub mod monitor;
mod proxy_protocol;
pub mod return_to;
pub mod self_check;
pub mod service_manager;
pub mod tls;
pub mod upstream;
