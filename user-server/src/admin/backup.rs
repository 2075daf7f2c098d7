//! A copy of the embedded default in one file, while the server runs: the database, and the secret
//! that the data folder keeps.

use std::io::Write;
use std::path::PathBuf;

use super::{Done, database};
use crate::config::Config;
use crate::domain::{Clock, SystemClock};
use crate::store::SqliteStore;

/// Where to.
#[derive(clap::Args)]
pub struct BackupArgs {
    /// The file to write; it must not be there
    file: PathBuf,
}

/// Runs `user-server backup`.
///
/// # Errors
/// Where there is nothing to copy, or no copy could be made and proved.
pub async fn backup(config: &Config, args: BackupArgs) -> Done {
    if config.postgres.is_some() {
        return Err("PostgreSQL is set; copy it with pg_dump, as docs/OPERATIONS.md says".into());
    }
    let database = database::path(config);
    if !database.exists() {
        return Err(format!(
            "there is no {}; name the data folder with DATA_DIR",
            database.display()
        )
        .into());
    }
    let secret = if config.secret.is_some() { None } else { config.kept_secret()? };
    SqliteStore::back_up(
        &database,
        &args.file,
        secret.as_ref().map(|secret| secret.as_slice()),
        SystemClock.now(),
    )
    .await?;
    let holds = match (&secret, &config.secret) {
        (Some(_), _) => "the database and the secret",
        (None, Some(_)) => "the database; JWTSECRETKEY is not in it",
        (None, None) => "the database; there was no secret yet",
    };
    writeln!(
        std::io::stdout(),
        "{} holds {holds}; keep it as you keep those",
        args.file.display()
    )?;
    Ok(0)
}
