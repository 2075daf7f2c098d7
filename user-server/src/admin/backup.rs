//! The command `backup`: copies the embedded database and the secret of the data folder to one
//! file. A server may run at the same time.

use std::io::Write;
use std::path::PathBuf;

use super::command::{CommandError, CommandResult};
use super::database;
use crate::config::Config;
use crate::domain::{Clock, SystemClock};
use crate::store::SqliteStore;

#[derive(clap::Args)]
pub struct BackupArgs {
    /// File to write; it must not exist
    file: PathBuf,
}

/// Runs `user-server backup`.
///
/// # Errors
/// If there is no embedded database, or the copy could not be made and checked.
pub async fn backup(config: &Config, args: BackupArgs) -> CommandResult {
    if config.postgres.is_some() {
        return Err(CommandError::new(
            "`backup` copies the embedded database, but PostgreSQL is set",
        )
        .hint("Copy PostgreSQL with pg_dump, as described in docs/OPERATIONS.md."));
    }
    if args.file.as_os_str() == "-" {
        return Err(CommandError::new("a backup cannot be written to standard output")
            .hint("Name a file; to write one with that name, pass ./-."));
    }
    let database = database::require_file(config, "Set DATA_DIR to the folder of the database.")?;
    let secret = if config.secret.is_some() { None } else { config.stored_secret()? };
    SqliteStore::back_up(
        &database,
        &args.file,
        secret.as_ref().map(|secret| secret.as_slice()),
        SystemClock.now(),
    )
    .await?;
    let contents = match (&secret, &config.secret) {
        (Some(_), _) => "the database and the secret",
        (None, Some(_)) => "the database, but not JWTSECRETKEY",
        (None, None) => "the database, but no secret, because the data folder has none",
    };
    writeln!(
        std::io::stdout(),
        "{} contains {contents}; protect it in the same way as the data folder",
        args.file.display()
    )?;
    Ok(0)
}
