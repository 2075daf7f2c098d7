//! The operators' subcommands: what is done beside serving.

mod calibrate;
mod check;
mod fsck;

pub use calibrate::{calibrate, floor_rate};
pub use check::{Finding, check};
pub use fsck::{bounds, fsck};
