//! Access to the database for a command, with or without a running server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::command::CommandError;
use crate::config::Config;
use crate::domain::{Clock, Fault, Store, SystemClock, Timestamp};
use crate::keys::KeyRing;
use crate::store::{GuardedStore, PostgresStore, SchemaState, SqliteStore, folder, postgres};

/// Parts of fault messages of the embedded database, each with a hint for the operator.
const EMBEDDED_HINTS: &[(&str, &str)] = &[
    ("disk is full", "Free space on the disk of the data folder."),
    ("readonly", "Run the command as the user of the service, which owns the data folder."),
    ("unable to open", "Run the command as the user of the service, which owns the data folder."),
];

/// Returns the path of the embedded database in the data folder.
pub(super) fn path(config: &Config) -> PathBuf {
    config.data_dir.join("users.db")
}

/// Opens the configured store, which must have the schema of this version. A server may run at the
/// same time: PostgreSQL is shared anyway, and with the embedded database, SQLite's locks order the
/// two processes.
///
/// # Errors
/// If the database does not exist, cannot be reached or opened, or has another schema.
pub(super) async fn open(config: &Config) -> Result<Arc<dyn Store>, CommandError> {
    require_schema(config).await?;
    if let Some(postgres) = &config.postgres {
        let store = PostgresStore::open(&postgres.options).for_background();
        return Ok(Arc::new(GuardedStore::new(Arc::new(store))));
    }
    let path = path(config);
    let attached = SqliteStore::attach(&path).await;
    let store = attached.map_err(|fault| embedded_unusable(&path, &fault))?;
    Ok(Arc::new(GuardedStore::new(Arc::new(store))))
}

/// Checks that the database exists and has a schema that this version can use, and changes nothing.
///
/// # Errors
/// If the database cannot be read, or has another schema. The error names that schema.
pub(super) async fn require_schema(config: &Config) -> Result<(), CommandError> {
    if let Some(postgres) = &config.postgres {
        let error = |fault| unusable(&postgres.options.location(), &fault);
        let schema = PostgresStore::schema(&postgres.options).await.map_err(error)?;
        return schema.require().map_err(error);
    }
    require_file(
        config,
        "Set DATA_DIR to the folder of the database. A start of the server or `user-server \
         migrate` creates one.",
    )?;
    let path = path(config);
    let error = |fault| embedded_unusable(&path, &fault);
    SqliteStore::schema(&path).await.map_err(error)?.require().map_err(error)
}

/// Checks that the file of the embedded database exists, can be read, and is not empty.
///
/// # Errors
/// If it does not exist, with this hint, or cannot be read.
pub(super) fn require_file(config: &Config, hint: &str) -> Result<PathBuf, CommandError> {
    let path = path(config);
    let shown = path.display();
    match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(found) if found.len() == 0 => Err(CommandError::new(format!("{shown} is empty"))
            .hint("Remove it, and restore a backup if it contained users.")),
        Ok(_) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(CommandError::new(format!("{shown} does not exist")).hint(hint))
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(CommandError::new(format!("cannot read {shown}: {error}"))
                .hint("Run the command as the user of the service, which owns the data folder."))
        }
        Err(error) => Err(CommandError::new(format!("cannot read {shown}: {error}"))
            .hint("Set DATA_DIR to the folder of the database.")),
    }
}

/// Updates the schema, and then opens the store as [`open`] does.
///
/// # Errors
/// If the database cannot be reached, opened or migrated.
pub(super) async fn open_and_migrate(config: &Config) -> Result<Arc<dyn Store>, CommandError> {
    migrate(config, false).await?;
    open(config).await
}

/// Updates the schema, unless it is a dry run. Returns the state of the schema before the update.
///
/// # Errors
/// If the database cannot be reached, opened or migrated.
pub(super) async fn migrate(config: &Config, dry_run: bool) -> Result<SchemaState, CommandError> {
    if let Some(postgres) = &config.postgres {
        let state = match dry_run {
            true => PostgresStore::schema(&postgres.direct).await,
            false => PostgresStore::migrate(&postgres.direct).await,
        };
        return state.map_err(|fault| unusable(&postgres.direct.location(), &fault));
    }
    let path = path(config);
    let error = |fault| embedded_unusable(&path, &fault);
    if dry_run {
        return SqliteStore::schema(&path).await.map_err(error);
    }
    let lock = folder::lock(&config.data_dir).map_err(|error| folder_error(config, &error))?;
    match lock {
        // No server runs. The lock is released once the schema is up to date, so that a server can
        // start while the command runs.
        Some(_lock) => SqliteStore::migrate(&path).await.map_err(error),
        // The server that runs has migrated it.
        None => SqliteStore::schema(&path).await.map_err(error),
    }
}

/// Returns the configured keys. Creates no secret.
///
/// # Errors
/// If a secret cannot be read, or there is none.
pub(super) async fn keys(config: &Config, store: &dyn Store) -> Result<KeyRing, CommandError> {
    match config.existing_keys()? {
        Some(keys) => Ok(keys),
        None => Err(config.missing_secret(store).await?.into()),
    }
}

/// Returns the location of the database for messages, without user and password.
pub(super) fn location(config: &Config) -> String {
    match &config.postgres {
        Some(postgres) => postgres.options.location(),
        None => path(config).display().to_string(),
    }
}

/// Adds the name of the configured database and a hint to the error of a command, if it was the
/// database that failed.
#[must_use]
pub fn named(config: &Config, error: CommandError) -> CommandError {
    match (error.fault(), &config.postgres) {
        (None, _) => error,
        (Some(fault), Some(postgres)) => unusable(&postgres.options.location(), fault),
        (Some(fault), None) => embedded_unusable(&path(config), fault),
    }
}

fn unusable(database: &str, fault: &Fault) -> CommandError {
    CommandError::new(format!("cannot use the database {database}: {fault}")).hint(format!(
        "{} To test the configuration, run: user-server check",
        postgres::hint(fault)
    ))
}

fn embedded_unusable(path: &Path, fault: &Fault) -> CommandError {
    let text = fault.to_string();
    let known = EMBEDDED_HINTS.iter().find(|(words, _)| text.contains(words));
    let remedy = known.map(|(_, hint)| format!("{hint} ")).unwrap_or_default();
    CommandError::new(format!("cannot use the database {}: {text}", path.display()))
        .hint(format!("{remedy}To test the configuration, run: user-server check"))
}

/// Returns the error for a data folder that cannot be created or locked.
pub(super) fn folder_error(config: &Config, error: &std::io::Error) -> CommandError {
    let (path, error) = (&config.data_dir, folder::describe(&config.data_dir, error));
    CommandError::new(format!("cannot use the folder {}: {error}", path.display()))
        .hint("Set DATA_DIR to a folder that can be written to.")
}

/// Waits until the second in which `time` lies is over. Tokens contain their time in whole seconds,
/// so a token issued later in the same second would be rejected like those of the sessions that
/// ended at `time`.
pub(super) async fn second_after(time: Timestamp) {
    let left = 1000 - u64::try_from(time.0.rem_euclid(1000)).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(left)).await;
}

/// Returns the current time of the database's clock, or of this machine's clock for the embedded
/// database.
pub(super) async fn now(store: &dyn Store) -> Result<Timestamp, Fault> {
    Ok(store.server_time().await?.unwrap_or_else(|| SystemClock.now()))
}
