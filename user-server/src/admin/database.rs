//! Access to the database for a command, with or without a running server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::command::CommandError;
use crate::config::Config;
use crate::domain::{Clock, Fault, Housekeeping, Store, SystemClock, Timestamp};
use crate::store::{PostgresStore, SqliteStore, folder};

/// Returns the path of the embedded database.
pub(super) fn path(config: &Config) -> PathBuf {
    config.data_dir.join("users.db")
}

/// Opens the configured store. A server may run at the same time: PostgreSQL is shared anyway, and
/// with the embedded database, SQLite's locks order the two processes.
///
/// # Errors
/// If the database cannot be reached, opened or migrated.
pub(super) async fn open(config: &Config) -> Result<Arc<dyn Store>, CommandError> {
    if let Some(postgres) = &config.postgres {
        let error = |fault| unusable(&postgres.options.location(), &fault);
        if postgres.migrate {
            PostgresStore::migrate(&postgres.direct).await.map_err(error)?;
        }
        let store = PostgresStore::open(&postgres.options);
        Housekeeping::ping(&store).await.map_err(error)?;
        return Ok(Arc::new(store));
    }
    let path = path(config);
    let lock = folder::lock(&config.data_dir).map_err(|error| folder_error(config, &error))?;
    let store = match lock {
        // No server runs. The lock is released once the schema is up to date, so that a server can
        // start while the command runs.
        Some(_lock) => SqliteStore::open(&path).await,
        None => SqliteStore::attach(&path).await,
    };
    Ok(Arc::new(store.map_err(|fault| unusable(&path.display().to_string(), &fault))?))
}

fn unusable(database: &str, fault: &Fault) -> CommandError {
    CommandError::new(format!("cannot use the database {database}: {fault}"))
        .hint("Run `user-server check` to test the configuration.")
}

/// Returns the error for a data folder that cannot be created or locked.
pub(super) fn folder_error(config: &Config, error: &std::io::Error) -> CommandError {
    CommandError::new(format!("cannot use the folder {}: {error}", config.data_dir.display()))
        .hint("Set DATA_DIR to a folder that can be written to.")
}

/// Waits until the second of a time is over. Tokens contain their time in whole seconds, so a token
/// issued later in the same second would count as one of those that have ended.
pub(super) async fn second_after(time: Timestamp) {
    let left = 1000 - u64::try_from(time.0.rem_euclid(1000)).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(left)).await;
}

/// Returns the time by the clock that the nodes share.
pub(super) async fn now(store: &dyn Store) -> Result<Timestamp, Fault> {
    Ok(store.server_time().await?.unwrap_or_else(|| SystemClock.now()))
}
