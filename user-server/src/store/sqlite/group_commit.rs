//! Group commit: concurrent writers share one commit, and so one write to the disk.
//!
//! SQLite has one writer at a time, and the commit is the slow part of a short transaction. So a
//! member that finds other writers waiting leaves its transaction open for them. Each member runs
//! within a savepoint, and all of them return when the one commit is on the disk. A member that
//! rolls back, or is dropped before it has finished, does not affect the others.

use std::sync::Arc;

use sqlx::{Connection, SqliteConnection, SqlitePool};
use tokio::sync::oneshot;

use super::writer_queue::{LockedState, WriterLock, WriterQueue};
use super::{ACQUIRE_TIMEOUT, sql};
use crate::domain::{Fault, PoolUse, Requester};

/// Maximum number of transactions that share a commit, so that the first does not wait for long.
const MAX_MEMBERS: usize = 32;

/// Access to the connection that writes. One writer runs at a time.
#[derive(Clone)]
pub(super) struct Writers {
    pool: SqlitePool,
    queue: Arc<WriterQueue<WriterState>>,
}

/// State of the connection that writes and of its open transaction, which each writer passes on to
/// the next.
#[derive(Default)]
pub(super) struct WriterState {
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
    lock: Option<WriterLock<WriterState>>,
}

impl Writers {
    /// Creates the writer lock. The one connection that writes is opened from `pool` when it is
    /// first needed.
    pub(super) fn new(pool: SqlitePool) -> Self {
        Self { pool, queue: Arc::new(WriterQueue::new()) }
    }

    /// Waits for the writer lock, then begins a transaction, or joins the open one to share its
    /// commit.
    pub(super) async fn member(&self) -> Result<GroupMember, Fault> {
        let lock = self.queue.lock(Requester::current());
        let lock = tokio::time::timeout(ACQUIRE_TIMEOUT, lock).await.map_err(|_| {
            Fault::Unavailable(format!(
                "the database's writer lock was not available within {ACQUIRE_TIMEOUT:?}"
            ))
        })??;
        let mut member = GroupMember { writers: self.clone(), lock: Some(lock) };
        member.state()?.begin(&self.pool).await?;
        Ok(member)
    }

    pub(super) fn usage(&self) -> PoolUse {
        PoolUse { name: "writer", open: 1, idle: u32::from(self.queue.is_idle()), max: 1 }
    }

    /// Waits for earlier writers, commits, and closes the connection. Afterwards the database file
    /// contains all changes, and the write-ahead log is empty.
    pub(super) async fn close(&self) {
        let mut lock = self.queue.lock(Requester::Service).await.ok();
        if let Some(state) = lock.as_mut().and_then(WriterLock::state) {
            state.commit_group().await;
            if let Some(connection) = state.connection.take()
                && let Err(error) = connection.close().await
            {
                tracing::warn!(%error, "the database could not be closed cleanly");
            }
        }
        self.pool.close().await;
    }
}

impl GroupMember {
    /// Returns the connection on which the writer runs its statements.
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, Fault> {
        self.state()?.connection.as_mut().ok_or_else(lock_released)
    }

    /// Commits the writer's changes. They are on the disk when this returns.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        let others_wait = self.writers.queue.has_waiting();
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

    /// Passes the lock on to the next writer and waits for the shared commit.
    async fn await_group_commit(mut self) -> Result<(), Fault> {
        let mut lock = self.lock.take().ok_or_else(lock_released)?;
        let state = lock.state().ok_or_else(lock_released)?;
        let (sender, receiver) = oneshot::channel();
        state.finished.push(sender);
        if state.finished.len() < MAX_MEMBERS {
            drop(lock);
        } else {
            tokio::spawn(lock.commit_group());
        }
        receiver.await.unwrap_or_else(|_| {
            Err(Fault::Unavailable("the shared commit was abandoned".to_owned()))
        })
    }

    fn state(&mut self) -> Result<&mut WriterState, Fault> {
        self.lock.as_mut().and_then(WriterLock::state).ok_or_else(lock_released)
    }
}

impl Drop for GroupMember {
    fn drop(&mut self) {
        // A statement may still be running. Closing the connection rolls everything back, so it is
        // possible only if no member waits for the commit; otherwise the next writer rolls back
        // what this one left unfinished.
        if let Some(state) = self.lock.as_mut().and_then(WriterLock::state)
            && state.in_transaction
            && state.finished.is_empty()
        {
            state.disconnect();
        }
    }
}

impl LockedState for WriterState {
    fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }

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
