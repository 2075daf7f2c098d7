//! The load generator. It writes frames to the sockets itself instead of using user-proto's client:
//! requests are written in batches, and one thread drives many connections.

pub(crate) mod accounts;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod counters;
pub(crate) mod cpu;
pub(crate) mod engine;
pub(crate) mod interrupt;
pub(crate) mod mail_dir;
pub(crate) mod mix;
pub(crate) mod peer;
pub(crate) mod plot;
pub(crate) mod prepare;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod schedule;
pub(crate) mod summary;
pub(crate) mod user_service;
