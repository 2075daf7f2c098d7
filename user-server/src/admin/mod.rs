//! The operators' commands: everything that the binary does besides serving.

mod audit;
mod backup;
mod calibrate;
mod check;
mod command;
mod database;
mod export;
mod formula;
mod fsck;
mod import;
mod keys;
mod mail_check;
mod migrate;
mod operator;
mod ready;
mod restore;
mod status;
mod timestamps;
mod user;

pub use audit::{AuditArgs, audit};
pub use backup::{BackupArgs, backup};
pub use calibrate::{calibrate, floor_rate};
pub use check::{Finding, Level, check};
pub use command::{CommandError, CommandResult};
pub use database::named;
pub use export::{ExportArgs, export};
pub use fsck::{bounds, fsck, invariant_json};
pub use import::{ImportArgs, import};
pub use keys::{KeysCommand, keys, new_key};
pub use migrate::{MigrateArgs, migrate};
pub use operator::Operator;
pub use ready::ready;
pub use restore::{RestoreArgs, restore};
pub use status::{StatusArgs, status};
pub use user::{UserArgs, user};
