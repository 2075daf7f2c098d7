//! SQLite, the embedded default database: one writer, several readers, a write-ahead log, and
//! durable commits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqlitePool, SqlitePool as ConnectionPool};
use uuid::Uuid;

use crate::domain::{Fault, PoolUse, Timestamp, UserKey};

/// Clause that locks the selected rows: empty, since SQLite has one writer at a time.
macro_rules! lock_row {
    () => {
        ""
    };
}
/// Clause that locks rows that are deleted: empty, since SQLite has one writer at a time.
macro_rules! lock_row_for_deletion {
    () => {
        ""
    };
}
/// Clause that protects the selected rows from deletion: empty, since SQLite has one writer at a
/// time.
macro_rules! keep_row {
    () => {
        ""
    };
}
/// Clause that locks the selected rows and skips locked ones: empty, since SQLite has one writer at
/// a time.
macro_rules! lock_row_or_skip {
    () => {
        ""
    };
}

/// Condition for taking over the idempotency claim of a dead node: empty, since there is only one
/// node, which releases the claims of an earlier process when it starts.
macro_rules! or_claimed_by_dead_node {
    () => {
        ""
    };
}

/// Expression that is 1 on a standby: SQLite has none.
macro_rules! is_standby {
    () => {
        "CAST(0 AS INTEGER)"
    };
}

#[path = "sql/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "compiled once for each database")]
mod sql;

mod backup;
mod file_system;
mod group_commit;
mod schema;
mod writer_queue;

pub use backup::BackupError;
use group_commit::{GroupMember, Writers};
pub use sql::SqlStore as SqliteStore;
use sql::tx::Tx;

type Db = sqlx::Sqlite;
type Args = sqlx::sqlite::SqliteArguments;
type PooledConnection = sqlx::pool::PoolConnection<Db>;

const READERS: u32 = 4;
/// Maximum number of rows that one statement inserts.
const MAX_ROWS: usize = 500;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections to the database.
#[derive(Clone)]
struct Pools {
    /// The one connection that writes. Writers queue here rather than in SQLite's busy handler.
    writers: Writers,
    readers: SqlitePool,
    /// Connection reserved for background tasks, which a flood of requests must not delay.
    watch: SqlitePool,
    /// Path of the database file.
    file: PathBuf,
}

impl SqliteStore {
    /// Opens the database at `path`, creates it if it does not exist, and migrates its schema.
    ///
    /// # Errors
    /// Fails if the file cannot be opened, is not a database, or cannot be migrated.
    pub async fn open(path: &Path) -> Result<Self, Fault> {
        make_private(path)
            .map_err(|error| Fault::Unavailable(format!("{}: {error}", path.display())))?;
        let options = options(path).create_if_missing(true);
        let writer = pool(1).connect_with(options.clone()).await.map_err(sql::fault)?;
        schema::migrate(&writer).await?;
        // Only one process opens the database here, so an email that is still leased was leased by
        // a process that no longer exists.
        let abandoned =
            "UPDATE outbox SET due_at = turn_at WHERE turn_at IS NOT NULL AND settled_at IS NULL";
        sqlx::query(abandoned).execute(&writer).await.map_err(sql::fault)?;
        Ok(Self::over(writer, options.create_if_missing(false), path))
    }

    /// Opens the database at `path` for reading, without disturbing a server that uses it.
    #[must_use]
    pub fn open_read_only(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(ACQUIRE_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        let (writers, readers) = (Writers::new(pool.clone()), pool.clone());
        Self::new(Pools { writers, readers, watch: pool, file: path.to_owned() })
    }

    /// Opens the database at `path` for reading and writing while a server uses it, synchronised by
    /// SQLite's locks. Neither migrates the schema nor releases leased emails, since the server
    /// does both.
    ///
    /// # Errors
    /// Fails if the file cannot be opened, or lacks a migration of this binary.
    pub async fn attach(path: &Path) -> Result<Self, Fault> {
        let options = options(path);
        let writer = pool(1).connect_with(options.clone()).await.map_err(sql::fault)?;
        schema::state(&writer).await?.require()?;
        Ok(Self::over(writer, options, path))
    }

    /// Creates the store from the connection that writes, and opens connections that read the same
    /// file.
    fn over(writer: SqlitePool, options: SqliteConnectOptions, path: &Path) -> Self {
        let options = options.read_only(true);
        let readers = pool(READERS).connect_lazy_with(options.clone());
        let watch = pool(1).connect_lazy_with(options);
        Self::new(Pools { writers: Writers::new(writer), readers, watch, file: path.to_owned() })
    }
}

/// Returns the driver's options for each connection to the database file.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(ACQUIRE_TIMEOUT)
        .pragma("secure_delete", "on")
}

fn pool(size: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
}

/// Statement that begins a transaction.
type Begin = &'static str;

/// Returns the statement that begins a transaction, which is the same on every connection.
fn statements(begin: Begin, _: &sqlx::SqliteConnection) -> &'static str {
    begin
}

/// Returns a connection of a pool.
async fn acquire(pool: &ConnectionPool) -> Result<PooledConnection, Fault> {
    pool.acquire().await.map_err(sql::fault)
}

/// Gives a connection back to its pool.
fn release(connection: PooledConnection) {
    drop(connection);
}

/// Closes a connection, since its work did not finish.
fn abandon(connection: PooledConnection, _: bool) {
    drop(connection.detach());
}

/// Does nothing: no error of one connection concerns another.
fn observe(_: &mut PooledConnection, _: &sqlx::Error) {}

impl Pools {
    /// Begins a transaction that may write. It may share its commit with other transactions.
    async fn write(&self) -> Result<Tx, Fault> {
        self.writers.member().await.map(Tx::in_group)
    }

    /// Begins a transaction for a statement that may write.
    async fn single(&self) -> Result<Tx, Fault> {
        self.write().await
    }

    /// Returns a connection for one statement that reads.
    async fn read(&self) -> Result<Tx, Fault> {
        Tx::open(&self.readers, true, None, None).await
    }

    /// Returns a connection for one statement of a background task. No request uses this
    /// connection.
    async fn watch(&self) -> Result<Tx, Fault> {
        Tx::open(&self.watch, true, None, None).await
    }

    /// Begins a read-only transaction, which sees the database as of its first statement.
    async fn snapshot(&self) -> Result<Tx, Fault> {
        Tx::open(&self.readers, true, Some("BEGIN"), None).await
    }

    /// Checks that the file system of the database can be written and has space left.
    async fn check_writable(&self) -> Result<(), Fault> {
        file_system::check(&self.file)
    }

    fn usage(&self) -> Vec<PoolUse> {
        let readers = PoolUse {
            name: "readers",
            open: self.readers.size(),
            idle: u32::try_from(self.readers.num_idle()).unwrap_or(u32::MAX),
            max: self.readers.options().get_max_connections(),
        };
        vec![self.writers.usage(), readers]
    }

    async fn close(&self) {
        self.readers.close().await;
        self.watch.close().await;
        self.writers.close().await;
    }
}

/// Creates the database file, unless it exists, so that only its owner can access it. SQLite gives
/// the files beside it the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Converts an SQLite error by its primary result code: generic, constraint, type and range errors
/// are bugs; read-only, I/O and disk-full errors mean that the database cannot be written.
fn classify(code: &str, message: String) -> Fault {
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(1 | 18 | 19 | 20 | 21 | 25) | Err(_) => Fault::Internal(message),
        Ok(8 | 10 | 13) => Fault::ReadOnly(message),
        Ok(_) => Fault::Unavailable(message),
    }
}

/// Does nothing: counters need no locks, since SQLite has one writer at a time.
async fn lock_counters(_: &mut Tx, _: &[[u8; 32]]) -> Result<(), Fault> {
    Ok(())
}

/// Returns `None`: SQLite has no stored functions, and needs no round trips.
fn function(_: sql::calls::Function) -> Option<&'static str> {
    None
}

/// Returns `None`: SQLite has no round trips to save.
fn lookup(_: Option<&UserKey<'_>>) -> Option<&'static str> {
    None
}

/// Returns `None`: SQLite has no round trips to save.
fn lookup_verification() -> Option<&'static str> {
    None
}

/// Appends sessions to the revocation log.
async fn revoke_sessions(tx: &mut Tx, entries: &[(Uuid, i64)]) -> Result<(), Fault> {
    for entries in entries.chunks(MAX_ROWS) {
        let mut insert =
            sqlx::QueryBuilder::<Db>::new("INSERT INTO revocations (subject, at, kind) ");
        insert.push_values(entries, |mut row, (id, at)| {
            row.push_bind(*id).push_bind(*at).push("1");
        });
        tx.run(insert.build()).await?;
    }
    Ok(())
}

/// Returns nothing: SQLite numbers entries of the revocation log in the order of their commits, so
/// none appears late.
async fn late_revocations(
    _: &mut Tx,
    _: &[i64],
) -> Result<Vec<(i64, Uuid, Option<i16>, i64)>, Fault> {
    Ok(Vec::new())
}

/// Releases all claims on idempotency keys: the lock of the data directory proves that the process
/// that made them is dead.
async fn start_node(pools: &Pools, _: Uuid) -> Result<(), Fault> {
    let mut tx = pools.write().await?;
    tx.run(sqlx::query("DELETE FROM idempotency_keys WHERE done_at IS NULL")).await?;
    tx.commit().await
}

/// Does nothing: no other node uses the database, so heartbeats are not needed.
#[allow(clippy::unused_async, reason = "PostgreSQL stores the time")]
async fn report_alive(_: &Pools, _: Uuid) -> Result<(), Fault> {
    Ok(())
}

/// Returns `None`: SQLite uses the clock of this machine.
async fn server_time(_: &mut Tx) -> Result<Option<Timestamp>, Fault> {
    Ok(None)
}
