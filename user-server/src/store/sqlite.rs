//! SQLite: the embedded default. One writer, several readers, WAL, and a commit that is on the disk
//! when it returns.

use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::domain::{Fault, PoolUse, Timestamp};

/// Nobody else writes while a transaction here does, so no row needs a lock.
macro_rules! lock_row {
    () => {
        ""
    };
}
macro_rules! lock_row_or_skip {
    () => {
        ""
    };
}

#[path = "sql/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "written once, compiled for each database")]
mod sql;

mod backup;
mod group_commit;

pub use backup::BackupError;
use group_commit::{GroupMember, Writers};
pub use sql::SqlStore as SqliteStore;
use sql::tx::Tx;

type Db = sqlx::Sqlite;
type Args = sqlx::sqlite::SqliteArguments;

const READERS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where statements run.
#[derive(Clone)]
struct Pools {
    /// They take turns here and not in SQLite's busy loop.
    writers: Writers,
    readers: SqlitePool,
    /// For the background readers, which no flood of requests may hold up.
    watch: SqlitePool,
}

impl SqliteStore {
    /// Opens the database at `path`, making it where there is none, and brings its schema up to
    /// date.
    ///
    /// # Errors
    /// Where the file can't be opened, is no database, or is of a later version.
    pub async fn open(path: &Path) -> Result<Self, Fault> {
        keep_private(path)
            .map_err(|error| Fault::Unavailable(format!("{}: {error}", path.display())))?;
        let options = options(path).create_if_missing(true);
        let writer = pool(1).connect_with(options.clone()).await.map_err(sql::fault)?;
        sqlx::migrate!("../migrations/sqlite")
            .run(&writer)
            .await
            .map_err(|error| Fault::Internal(error.to_string()))?;
        // Who opens it is the only one, so a mail that was being sent belongs to a process that has
        // gone.
        let abandoned =
            "UPDATE outbox SET due_at = turn_at WHERE turn_at IS NOT NULL AND settled_at IS NULL";
        sqlx::query(abandoned).execute(&writer).await.map_err(sql::fault)?;
        Ok(Self::over(writer, options.create_if_missing(false)))
    }

    /// Opens the database at `path` to look at it, beside the process that serves from it, if any.
    #[must_use]
    pub fn look_at(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(ACQUIRE_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        Self::new(Pools { writers: Writers::new(pool.clone()), readers: pool.clone(), watch: pool })
    }

    /// Opens the database at `path` beside the server that has it open, and takes turns with it by
    /// SQLite's own locks. It is left as it is: the server has made it, and knows which mails it is
    /// sending.
    ///
    /// # Errors
    /// Where the file can't be opened, or is of another version than this binary.
    pub async fn attach(path: &Path) -> Result<Self, Fault> {
        let options = options(path);
        let writer = pool(1).connect_with(options.clone()).await.map_err(sql::fault)?;
        let schema = schema_of(&writer).await?;
        if schema != Self::newest_schema() {
            let newest = Self::newest_schema();
            let wrong = format!(
                "its schema is {schema} and this version has {newest}; use the version that is running"
            );
            return Err(Fault::Unavailable(wrong));
        }
        Ok(Self::over(writer, options))
    }

    /// A store over a pool of writers, with readers of the same file.
    fn over(writer: SqlitePool, options: SqliteConnectOptions) -> Self {
        let options = options.read_only(true);
        let readers = pool(READERS).connect_lazy_with(options.clone());
        let watch = pool(1).connect_lazy_with(options);
        Self::new(Pools { writers: Writers::new(writer), readers, watch })
    }

    /// The schema's version that this binary brings.
    #[must_use]
    pub fn newest_schema() -> i64 {
        sqlx::migrate!("../migrations/sqlite")
            .iter()
            .map(|migration| migration.version)
            .max()
            .unwrap_or(0)
    }
}

/// How every connection uses the file.
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

async fn schema_of(pool: &SqlitePool) -> Result<i64, Fault> {
    let newest =
        sqlx::query_as("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success");
    let (version,): (i64,) = newest.fetch_one(pool).await.map_err(sql::fault)?;
    Ok(version)
}

impl Pools {
    /// A transaction that may write.
    async fn write(&self) -> Result<Tx, Fault> {
        self.writers.member().await.map(Tx::shared)
    }

    /// One statement that reads.
    async fn read(&self) -> Result<Tx, Fault> {
        Tx::open(&self.readers, true, None).await
    }

    /// One statement of a background reader, on a connection that no request uses.
    async fn watch(&self) -> Result<Tx, Fault> {
        Tx::open(&self.watch, true, None).await
    }

    /// A transaction that reads, and sees the store as it was at its first statement.
    async fn snapshot(&self) -> Result<Tx, Fault> {
        Tx::open(&self.readers, true, Some("BEGIN")).await
    }

    fn used(&self) -> Vec<PoolUse> {
        let readers = PoolUse {
            name: "readers",
            open: self.readers.size(),
            idle: u32::try_from(self.readers.num_idle()).unwrap_or(u32::MAX),
            max: self.readers.options().get_max_connections(),
        };
        vec![self.writers.used(), readers]
    }

    async fn close(&self) {
        self.readers.close().await;
        self.watch.close().await;
        self.writers.close().await;
    }
}

/// Makes the file for its owner's eyes only; SQLite gives its companions the same mode.
fn keep_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Whether an error of this code may pass: busy, locked, no memory, read-only, I/O, a full disk,
/// can't open.
fn may_pass(code: &str) -> bool {
    matches!(code.parse::<u32>().map(|code| code & 0xff), Ok(5 | 6 | 7 | 8 | 10 | 13 | 14))
}

/// SQLite's one writer is lock enough.
async fn lock_keys(_: &mut Tx, _: &[[u8; 32]]) -> Result<(), Fault> {
    Ok(())
}

/// The time by the database's clock, which here is this machine's.
async fn server_time(_: &mut Tx) -> Result<Option<Timestamp>, Fault> {
    Ok(None)
}
