//! Where the data is: opened for a command, with or without a running server beside it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::domain::{Clock, Fault, Store, SystemClock, Timestamp};
use crate::store::{PostgresStore, SqliteStore, folder};

/// The file of the embedded database.
pub(super) fn path(config: &Config) -> PathBuf {
    config.data_dir.join("users.db")
}

/// Opens the store that the configuration names. A server may run beside: PostgreSQL is shared by
/// its nature, and with the embedded default the two processes take turns by SQLite's own locks.
pub(super) async fn open(config: &Config) -> Result<Arc<dyn Store>, Box<dyn std::error::Error>> {
    if let Some(postgres) = &config.postgres {
        let at = |fault: Fault| {
            format!("the database {} can not be used: {fault}", postgres.options.location())
        };
        if postgres.migrate {
            PostgresStore::migrate(&postgres.direct).await.map_err(at)?;
        }
        let store = PostgresStore::open(&postgres.options);
        crate::domain::Housekeeping::ping(&store).await.map_err(at)?;
        return Ok(Arc::new(store));
    }
    let path = path(config);
    let at = |fault: Fault| format!("the database {} can not be used: {fault}", path.display());
    let lock = folder::lock(&config.data_dir);
    let lock =
        lock.map_err(|error| format!("{}: {error}; set DATA_DIR", config.data_dir.display()))?;
    let store = match lock {
        // Nobody serves. The lock is held until the schema is up to date and no longer, so that a
        // start need not wait.
        Some(_held) => SqliteStore::open(&path).await,
        None => SqliteStore::attach(&path).await,
    };
    Ok(Arc::new(store.map_err(at)?))
}

/// Waits for the end of a moment's second: a token says no more of its time than the second, and
/// one that is issued now must not be taken for one of those that ended.
pub(super) async fn second_after(moment: Timestamp) {
    let left = 1000 - u64::try_from(moment.0.rem_euclid(1000)).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(left)).await;
}

/// The time by the clock that the nodes share.
pub(super) async fn now(store: &dyn Store) -> Result<Timestamp, Fault> {
    Ok(store.server_time().await?.unwrap_or_else(|| SystemClock.now()))
}
