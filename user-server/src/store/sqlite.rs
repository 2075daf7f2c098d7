//! SQLite: the embedded default. One writer, several readers, WAL, and a commit that is on the disk when it returns.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection, SqlitePool, Transaction};

use crate::domain::Fault;
use crate::domain::ports::PoolUse;

#[path = "sql/mod.rs"]
mod sql;

pub use sql::SqlStore as SqliteStore;

type Db = sqlx::Sqlite;

const READERS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where statements run.
#[derive(Clone)]
struct Pools {
    /// One connection, so that writers queue here and not in SQLite's busy loop.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the database at `path`, making it where there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// Where the file can't be opened, is no database, or is of a later version.
    pub async fn open(path: &Path) -> Result<Self, Fault> {
        keep_private(path).map_err(|error| Fault::Unavailable(format!("{}: {error}", path.display())))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(ACQUIRE_TIMEOUT)
            .pragma("secure_delete", "on");
        let pool = |size| {
            SqlitePoolOptions::new().max_connections(size).acquire_timeout(ACQUIRE_TIMEOUT).test_before_acquire(false)
        };
        let writer = pool(1).after_release(|connection, _| Box::pin(is_at_rest(connection)));
        let writer = writer.connect_with(options.clone()).await.map_err(sql::fault)?;
        sqlx::migrate!("../migrations/sqlite")
            .run(&writer)
            .await
            .map_err(|error| Fault::Internal(error.to_string()))?;
        let readers = pool(READERS).connect_lazy_with(options.read_only(true).create_if_missing(false));
        Ok(Self::new(Pools { writer, readers }))
    }
}

impl Pools {
    /// A transaction that may write. It takes the write lock at once: one that upgraded later could fail at the upgrade.
    async fn write(&self) -> Result<Transaction<'static, Db>, Fault> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(sql::fault)
    }

    fn reader(&self) -> &SqlitePool {
        &self.readers
    }

    fn used(&self) -> Vec<PoolUse> {
        let used = |name, pool: &SqlitePool| PoolUse {
            name,
            open: pool.size(),
            idle: u32::try_from(pool.num_idle()).unwrap_or(u32::MAX),
            most: pool.options().get_max_connections(),
        };
        vec![used("writer", &self.writer), used("readers", &self.readers)]
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Whether a connection can begin another transaction. When a write fails, as on a full disk, SQLite ends the transaction
/// by itself, and sqlx, whose own rollback then fails, counts it as open for good.
async fn is_at_rest(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Its answer comes behind that of a rollback that is on its way.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Makes the file for its owner's eyes only; SQLite gives its companions the same mode.
fn keep_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
