//! The operators' subcommands: what is done beside serving.

mod check;
mod fsck;
mod keys;

pub use check::{Finding, check};
pub use fsck::{bounds, fsck};
pub use keys::{KeysAction, keys};
