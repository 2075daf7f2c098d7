//! The service as its users meet it: a live server on a free port, real files, and the binary itself.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod accounts;
mod audit;
mod backups;
mod both_ways;
mod cache;
mod connection;
mod contract;
mod crash;
mod docs;
mod document;
mod durability;
mod faults;
mod frames;
mod fsck;
mod gateway;
mod http;
mod idempotency;
mod imports;
mod model;
mod nodes;
mod operators;
mod oracle;
mod plans;
mod postgres;
mod prehijack;
mod process;
mod races;
mod session;
mod smtp;
mod support;
mod tls;
mod tokens;
mod tour;
mod vectors;
mod walls;
