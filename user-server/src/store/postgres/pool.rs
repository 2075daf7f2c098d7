//! A pool of connections that never waits for a server without a time limit. It sends nothing on
//! release. For a connection that has not finished its work, because its caller gave up, it waits
//! in the background, and ends its transaction; if the server does not answer soon, it closes the
//! connection. The slot stays taken meanwhile, so that callers that give up early do not open more
//! connections than the pool has.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout};

use super::hosts::Hosts;
use super::sql;
use crate::domain::{Fault, PoolUse};
use crate::store::breaker::DatabaseBreaker;

/// Maximum time to wait for a connection, including the time to open a new one.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Time after which a second attempt to open a connection starts beside the first.
const SECOND_ATTEMPT: Duration = Duration::from_millis(500);
/// Pause before another attempt while the server accepts no connection yet, or has too many.
const CONNECT_PAUSE: Duration = Duration::from_millis(50);
/// Idle time after which a connection is tested before it is used.
const TEST_AFTER: Duration = Duration::from_secs(1);
/// Maximum duration of the test of an idle connection.
const TEST_TIMEOUT: Duration = Duration::from_millis(500);
/// Idle time after which a connection is closed.
const MAX_IDLE: Duration = Duration::from_secs(600);
/// Age at which a connection is closed instead of being used again.
const MAX_AGE: Duration = Duration::from_secs(1800);
/// Time after which a statement without an answer means that the connection is silent: longer than
/// the server lets a statement of a request run.
const SILENCE: Duration = Duration::from_millis(2200);
/// Maximum time after its last statement in which an abandoned connection must be settled.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Number of times that a connection is used again after a caller abandoned it. Each time, the
/// server may keep a prepared statement that the client does not know.
const MAX_ABANDONED: u32 = 100;
/// Maximum time in which the pool waits, when it is closed, for the connections in use.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections to one database. A clone is the same pool.
#[derive(Clone)]
pub(super) struct ConnectionPool(Arc<Shared>);

struct Shared {
    /// Name of the pool in the metrics.
    name: &'static str,
    hosts: Hosts,
    breaker: DatabaseBreaker,
    max: u32,
    /// One permit for each connection that may be in use. Requests wait for one in order.
    slots: Arc<Semaphore>,
    idle: Mutex<IdleConnections>,
    /// Number of connections that were closed before the server had answered.
    closed_unanswered: AtomicU64,
}

#[derive(Default)]
struct IdleConnections {
    /// Idle connections. The last one was used most recently and is used next, so that the others
    /// can be closed when the load falls.
    stack: Vec<IdleConnection>,
    /// Number of times that all idle connections were closed. A connection that was opened before
    /// is not used again.
    generation: u64,
    /// Number of times that the circuit breaker had opened.
    times_opened: u64,
    /// Highest timeline that had been seen among several servers.
    timeline: u32,
}

struct IdleConnection {
    open: DatabaseConnection,
    since: Instant,
}

/// Connection with what decides how long it is used.
struct DatabaseConnection {
    connection: PgConnection,
    opened: Instant,
    /// Number of times that a caller abandoned it.
    abandoned: u32,
    /// Set after an error of the connection itself.
    is_broken: bool,
}

/// Reports whether a caller waits for a connection that is being opened.
type IsWanted<'a> = dyn Fn() -> bool + Sync + 'a;

/// Connection that no other request uses. If it is dropped instead of released, it is closed.
pub(super) struct PooledConnection {
    open: DatabaseConnection,
    /// Time at which a statement was sent last.
    used: Instant,
    generation: u64,
    pool: ConnectionPool,
    slot: OwnedSemaphorePermit,
}

impl ConnectionPool {
    /// Creates a pool of at most `max` connections, and opens none.
    pub(super) fn new(
        name: &'static str,
        max: u32,
        hosts: Hosts,
        breaker: DatabaseBreaker,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(max as usize));
        let (idle, closed_unanswered) = (Mutex::default(), AtomicU64::new(0));
        Self(Arc::new(Shared { name, hosts, breaker, max, slots, idle, closed_unanswered }))
    }

    /// Returns the connection that was used most recently, or opens one.
    pub(super) async fn acquire(&self) -> Result<PooledConnection, Fault> {
        timeout(ACQUIRE_TIMEOUT, self.take()).await.unwrap_or_else(|_| {
            Err(Fault::Unavailable("timed out waiting for a connection to the database".to_owned()))
        })
    }

    async fn take(&self) -> Result<PooledConnection, Fault> {
        let slot = self.0.slots.clone().acquire_owned().await.map_err(|_| {
            Fault::Unavailable("the connections to the database are closed".to_owned())
        })?;
        while let (Some(mut idle), generation) = self.pop() {
            let tested = match idle.since.elapsed() < TEST_AFTER {
                true => true,
                false => {
                    let test = timeout(TEST_TIMEOUT, idle.open.connection.ping()).await;
                    matches!(test, Ok(Ok(())))
                }
            };
            if tested {
                return Ok(self.in_use(idle.open, generation, slot));
            }
            self.close_idle();
        }
        self.open(slot).await
    }

    fn in_use(
        &self,
        open: DatabaseConnection,
        generation: u64,
        slot: OwnedSemaphorePermit,
    ) -> PooledConnection {
        PooledConnection { open, used: Instant::now(), generation, pool: self.clone(), slot }
    }

    /// Opens a connection in a task of its own, so that others can use it if the caller gives up
    /// meanwhile.
    async fn open(&self, slot: OwnedSemaphorePermit) -> Result<PooledConnection, Fault> {
        let (sender, opened) = oneshot::channel();
        let pool = self.clone();
        tokio::spawn(async move {
            let generation = pool.idle().generation;
            let opened = pool.connect(&|| !sender.is_closed()).await.map(|connection| {
                let opened = Instant::now();
                let open =
                    DatabaseConnection { connection, opened, abandoned: 0, is_broken: false };
                pool.in_use(open, generation, slot)
            });
            if let Err(Ok(unused)) = sender.send(opened) {
                unused.put_back();
            }
        });
        let ended = |_| Err(Fault::Unavailable("opening a connection was interrupted".to_owned()));
        opened.await.unwrap_or_else(ended)
    }

    /// Opens a connection. A second attempt starts while the first one gets no answer, which may
    /// have been sent into a network that works again only now.
    async fn connect(&self, is_wanted: &IsWanted<'_>) -> Result<PgConnection, Fault> {
        let times_opened = self.0.breaker.times_opened();
        let second = async {
            tokio::time::sleep(SECOND_ATTEMPT).await;
            self.connect_once(is_wanted).await
        };
        let connected = async {
            tokio::select! {
                connected = self.connect_once(is_wanted) => connected,
                connected = second => connected,
            }
        };
        let fault = match timeout(CONNECT_TIMEOUT, connected).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) if error.as_database_error().is_some() => return Err(sql::fault(error)),
            Ok(Err(error)) => sql::fault(error),
            Err(_) => Fault::Unavailable("no answer from the database while connecting".to_owned()),
        };
        // An attempt from before the circuit breaker opened says nothing about the time after that.
        if times_opened == self.0.breaker.times_opened() {
            self.0.breaker.failed(&fault.to_string());
        }
        Err(fault)
    }

    /// Opens a connection, and repeats the attempt while the server starts or is full, and a caller
    /// waits.
    async fn connect_once(&self, is_wanted: &IsWanted<'_>) -> Result<PgConnection, sqlx::Error> {
        loop {
            match self.0.hosts.connect().await {
                Err(error) if accepts_soon(&error) && is_wanted() => {
                    tokio::time::sleep(CONNECT_PAUSE).await;
                }
                connected => return connected,
            }
        }
    }

    /// Closes all idle connections, and those in use as soon as they are released, because one was
    /// lost: the server has probably lost them all, or no longer accepts writes.
    pub(super) fn close_idle(&self) {
        let closed = {
            let mut idle = self.idle();
            idle.generation += 1;
            std::mem::take(&mut idle.stack)
        };
        drop(closed);
    }

    /// Closes connections that are older or were idle for longer than allowed.
    pub(super) fn close_old(&self) {
        let old = |idle: &mut IdleConnection| {
            idle.since.elapsed() > MAX_IDLE || idle.open.opened.elapsed() > MAX_AGE
        };
        let closed: Vec<_> = self.idle().stack.extract_if(.., old).collect();
        drop(closed);
    }

    /// Waits a moment for the connections in use, and closes the pool.
    pub(super) async fn close(&self) {
        let _ = timeout(CLOSE_TIMEOUT, self.0.slots.acquire_many(self.0.max)).await;
        self.0.slots.close();
        self.close_idle();
    }

    pub(super) fn usage(&self) -> PoolUse {
        let idle = u32::try_from(self.idle().stack.len()).unwrap_or(u32::MAX);
        let free = u32::try_from(self.0.slots.available_permits()).unwrap_or(u32::MAX);
        let in_use = self.0.max.saturating_sub(free);
        PoolUse { name: self.0.name, open: idle.saturating_add(in_use), idle, max: self.0.max }
    }

    /// Returns the number of connections that were closed before the server had answered.
    pub(super) fn closed_unanswered(&self) -> u64 {
        self.0.closed_unanswered.load(Ordering::Relaxed)
    }

    fn count_unanswered(&self) {
        self.0.closed_unanswered.fetch_add(1, Ordering::Relaxed);
    }

    fn pop(&self) -> (Option<IdleConnection>, u64) {
        self.close_old();
        self.close_obsolete();
        let mut idle = self.idle();
        (idle.stack.pop(), idle.generation)
    }

    /// Closes the connections from before the circuit breaker opened, or before another server took
    /// over: they may be silent, or lead to a server that was replaced.
    fn close_obsolete(&self) {
        let (times_opened, timeline) = (self.0.breaker.times_opened(), self.0.hosts.timeline());
        let is_obsolete = {
            let mut idle = self.idle();
            let before = (idle.times_opened, idle.timeline);
            (idle.times_opened, idle.timeline) = (times_opened, timeline);
            before != (times_opened, timeline)
        };
        if is_obsolete {
            self.close_idle();
        }
    }

    fn idle(&self) -> MutexGuard<'_, IdleConnections> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PooledConnection {
    /// Gives the connection back to the pool. All answers must have been read.
    pub(super) fn release(self) {
        self.pool.0.breaker.answered();
        self.put_back();
    }

    fn put_back(self) {
        let Self { open, used: _, generation, pool, slot } = self;
        pool.close_obsolete();
        {
            let mut idle = pool.idle();
            if idle.generation == generation && !pool.0.slots.is_closed() {
                idle.stack.push(IdleConnection { open, since: Instant::now() });
            }
        }
        drop(slot);
    }

    /// Closes the idle connections if the error means that the server has closed this one, or no
    /// longer accepts writes.
    pub(super) fn observe(&mut self, error: &sqlx::Error) {
        let lost = match error {
            sqlx::Error::Database(error) => is_fatal(error.code().as_deref().unwrap_or_default()),
            // A silent connection counts when it is abandoned.
            sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => false,
            error => {
                matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_))
            }
        };
        if lost {
            self.open.is_broken = true;
            self.pool.close_idle();
            if error.as_database_error().is_none() {
                self.pool.0.breaker.failed(&error.to_string());
            }
        }
    }

    /// Takes back a connection that has not finished its work, in a transaction if `begun`. It is
    /// released if the server answers within [`SETTLE_TIMEOUT`] of the last statement, and
    /// otherwise closed.
    pub(super) fn abandon(mut self, begun: bool) {
        let waited = self.used.elapsed();
        if waited >= SILENCE {
            self.pool.close_idle();
            self.pool.0.breaker.failed("a connection to the database is silent");
        }
        let left = SETTLE_TIMEOUT.saturating_sub(waited);
        let can_wait = !left.is_zero() && !self.open.is_broken && !self.pool.0.breaker.is_open();
        match Handle::try_current() {
            Ok(runtime) if can_wait => {
                runtime.spawn(async move {
                    if !self.is_settled_within(left, begun).await {
                        self.pool.count_unanswered();
                    } else if self.open.abandoned < MAX_ABANDONED {
                        self.open.abandoned += 1;
                        self.release();
                    }
                });
            }
            _ => self.pool.count_unanswered(),
        }
    }

    /// Waits for the answer to the last statement, and ends the transaction. Returns false if the
    /// server has not answered in this time, or if the circuit breaker opens.
    async fn is_settled_within(&mut self, limit: Duration, begun: bool) -> bool {
        let breaker = self.pool.0.breaker.clone();
        tokio::select! {
            settled = timeout(limit, self.settle(begun)) => matches!(settled, Ok(Ok(()))),
            () = breaker.opened() => false,
        }
    }

    async fn settle(&mut self, begun: bool) -> Result<(), sqlx::Error> {
        match self.end(begun).await {
            // That of the last statement, which is read first.
            Err(sqlx::Error::Database(_)) if !self.open.is_broken => self.end(begun).await,
            ended => ended,
        }
    }

    async fn end(&mut self, begun: bool) -> Result<(), sqlx::Error> {
        let connection = &mut self.open.connection;
        let ended = match begun {
            true => sqlx::raw_sql("ROLLBACK").execute(connection).await.map(drop),
            // Outside of a transaction, the server would log a warning.
            false => connection.ping().await,
        };
        ended.inspect_err(|error| self.observe(error))
    }
}

impl Deref for PooledConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.open.connection
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.used = Instant::now();
        &mut self.open.connection
    }
}

/// Returns true for an error code with which the server closes connections, or refuses every write.
fn is_fatal(code: &str) -> bool {
    // read_only_sql_transaction; connection exceptions; admin_shutdown and its like
    code == "25006" || code.starts_with("08") || code.starts_with("57P")
}

/// Returns true if the server accepts connections, but not at this moment: it starts or stops, or
/// too many connections are open.
fn accepts_soon(error: &sqlx::Error) -> bool {
    // cannot_connect_now, too_many_connections
    let codes = ["57P03", "53300"];
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| codes.contains(&&*code))
}
