//! The operators' subcommands: what is done beside serving.

mod calibrate;
mod check;

pub use calibrate::{calibrate, floor_rate};
pub use check::{Finding, check};
