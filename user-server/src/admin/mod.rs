//! The operators' subcommands: what is done beside serving.

mod check;

pub use check::{Finding, check};
