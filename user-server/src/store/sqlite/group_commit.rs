//! Group commit: concurrent writers share one commit, and so one write to the disk.
//!
//! SQLite has one writer at a time, and the commit is the slow part of a short transaction. So a
//! member that finds other writers waiting leaves its transaction open for them. Each member runs
//! within a savepoint, and all of them return when the one commit is on the disk. A member that
//! rolls back, or is dropped before it has finished, does not affect the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{Connection, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use super::{ACQUIRE_TIMEOUT, sql};
use crate::domain::{Fault, PoolUse};

/// Maximum number of transactions that share a commit, so that the first does not wait for long.
const MAX_MEMBERS: usize = 32;

/// Access to the connection that writes. One writer runs at a time.
#[derive(Clone)]
pub(super) struct Writers {
    pool: SqlitePool,
    /// Writer lock, which is granted in the order of the requests, with the state of the
    /// connection.
    state: Arc<Mutex<WriterState>>,
    /// Number of writers that wait for the lock.
    waiting: Arc<AtomicUsize>,
}

/// State of the connection that writes and of its open transaction, which each writer passes on to
/// the next.
#[derive(Default)]
struct WriterState {
    /// The connection that writes, once it is opened. It is detached from the pool, which would
    /// need a runtime to take it back.
    connection: Option<SqliteConnection>,
    /// Set while a transaction is open. After a writer has released the lock, the transaction stays
    /// open only if writers wait for its commit.
    in_transaction: bool,
    /// Channels to the writers that have finished and wait for the commit.
    finished: Vec<oneshot::Sender<Result<(), Fault>>>,
    /// Set while the current writer has changes that must not be committed yet. They are within a
    /// savepoint if finished writers wait for the commit.
    unfinished: bool,
}

/// Writer that has the lock and takes part in a group commit. Dropping it rolls back its changes.
pub(super) struct GroupMember {
    writers: Writers,
    guard: Option<OwnedMutexGuard<WriterState>>,
}

/// Guard that counts one waiting writer until it is dropped.
struct WaitCount<'a>(&'a AtomicUsize);

impl Writers {
    /// Creates the writer lock. The one connection that writes is opened from `pool` when it is
    /// first needed.
    pub(super) fn new(pool: SqlitePool) -> Self {
        Self { pool, state: Arc::default(), waiting: Arc::default() }
    }

    /// Waits for the writer lock, then begins a transaction, or joins the open one to share its
    /// commit.
    pub(super) async fn member(&self) -> Result<GroupMember, Fault> {
        let guard = {
            let _waiting = WaitCount::increment(&self.waiting);
            let lock = self.state.clone().lock_owned();
            tokio::time::timeout(ACQUIRE_TIMEOUT, lock).await.map_err(|_| {
                Fault::Unavailable(format!(
                    "the database's writer lock was not available within {ACQUIRE_TIMEOUT:?}"
                ))
            })?
        };
        let mut member = GroupMember { writers: self.clone(), guard: Some(guard) };
        member.state()?.begin(&self.pool).await?;
        Ok(member)
    }

    pub(super) fn usage(&self) -> PoolUse {
        PoolUse { name: "writer", open: 1, idle: u32::from(self.state.try_lock().is_ok()), max: 1 }
    }

    /// Waits for earlier writers, commits, and closes the connection. Afterwards the database file
    /// contains all changes, and the write-ahead log is empty.
    pub(super) async fn close(&self) {
        let mut state = self.state.lock().await;
        state.commit_group().await;
        if let Some(connection) = state.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the database could not be closed cleanly");
        }
        self.pool.close().await;
    }
}

impl<'a> WaitCount<'a> {
    fn increment(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for WaitCount<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl GroupMember {
    /// Returns the connection on which the writer runs its statements.
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, Fault> {
        self.state()?.connection.as_mut().ok_or_else(lock_released)
    }

    /// Commits the writer's changes. They are on the disk when this returns.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        let others_wait = self.writers.waiting.load(Ordering::Relaxed) > 0;
        let state = self.state()?;
        if state.finished.is_empty() && !others_wait {
            return state.end_transaction("COMMIT").await;
        }
        state.retain_changes().await?;
        self.await_group_commit().await
    }

    /// Rolls back the writer's changes. The writer may have read changes of earlier ones in the
    /// same transaction, so this returns only when those are on the disk.
    pub(super) async fn undo(mut self) -> Result<(), Fault> {
        let state = self.state()?;
        if state.finished.is_empty() {
            return state.end_transaction("ROLLBACK").await;
        }
        state.roll_back().await?;
        self.await_group_commit().await
    }

    /// Passes the lock to the next writer and waits for the shared commit.
    async fn await_group_commit(mut self) -> Result<(), Fault> {
        let mut state = self.guard.take().ok_or_else(lock_released)?;
        let (sender, receiver) = oneshot::channel();
        state.finished.push(sender);
        if state.finished.len() == 1 {
            // Since the lock is fair, this runs after every writer that waits now, and ends the
            // group even if they are all dropped.
            let writers = self.writers.state.clone();
            tokio::spawn(async move { writers.lock().await.commit_group().await });
        }
        if state.finished.len() < MAX_MEMBERS {
            drop(state);
        } else {
            tokio::spawn(async move { state.commit_group().await });
        }
        receiver.await.unwrap_or_else(|_| {
            Err(Fault::Unavailable("the shared commit was abandoned".to_owned()))
        })
    }

    fn state(&mut self) -> Result<&mut WriterState, Fault> {
        self.guard.as_deref_mut().ok_or_else(lock_released)
    }
}

impl Drop for GroupMember {
    fn drop(&mut self) {
        // A statement may still be running. Closing the connection rolls everything back, so it is
        // possible only if no member waits for the commit; otherwise the next writer rolls back
        // what this one left unfinished.
        if let Some(state) = self.guard.as_deref_mut()
            && state.in_transaction
            && state.finished.is_empty()
        {
            state.disconnect();
        }
    }
}

impl WriterState {
    async fn begin(&mut self, pool: &SqlitePool) -> Result<(), Fault> {
        if let Err(fault) = self.roll_back_unfinished().await {
            self.fail_group(&fault);
        }
        if self.in_transaction {
            // `unfinished` is set only afterwards: if this is cancelled, it is unknown whether the
            // savepoint exists and could be rolled back to.
            self.control("SAVEPOINT member").await?;
        } else {
            if self.connection.is_none() {
                self.connection = Some(pool.acquire().await.map_err(sql::fault)?.detach());
            }
            self.in_transaction = true;
            // Takes SQLite's write lock now, since upgrading a read lock later could fail.
            self.control("BEGIN IMMEDIATE").await?;
        }
        self.unfinished = true;
        Ok(())
    }

    /// Ends the transaction with `statement`, COMMIT or ROLLBACK.
    async fn end_transaction(&mut self, statement: &'static str) -> Result<(), Fault> {
        self.control(statement).await?;
        (self.in_transaction, self.unfinished) = (false, false);
        Ok(())
    }

    /// Adds the changes of the current writer to those that the shared commit will commit.
    async fn retain_changes(&mut self) -> Result<(), Fault> {
        // Cleared first: if the member is cancelled during RELEASE, its savepoint may be gone, and
        // rolling back would go to an older savepoint.
        self.unfinished = false;
        if !self.finished.is_empty() {
            let released = self.control("RELEASE member").await;
            if released.is_err() {
                self.unfinished = true;
            }
            return released;
        }
        Ok(())
    }

    /// Rolls back the changes of the current writer to its savepoint. The savepoint stays open
    /// until the commit, and the next writer's savepoint is nested in it.
    async fn roll_back(&mut self) -> Result<(), Fault> {
        self.control("ROLLBACK TO member").await?;
        self.unfinished = false;
        Ok(())
    }

    /// Rolls back the changes of a writer that was dropped before it finished. Fails if SQLite has
    /// rolled back the whole transaction.
    async fn roll_back_unfinished(&mut self) -> Result<(), Fault> {
        if self.in_transaction && self.unfinished {
            self.roll_back().await?;
        }
        Ok(())
    }

    /// Commits the open transaction, if any, and reports the result to the writers that wait for
    /// it.
    async fn commit_group(&mut self) {
        if !self.in_transaction {
            return;
        }
        let committed = match self.roll_back_unfinished().await {
            Ok(()) => self.end_transaction("COMMIT").await,
            fault => fault,
        };
        match committed {
            Ok(()) => self.report(|| Ok(())),
            Err(fault) => self.fail_group(&fault),
        }
    }

    /// Rolls back the open transaction, and reports to the writers that wait for it that nothing
    /// was committed.
    fn fail_group(&mut self, fault: &Fault) {
        self.disconnect();
        self.report(|| Err(Fault::Unavailable(format!("the shared commit failed: {fault}"))));
    }

    fn report(&mut self, result: impl Fn() -> Result<(), Fault>) {
        for member in self.finished.drain(..) {
            // Fails if the member was dropped, which needs no report.
            let _ = member.send(result());
        }
    }

    /// Closes the connection, which rolls back the open transaction.
    fn disconnect(&mut self) {
        drop(self.connection.take());
        (self.in_transaction, self.unfinished) = (false, false);
    }

    async fn control(&mut self, statement: &'static str) -> Result<(), Fault> {
        let connection = self.connection.as_mut().ok_or_else(lock_released)?;
        sqlx::raw_sql(statement).execute(connection).await.map(drop).map_err(sql::fault)
    }
}

fn lock_released() -> Fault {
    Fault::internal("the writer lock was used after its release")
}
