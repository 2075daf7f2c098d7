//! PostgreSQL 13 and later, for several nodes: a small pool, timeouts on both sides, and no
//! unencrypted connection over a network unless it is requested.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::breaker::DatabaseBreaker;
use crate::domain::{Fault, PoolUse, Timestamp};

/// Clause that locks the selected rows until the transaction ends, for rows that the transaction
/// changes, or that must not change after they were read.
macro_rules! lock_row {
    () => {
        " FOR NO KEY UPDATE"
    };
}
/// Clause that locks the selected rows until the transaction ends, for rows that it deletes. It
/// also waits for transactions that have inserted references to them.
macro_rules! lock_row_for_deletion {
    () => {
        " FOR UPDATE"
    };
}
/// Clause that protects the selected rows from deletion until the transaction ends, for rows that
/// the transaction inserts references to.
macro_rules! keep_row {
    () => {
        " FOR KEY SHARE"
    };
}
/// Clause that locks the selected rows until the transaction ends, and skips rows that another
/// transaction has locked.
macro_rules! lock_row_or_skip {
    () => {
        " FOR NO KEY UPDATE SKIP LOCKED"
    };
}

/// Condition for taking over an idempotency claim: the node that made it is dead by the clock of
/// the database, and the request is the same. `$3` is the MAC over the request.
macro_rules! or_claimed_by_dead_node {
    () => {
        " OR (idempotency_keys.done_at IS NULL AND idempotency_keys.request = $3
              AND EXISTS (SELECT 1 FROM nodes WHERE nodes.id = idempotency_keys.node
                  AND nodes.seen_at < (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint - 2000))"
    };
}

/// Expression that is 1 on a standby, and 0 on a primary.
macro_rules! is_standby {
    () => {
        "CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END::bigint"
    };
}

#[path = "sql/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "compiled once for each database")]
mod sql;

mod commits;
mod connection;
mod functions;
mod heartbeat;
mod hints;
mod hosts;
mod lease;
mod migration;
mod options;
mod pool;
mod profile;
mod rehearsal;
mod table;
mod url;

use commits::WaitingCommits;
use functions::{function, lock_counters, lookup, lookup_verification, revoke_sessions};
use heartbeat::{report_alive, start_node};
pub use hints::hint;
pub use migration::{Migration, SchemaState};
pub use options::PostgresOptions;
use pool::{ConnectionPool, PooledConnection};
pub use profile::ServerProfile;
pub use sql::SqlStore as PostgresStore;
use sql::tx::Tx;
pub use table::{Table, TableRow};

/// Number of connections of one node in addition to `DATABASE_POOL`: for polling the revocation log
/// and the retired keys, the database clock, the health check, and the heartbeat.
pub const WATCH_CONNECTIONS: u32 = 4;

type Db = sqlx::Postgres;
type Args = sqlx::postgres::PgArguments;

/// Statements that begin a transaction, in one round trip. They set what the transaction relies on,
/// whatever the defaults of the database and the role are.
#[derive(Clone, Copy)]
struct Begin {
    /// Statements for every server.
    all: &'static str,
    /// The same for a server that can limit the time of a transaction: PostgreSQL 17 and later.
    with_limit: &'static str,
}

/// Builds the statements that begin a transaction. The limit of its time is set to zero first,
/// since a server does not change a limit by default that has begun already.
macro_rules! begin {
    ($statements:expr, $limit:literal) => {
        Begin {
            all: $statements,
            with_limit: concat!(
                $statements,
                "; SET LOCAL transaction_timeout = 0; SET LOCAL transaction_timeout = '",
                $limit,
                "'"
            ),
        }
    };
}

/// Begins a transaction of a request. The isolation level is set because the transaction relies on
/// locks, not on snapshots. The timeouts make the server end the transaction of a node that has
/// failed, even through a proxy, and with it the locks that other requests wait for.
const BEGIN: Begin = begin!(
    concat!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; ",
        "SET LOCAL statement_timeout = '2s'; SET LOCAL lock_timeout = '1500ms'; ",
        "SET LOCAL idle_in_transaction_session_timeout = '10s'; ",
        "SET LOCAL bytea_output = 'hex'; SET LOCAL enable_seqscan = off; SET LOCAL jit = off"
    ),
    "2500ms"
);
/// Begins a transaction of a background task, which may take longer.
const BEGIN_BACKGROUND: Begin = begin!(
    concat!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; ",
        "SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '4s'; ",
        "SET LOCAL idle_in_transaction_session_timeout = '10s'; ",
        "SET LOCAL bytea_output = 'hex'; SET LOCAL enable_seqscan = off; SET LOCAL jit = off"
    ),
    "0"
);
/// Begins a read-only transaction on a snapshot of the whole database, for long reads.
const SNAPSHOT: Begin = begin!(
    concat!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ",
        "SET LOCAL statement_timeout = '10min'; ",
        "SET LOCAL idle_in_transaction_session_timeout = '60s'; ",
        "SET LOCAL enable_seqscan = on"
    ),
    "0"
);
/// Maximum time to wait for the answer to a statement: a little longer than the server lets it run,
/// since a server that does not answer at all ends nothing.
const ANSWER: Duration = Duration::from_millis(2500);
const ANSWER_BACKGROUND: Duration = Duration::from_secs(6);
const ANSWER_SNAPSHOT: Duration = Duration::from_secs(610);
/// Number of the first version of PostgreSQL that can limit the time of a transaction.
const LIMITS_TRANSACTIONS: u32 = 170_000;

/// Returns the statements that begin a transaction on a connection. Any other server would reject
/// the limit.
fn statements(begin: Begin, connection: &sqlx::PgConnection) -> &'static str {
    match connection.server_version_num() {
        Some(LIMITS_TRANSACTIONS..) => begin.with_limit,
        _ => begin.all,
    }
}

/// Counterpart of SQLite's group commit. Never constructed, since PostgreSQL groups the commits of
/// several connections by itself.
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

/// Connections to the database.
#[derive(Clone)]
struct Pools {
    pool: ConnectionPool,
    /// Connections reserved for background tasks, which a flood of requests must not delay.
    watch: ConnectionPool,
    /// Set if each transaction may run in another session, as behind a transaction pooler.
    pooler: bool,
    /// Set if statements may be prepared by name, which not every transaction pooler supports.
    named: bool,
    /// Set for background tasks, with statements that may take longer.
    background: bool,
    breaker: DatabaseBreaker,
    /// Knowledge about commits that wait for a synchronous standby.
    commits: Arc<WaitingCommits>,
}

impl PostgresStore {
    /// Creates a store that connects to the database when it is first used. The schema is not
    /// migrated.
    #[must_use]
    pub fn open(options: &PostgresOptions) -> Self {
        let breaker = DatabaseBreaker::new();
        let pool = |name, max, connect| ConnectionPool::new(name, max, connect, breaker.clone());
        let watch = pool("watch", WATCH_CONNECTIONS, options.for_background());
        let pool = pool("postgres", options.pool, options.for_requests());
        let PostgresOptions { pooler, prepared, .. } = *options;
        let named = !pooler || prepared;
        let commits = Arc::default();
        Self::new(Pools { pool, watch, pooler, named, background: false, breaker, commits })
    }

    /// Returns a store over the same connections, with the time limits of background tasks.
    #[must_use]
    pub fn for_background(&self) -> Self {
        Self::new(Pools { background: true, ..self.pools.clone() })
    }

    /// Returns the circuit breaker of the database.
    pub(super) fn breaker(&self) -> DatabaseBreaker {
        self.pools.breaker.clone()
    }
}

/// Returns a connection of a pool.
async fn acquire(pool: &ConnectionPool) -> Result<PooledConnection, Fault> {
    pool.acquire().await
}

/// Gives a connection back to its pool.
fn release(connection: PooledConnection) {
    connection.release();
}

/// Gives a connection back to its pool, although its work did not finish. `begun` is set if it may
/// be in a transaction.
fn abandon(connection: PooledConnection, begun: bool) {
    connection.abandon(begun);
}

/// Tells the pool of an error of a connection.
fn observe(connection: &mut PooledConnection, error: &sqlx::Error) {
    connection.observe(error);
}

impl Pools {
    /// Begins a transaction that may write.
    async fn write(&self) -> Result<Tx, Fault> {
        self.check_commits().await?;
        Tx::open(&self.pool, self.named, Some(self.begin()), Some(self.limit())).await
    }

    /// Returns a connection for one statement that reads. Behind a pooler without prepared
    /// statements it runs in a transaction, since its parse and execute messages could otherwise
    /// reach different sessions.
    async fn read(&self) -> Result<Tx, Fault> {
        let begin = (self.background || !self.named).then(|| self.begin());
        Tx::open(&self.pool, self.named, begin, Some(self.limit())).await
    }

    /// Returns the statements that begin a transaction.
    fn begin(&self) -> Begin {
        if self.background { BEGIN_BACKGROUND } else { BEGIN }
    }

    /// Returns the maximum time to wait for the answer to a statement.
    fn limit(&self) -> Duration {
        if self.background { ANSWER_BACKGROUND } else { ANSWER }
    }

    /// Returns a connection for one statement of a background task. No request uses this
    /// connection.
    async fn watch(&self) -> Result<Tx, Fault> {
        // Background tasks run all the time, also when no request closes what has become old.
        self.pool.close_old();
        // Behind a pooler, the session has the time limits of requests.
        let begin = self.pooler.then_some(BEGIN_BACKGROUND);
        Tx::open(&self.watch, self.named, begin, Some(ANSWER_BACKGROUND)).await
    }

    /// Begins a read-only transaction, which sees the database as of its first statement.
    async fn snapshot(&self) -> Result<Tx, Fault> {
        Tx::open(&self.pool, self.named, Some(SNAPSHOT), Some(ANSWER_SNAPSHOT)).await
    }

    /// Checks that the PostgreSQL server is not a standby, and that transactions may write.
    async fn check_writable(&self) -> Result<(), Fault> {
        let mut tx = self.watch().await?;
        let state = tx
            .number(
                "SELECT CASE WHEN pg_is_in_recovery() THEN 2
                             WHEN current_setting('transaction_read_only')::boolean THEN 1
                             ELSE 0 END::bigint",
            )
            .await?;
        tx.finish().await?;
        if state != 0 {
            // Another server may accept writes by now.
            self.pool.close_idle();
            self.watch.close_idle();
        }
        match state {
            0 => Ok(()),
            1 => Err(Fault::ReadOnly("transactions of the database are read-only".to_owned())),
            _ => Err(Fault::ReadOnly("the database is a read-only standby".to_owned())),
        }
    }

    fn usage(&self) -> Vec<PoolUse> {
        vec![self.pool.usage(), self.watch.usage()]
    }

    async fn close(&self) {
        self.pool.close().await;
        self.watch.close().await;
    }
}

/// Converts a PostgreSQL error by its SQLSTATE. Data exceptions (class 22) and violated constraints
/// (class 23) are bugs of the service, since its own checks come first. All other errors depend on
/// the condition of the database: connections, resources, privileges, or a missing schema.
fn classify(code: &str, message: String) -> Fault {
    match code {
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => Fault::Conflict(message),
        // read_only_sql_transaction, disk_full
        "25006" | "53100" => Fault::ReadOnly(message),
        _ if code.starts_with("22") || code.starts_with("23") => Fault::Internal(message),
        _ => Fault::Unavailable(message),
    }
}

/// Returns the entries of the revocation log with these numbers, which committed after later ones.
async fn late_revocations(
    tx: &mut Tx,
    numbers: &[i64],
) -> Result<Vec<(i64, Uuid, Option<i16>, i64)>, Fault> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    tx.rows_with(
        "SELECT seq, subject, kind, at FROM revocations WHERE seq = ANY($1)",
        numbers.to_vec(),
    )
    .await
}

/// Returns the time by the database's clock, never `None`.
async fn server_time(tx: &mut Tx) -> Result<Option<Timestamp>, Fault> {
    let millis = tx.number("SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint").await?;
    Ok(Some(Timestamp(millis)))
}
