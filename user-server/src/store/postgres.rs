//! PostgreSQL 13 and later, for several nodes: a small pool, timeouts on both sides, and no
//! unencrypted connection over a network unless it is requested.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgPool};

use crate::domain::{Fault, PoolUse, Timestamp};

/// Locks the selected rows until the transaction ends, because it changes them or relies on what it
/// has read.
macro_rules! lock_row {
    () => {
        " FOR NO KEY UPDATE"
    };
}
/// The same, but skips rows that another transaction has locked.
macro_rules! lock_row_or_skip {
    () => {
        " FOR NO KEY UPDATE SKIP LOCKED"
    };
}

#[path = "sql/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "compiled once for each database")]
mod sql;

mod table;

pub use sql::SqlStore as PostgresStore;
use sql::tx::Tx;
pub use table::{Table, TableRow};

/// The number of connections of one node besides those of its pool: for the readers of the
/// revocation log and of retired keys, the database clock, and the health check.
pub const WATCH_CONNECTIONS: u32 = 3;

type Db = sqlx::Postgres;
type Args = sqlx::postgres::PgArguments;

/// The time for which a request may wait for a connection, including a new one.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// The idle time after which a connection is tested before it is used.
const PROBE_AFTER: Duration = Duration::from_secs(1);
/// The time for which a node waits while another migrates the schema.
const MIGRATION_LOCK_TIMEOUT: &str = "60s";
/// Begins a transaction in one round trip. The timeouts make the server end the
/// transaction of a node that has failed, even through a proxy.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '4s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '10s'";
/// Begins a transaction that sees one snapshot of the whole database, for long reads.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                        SET LOCAL statement_timeout = '10min'; \
                        SET LOCAL idle_in_transaction_session_timeout = '60s'";

/// Connection options of a database.
#[derive(Clone)]
pub struct PostgresOptions {
    connect: PgConnectOptions,
    /// The largest number of connections in the pool.
    pub pool: u32,
    /// Set if connections go through a pooler in transaction mode.
    pub pooler: bool,
}

impl PostgresOptions {
    /// Parses `postgresql://user:password@host:port/name?sslmode=...`. Without `sslmode`, the
    /// certificate of a server on another machine is verified (`verify-full`).
    ///
    /// # Errors
    /// Returns the reason, which does not contain the password.
    pub fn parse(url: &str, pool: u32, pooler: bool) -> Result<Self, String> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err("expected a URL that begins with postgresql://".to_owned());
        }
        let connect: PgConnectOptions =
            url.parse().map_err(|_| "not a valid connection string".to_owned())?;
        let host = connect.get_host();
        let is_local = host == "localhost"
            || host.starts_with('/')
            || connect.get_socket().is_some()
            || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let connect = if url.contains("sslmode=") || url.contains("ssl-mode=") || is_local {
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

    /// Returns host, port and database name, without user and password.
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
        // The driver's implementation shows the password.
        write!(f, "PostgresOptions({})", self.location())
    }
}

/// Version, capacity and schema of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerCapacity {
    /// The major version of the server.
    pub version: i64,
    /// The number of connections that all nodes can use together.
    pub connections: i64,
    /// The newest migration that was applied, or zero.
    pub schema: i64,
}

/// Never constructed: PostgreSQL groups the commits of several connections by itself.
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

/// The connections of the database.
#[derive(Clone)]
struct Pools {
    pool: PgPool,
    /// Reserved for background readers, which a flood of requests must not delay.
    watch: PgPool,
    /// Set if statements may be prepared by name.
    named: bool,
}

impl PostgresStore {
    /// Creates a store that connects when it is first used. The schema is not migrated.
    #[must_use]
    pub fn open(options: &PostgresOptions) -> Self {
        let mut connect = options.connect.clone();
        if options.pooler {
            // A pooler accepts few startup parameters, and may run each transaction in another
            // session.
            connect = connect.statement_cache_capacity(0).extra_float_digits(None);
        } else {
            connect = connect.options([("statement_timeout", "5s")]);
        }
        let watch = pool(WATCH_CONNECTIONS).connect_lazy_with(connect.clone());
        let pool = pool(options.pool).connect_lazy_with(connect);
        Self::new(Pools { pool, watch, named: !options.pooler })
    }

    /// Reads the version, capacity and schema of the database, for `check`.
    ///
    /// # Errors
    /// Fails if the database cannot be reached.
    pub async fn capacity(&self) -> Result<ServerCapacity, Fault> {
        let mut tx = self.pools.read().await?;
        let version = tx.number("SELECT current_setting('server_version_num')::bigint").await?;
        let connections = tx
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
        Ok(ServerCapacity { version: version / 10_000, connections, schema: applied })
    }

    /// Returns the schema version of this binary.
    #[must_use]
    pub fn newest_schema() -> i64 {
        sqlx::migrate!("../migrations/postgres")
            .iter()
            .map(|migration| migration.version)
            .max()
            .unwrap_or(0)
    }

    /// Migrates the schema. If several nodes do so at once, one migrates and the others wait. The
    /// schema of a later version is left unchanged.
    ///
    /// # Errors
    /// Fails if the database cannot be reached or a migration fails.
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

/// Returns the options of a pool with at most `max` connections, which tests idle connections
/// before they are used.
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
    /// Begins a transaction that may write.
    async fn write(&self) -> Result<Tx, Fault> {
        Tx::open(&self.pool, self.named, Some(BEGIN)).await
    }

    /// Prepares for one statement that reads. Behind a pooler it needs a transaction, since its
    /// parse and execute messages could otherwise reach different sessions.
    async fn read(&self) -> Result<Tx, Fault> {
        Tx::open(&self.pool, self.named, (!self.named).then_some(BEGIN)).await
    }

    /// Prepares for one statement of a background reader, on a connection that no request uses.
    async fn watch(&self) -> Result<Tx, Fault> {
        Tx::open(&self.watch, self.named, (!self.named).then_some(BEGIN)).await
    }

    /// Begins a read-only transaction, which sees the store as of its first statement.
    async fn snapshot(&self) -> Result<Tx, Fault> {
        Tx::open(&self.pool, self.named, Some(SNAPSHOT)).await
    }

    fn usage(&self) -> Vec<PoolUse> {
        let usage = |name, pool: &PgPool| PoolUse {
            name,
            open: pool.size(),
            idle: u32::try_from(pool.num_idle()).unwrap_or(u32::MAX),
            max: pool.options().get_max_connections(),
        };
        vec![usage("postgres", &self.pool), usage("watch", &self.watch)]
    }

    async fn close(&self) {
        self.pool.close().await;
        self.watch.close().await;
    }
}

/// Reports whether an error with this SQLSTATE is temporary: connection (08), transaction conflict
/// (40), resources (53), lock not available (55P03), operator intervention and timeouts (57), I/O
/// (58), or a read-only standby (25006).
fn is_temporary(code: &str) -> bool {
    ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
        || code == "55P03"
        || code == "25006"
}

/// Locks counters, including those that do not exist yet, until the transaction ends. They are
/// always locked in the same order, which prevents deadlocks.
async fn lock_keys(tx: &mut Tx, keys: &[[u8; 32]]) -> Result<(), Fault> {
    let mut locks: Vec<i64> = keys
        .iter()
        .filter_map(|key| key.first_chunk::<8>())
        .map(|start| i64::from_be_bytes(*start))
        .collect();
    locks.sort_unstable();
    locks.dedup();
    tx.run_with(
        "SELECT COUNT(pg_advisory_xact_lock(lock)) FROM unnest($1::bigint[]) AS lock",
        locks,
    )
    .await
}

/// Returns the time by the database's clock.
async fn server_time(tx: &mut Tx) -> Result<Option<Timestamp>, Fault> {
    let millis = tx.number("SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint").await?;
    Ok(Some(Timestamp(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_of_a_remote_server_is_verified_by_default() {
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
    fn no_error_or_location_contains_the_password() {
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
