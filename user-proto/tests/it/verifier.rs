//! The verifier against a scripted service over real connections.

mod alike;
mod cost;
mod entries;
mod faults;
mod history;
mod hostile;
mod keys;
mod recorded;
mod service;
mod signer;
mod vectors;
