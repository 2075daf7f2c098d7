//! The operators' subcommands: what is done beside serving.

mod check;
mod fsck;

pub use check::{Finding, check};
pub use fsck::{bounds, fsck};
