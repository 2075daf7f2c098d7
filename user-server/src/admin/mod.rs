//! The operators' subcommands: what is done beside serving.

mod audit;
mod backup;
mod calibrate;
mod check;
mod database;
mod export;
mod fsck;
mod import;
mod instant;
mod keys;
mod operator;
mod restore;
mod user;

pub use audit::{AuditArgs, audit};
pub use backup::{BackupArgs, backup};
pub use calibrate::{calibrate, floor_rate};
pub use check::{Finding, check};
pub use export::{ExportArgs, export};
pub use fsck::{bounds, fsck};
pub use import::{ImportArgs, import};
pub use keys::{KeysAction, keys};
pub use restore::{RestoreArgs, restore};
pub use user::{UserArgs, user};

/// What a subcommand ends with: an exit code, or why there is no result.
pub type Done = Result<u8, Box<dyn std::error::Error>>;
