//! PostgreSQL, 13 and later: what several nodes share. A small pool, deadlines on both sides, and
//! no plain text over a network unless it is asked for.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgPool};

use crate::domain::{Fault, PoolUse, Timestamp};

/// A row that is read to be changed, or whose sight must stay true, is held until the transaction
/// ends.
macro_rules! lock_row {
    () => {
        " FOR NO KEY UPDATE"
    };
}
/// The same, but a row that another transaction holds is passed over.
macro_rules! lock_row_or_skip {
    () => {
        " FOR NO KEY UPDATE SKIP LOCKED"
    };
}

#[path = "sql/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "written once, compiled for each database")]
mod sql;

mod table;

pub use sql::SqlStore as PostgresStore;
use sql::tx::Tx;
pub use table::{Table, TableRow};

/// Connections of one node besides those of its pool: for the readers of the revocation log and of
/// retired keys, the database clock, and the health check.
pub const WATCH_CONNECTIONS: u32 = 3;

type Db = sqlx::Postgres;
type Args = sqlx::postgres::PgArguments;

/// How long a request may wait for a connection, a new one included.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that has been idle for longer is asked whether it still lives before it is used.
const PROBE_AFTER: Duration = Duration::from_secs(1);
/// How long a node waits for another that is migrating.
const MIGRATION_LOCK_TIMEOUT: &str = "60s";
/// In one round trip: the server ends what this node has forgotten, whatever stands between them.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '4s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '10s'";
/// One moment of the whole database, for as long as it takes to read it.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '10min'; \
                        SET LOCAL idle_in_transaction_session_timeout = '60s'";

/// How to reach a database.
#[derive(Clone)]
pub struct PostgresOptions {
    connect: PgConnectOptions,
    /// The most connections.
    pub pool: u32,
    /// Whether a pooler in transaction mode stands between.
    pub pooler: bool,
}

impl PostgresOptions {
    /// Reads `postgresql://user:password@host:port/name?sslmode=...`. Where it names no `sslmode`,
    /// a server on another machine has to prove itself (`verify-full`).
    ///
    /// # Errors
    /// What is wrong with it, without its password.
    pub fn parse(url: &str, pool: u32, pooler: bool) -> Result<Self, String> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err("it does not begin with postgresql://".to_owned());
        }
        let connect: PgConnectOptions =
            url.parse().map_err(|_| "it is not a connection string".to_owned())?;
        let host = connect.get_host();
        let here = host == "localhost"
            || host.starts_with('/')
            || connect.get_socket().is_some()
            || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let connect = if url.contains("sslmode=") || url.contains("ssl-mode=") || here {
            connect
        } else {
            connect.ssl_mode(PgSslMode::VerifyFull)
        };
        Ok(Self {
            connect: connect.application_name("user-server").disable_statement_logging(),
            pool,
            pooler,
        })
    }

    /// Where it is, to be shown: no user and no password.
    #[must_use]
    pub fn location(&self) -> String {
        format!(
            "{}:{}/{}",
            self.connect.get_host(),
            self.connect.get_port(),
            self.connect.get_database().unwrap_or_default()
        )
    }
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The driver's own shows the password.
        write!(f, "PostgresOptions({})", self.location())
    }
}

/// What a database offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerCapacity {
    /// Its major version.
    pub version: i64,
    /// The connections that it gives to all nodes together.
    pub connections: i64,
    /// The newest migration that it has; zero where it has none.
    pub schema: i64,
}

/// There is none: commits of several connections share a write to the disk by PostgreSQL's own
/// doing.
enum GroupMember {}

impl GroupMember {
    fn connection(&mut self) -> Result<&mut sqlx::PgConnection, Fault> {
        match *self {}
    }

    async fn commit(self) -> Result<(), Fault> {
        match self {}
    }

    async fn undo(self) -> Result<(), Fault> {
        match self {}
    }
}

/// Where statements run.
#[derive(Clone)]
struct Pools {
    pool: PgPool,
    /// For the background readers, which no flood of requests may hold up.
    watch: PgPool,
    named: bool,
}

impl PostgresStore {
    /// Opens a database, without touching its schema. It is reached when it is first needed.
    #[must_use]
    pub fn open(options: &PostgresOptions) -> Self {
        let mut connect = options.connect.clone();
        if options.pooler {
            // A pooler knows few parameters, and gives another server's session to each
            // transaction.
            connect = connect.statement_cache_capacity(0).extra_float_digits(None);
        } else {
            connect = connect.options([("statement_timeout", "5s")]);
        }
        let watch = pool(WATCH_CONNECTIONS).connect_lazy_with(connect.clone());
        let pool = pool(options.pool).connect_lazy_with(connect);
        Self::new(Pools { pool, watch, named: !options.pooler })
    }

    /// Looks at what an operator has to know before nodes are added.
    ///
    /// # Errors
    /// Where the database can't be reached.
    pub async fn capacity(&self) -> Result<ServerCapacity, Fault> {
        let mut tx = self.pools.read().await?;
        let version = tx.number("SELECT current_setting('server_version_num')::bigint").await?;
        let most = tx
            .number(
                "SELECT current_setting('max_connections')::bigint
                      - current_setting('superuser_reserved_connections')::bigint",
            )
            .await?;
        let tables = tx
            .number("SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('_sqlx_migrations')")
            .await?;
        let applied = match tables {
            0 => 0,
            _ => {
                tx.number("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success")
                    .await?
            }
        };
        tx.finish().await?;
        Ok(ServerCapacity { version: version / 10_000, connections: most, schema: applied })
    }

    /// The schema's version that this binary brings.
    #[must_use]
    pub fn newest_schema() -> i64 {
        sqlx::migrate!("../migrations/postgres")
            .iter()
            .map(|migration| migration.version)
            .max()
            .unwrap_or(0)
    }

    /// Brings the schema up to date; where several nodes do at once, one does and the others wait.
    /// A schema of a later version is left as it is.
    ///
    /// # Errors
    /// Where the database can't be reached, or a migration fails.
    pub async fn migrate(options: &PostgresOptions) -> Result<(), Fault> {
        let direct = options.connect.clone().options([("lock_timeout", MIGRATION_LOCK_TIMEOUT)]);
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
        let pool = pool.connect_with(direct).await.map_err(sql::fault)?;
        let mut migrator = sqlx::migrate!("../migrations/postgres");
        migrator.set_ignore_missing(true);
        migrator
            .run(&pool)
            .await
            .map_err(|error| Fault::Internal(format!("migration: {error}")))?;
        pool.close().await;
        Ok(())
    }
}

/// A pool of at most this many connections. A connection that was idle is probed before it is used.
fn pool(max: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for < PROBE_AFTER {
                    return Ok(true);
                }
                let alive = tokio::time::timeout(PROBE_AFTER, connection.ping()).await;
                Ok(matches!(alive, Ok(Ok(()))))
            })
        })
}

impl Pools {
    /// A transaction.
    async fn write(&self) -> Result<Tx, Fault> {
        Tx::open(&self.pool, self.named, Some(BEGIN)).await
    }

    /// One statement that reads. A pooler may give its parts to two servers unless a transaction
    /// holds them together.
    async fn read(&self) -> Result<Tx, Fault> {
        Tx::open(&self.pool, self.named, (!self.named).then_some(BEGIN)).await
    }

    /// One statement of a background reader, on a connection that no request uses.
    async fn watch(&self) -> Result<Tx, Fault> {
        Tx::open(&self.watch, self.named, (!self.named).then_some(BEGIN)).await
    }

    /// A transaction that reads, and sees the store as it was at its first statement.
    async fn snapshot(&self) -> Result<Tx, Fault> {
        Tx::open(&self.pool, self.named, Some(SNAPSHOT)).await
    }

    fn used(&self) -> Vec<PoolUse> {
        let used = |name, pool: &PgPool| PoolUse {
            name,
            open: pool.size(),
            idle: u32::try_from(pool.num_idle()).unwrap_or(u32::MAX),
            max: pool.options().get_max_connections(),
        };
        vec![used("postgres", &self.pool), used("watch", &self.watch)]
    }

    async fn close(&self) {
        self.pool.close().await;
        self.watch.close().await;
    }
}

/// Whether an error of this code may pass: connections (08), conflicts (40), resources (53), locks
/// (55P03), an operator's doing and time-outs (57), I/O (58), a standby that does not write
/// (25006).
fn may_pass(code: &str) -> bool {
    ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
        || code == "55P03"
        || code == "25006"
}

/// Locks counters, those that are not there yet too, always in the same order so that no two wait
/// for each other.
async fn lock_keys(tx: &mut Tx, keys: &[[u8; 32]]) -> Result<(), Fault> {
    let mut locks: Vec<i64> = keys
        .iter()
        .filter_map(|key| key.first_chunk::<8>())
        .map(|start| i64::from_be_bytes(*start))
        .collect();
    locks.sort_unstable();
    locks.dedup();
    tx.effect("SELECT COUNT(pg_advisory_xact_lock(lock)) FROM unnest($1::bigint[]) AS lock", locks)
        .await
}

/// The time by the database's clock.
async fn server_time(tx: &mut Tx) -> Result<Option<Timestamp>, Fault> {
    let millis = tx.number("SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint").await?;
    Ok(Some(Timestamp(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_has_to_prove_itself() {
        let mode = |url: &str| {
            format!("{:?}", PostgresOptions::parse(url, 4, false).unwrap().connect.get_ssl_mode())
        };
        assert_eq!(mode("postgresql://u:p@db.example/users"), "VerifyFull");
        assert_eq!(mode("postgresql://u:p@10.1.2.3/users"), "VerifyFull");
        assert_eq!(mode("postgresql://u:p@db.example/users?sslmode=disable"), "Disable");
        assert_eq!(mode("postgresql://u:p@127.0.0.1/users"), "Prefer");
        assert_eq!(mode("postgresql://u@localhost/users?host=/run/postgresql"), "Prefer");
    }

    #[test]
    fn a_faulty_url_does_not_tell_its_password() {
        for url in
            ["mysql://u:geheim@db/users", "postgresql://u:geheim@db:port/users", "postgresql://"]
        {
            if let Err(error) = PostgresOptions::parse(url, 4, false) {
                assert!(!error.contains("geheim"), "{error}");
            }
        }
        let options =
            PostgresOptions::parse("postgresql://u:geheim@db.example/users", 4, false).unwrap();
        assert_eq!(options.location(), "db.example:5432/users");
        assert!(!format!("{options:?}").contains("geheim"));
    }
}
