//! Writers that wait for each other share one commit, and so one write to the disk.
//!
//! SQLite has one writer at a time, and of a short transaction the commit is the slow part. So who
//! finds others waiting leaves its transaction open for them. Each works within a savepoint of its
//! own, and all are answered when the one commit is on the disk. What a member takes back, or
//! leaves half done, goes without the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{Connection, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use super::{ACQUIRE_TIMEOUT, sql};
use crate::domain::{Fault, PoolUse};

/// The most members of a group, so that the first does not wait for long.
const MOST: usize = 32;

/// Those who write, one at a time.
#[derive(Clone)]
pub(super) struct Writers {
    pool: SqlitePool,
    /// Given in the order of asking.
    turn: Arc<Mutex<WriterState>>,
    /// How many wait for it.
    waiting: Arc<AtomicUsize>,
}

/// What goes from writer to writer.
#[derive(Default)]
struct WriterState {
    /// Not of the pool, which would want it back in a runtime.
    connection: Option<SqliteConnection>,
    /// Whether a transaction is open. Between turns, one is only where somebody waits for its end.
    open: bool,
    /// Those who are done, and wait for the commit.
    done: Vec<oneshot::Sender<Result<(), Fault>>>,
    /// Whether the member whose turn it is has begun, and what it does may not stay; within a
    /// savepoint, where others are done.
    at_work: bool,
}

/// A writer in its turn. Dropped in mid-work, it has done nothing.
pub(super) struct GroupMember {
    writers: Writers,
    turn: Option<OwnedMutexGuard<WriterState>>,
}

/// Somebody waits, until this is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Writers {
    /// `pool` opens their one connection.
    pub(super) fn new(pool: SqlitePool) -> Self {
        Self { pool, turn: Arc::default(), waiting: Arc::default() }
    }

    /// Waits for a turn, and begins a transaction or joins the one that is open.
    pub(super) async fn member(&self) -> Result<GroupMember, Fault> {
        let turn = {
            let _waiting = Waiting::at(&self.waiting);
            let turn = tokio::time::timeout(ACQUIRE_TIMEOUT, self.turn.clone().lock_owned()).await;
            turn.map_err(|_| Fault::Unavailable("no turn at writing in time".to_owned()))?
        };
        let mut member = GroupMember { writers: self.clone(), turn: Some(turn) };
        member.turn()?.begin(&self.pool).await?;
        Ok(member)
    }

    pub(super) fn used(&self) -> PoolUse {
        PoolUse { name: "writer", open: 1, idle: u32::from(self.turn.try_lock().is_ok()), max: 1 }
    }

    /// Closes the connection when all before have had their turn. When this returns, its files are
    /// at rest: the log is in the database.
    pub(super) async fn close(&self) {
        let mut turn = self.turn.lock().await;
        turn.close().await;
        if let Some(connection) = turn.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the database was not closed in order");
        }
        self.pool.close().await;
    }
}

impl<'a> Waiting<'a> {
    fn at(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl GroupMember {
    /// What it runs its statements on.
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, Fault> {
        self.turn()?.connection.as_mut().ok_or_else(gone)
    }

    /// Makes what it did last: when this returns, it is on the disk.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        let others_wait = self.writers.waiting.load(Ordering::Relaxed) > 0;
        let turn = self.turn()?;
        if turn.done.is_empty() && !others_wait {
            return turn.end("COMMIT").await;
        }
        turn.keep().await?;
        self.part().await
    }

    /// Takes back what it did. What it saw may be of those before it, so it waits with them until
    /// that lasts.
    pub(super) async fn undo(mut self) -> Result<(), Fault> {
        let turn = self.turn()?;
        if turn.done.is_empty() {
            return turn.end("ROLLBACK").await;
        }
        turn.take_back().await?;
        self.part().await
    }

    /// Gives the turn to the next, and waits for the commit.
    async fn part(mut self) -> Result<(), Fault> {
        let mut turn = self.turn.take().ok_or_else(gone)?;
        let (tell, told) = oneshot::channel();
        turn.done.push(tell);
        if turn.done.len() == 1 {
            // Its turn comes after all who wait now, and ends the group whatever becomes of them.
            let turns = self.writers.turn.clone();
            tokio::spawn(async move { turns.lock().await.close().await });
        }
        if turn.done.len() < MOST {
            drop(turn);
        } else {
            tokio::spawn(async move { turn.close().await });
        }
        told.await.unwrap_or_else(|_| {
            Err(Fault::Unavailable("the commit that it shared was given up".to_owned()))
        })
    }

    fn turn(&mut self) -> Result<&mut WriterState, Fault> {
        self.turn.as_deref_mut().ok_or_else(gone)
    }
}

impl Drop for GroupMember {
    fn drop(&mut self) {
        // A statement may be under way: closing the connection takes all back. Where others are
        // done, whoever is next takes back what this one has left.
        if let Some(turn) = self.turn.as_deref_mut()
            && turn.open
            && turn.done.is_empty()
        {
            turn.discard();
        }
    }
}

impl WriterState {
    async fn begin(&mut self, pool: &SqlitePool) -> Result<(), Fault> {
        if let Err(fault) = self.mend().await {
            self.fail(&fault);
        }
        if self.open {
            // Not yet at work: should it be given up here, then it is not known whether there is a
            // savepoint to go back to.
            self.control("SAVEPOINT member").await?;
        } else {
            if self.connection.is_none() {
                self.connection = Some(pool.acquire().await.map_err(sql::fault)?.detach());
            }
            self.open = true;
            // It takes the write lock at once: who upgraded later could fail at the upgrade.
            self.control("BEGIN IMMEDIATE").await?;
        }
        self.at_work = true;
        Ok(())
    }

    /// Ends the transaction of a member that is alone in it.
    async fn end(&mut self, how: &'static str) -> Result<(), Fault> {
        self.control(how).await?;
        (self.open, self.at_work) = (false, false);
        Ok(())
    }

    /// Leaves what a member did to the commit of all.
    async fn keep(&mut self) -> Result<(), Fault> {
        // At once: a member that gives up in the next statement leaves it to chance, and with its
        // savepoint gone an older one would be gone back to.
        self.at_work = false;
        if !self.done.is_empty() {
            let released = self.control("RELEASE member").await;
            if released.is_err() {
                self.at_work = true;
            }
            return released;
        }
        Ok(())
    }

    /// Takes back what a member did. The savepoint stays until the commit; the next lies within it.
    async fn take_back(&mut self) -> Result<(), Fault> {
        self.control("ROLLBACK TO member").await?;
        self.at_work = false;
        Ok(())
    }

    /// Takes back what a member has left half done. That fails where SQLite has taken back the
    /// whole transaction.
    async fn mend(&mut self) -> Result<(), Fault> {
        if self.open && self.at_work {
            self.take_back().await?;
        }
        Ok(())
    }

    /// Commits for all who are done, if there are any, and tells them.
    async fn close(&mut self) {
        if !self.open {
            return;
        }
        let mended = self.mend().await;
        let ended = match mended {
            Ok(()) => self.end("COMMIT").await,
            fault => fault,
        };
        match ended {
            Ok(()) => self.tell(|| Ok(())),
            Err(fault) => self.fail(&fault),
        }
    }

    /// Tells all that nothing of theirs was done.
    fn fail(&mut self, fault: &Fault) {
        self.discard();
        self.tell(|| Err(Fault::Unavailable(format!("the commit that it shared failed: {fault}"))));
    }

    fn tell(&mut self, what: impl Fn() -> Result<(), Fault>) {
        for member in self.done.drain(..) {
            // Whoever has gone needs no answer.
            let _ = member.send(what());
        }
    }

    /// Closes the connection, which takes back what is not committed.
    fn discard(&mut self) {
        drop(self.connection.take());
        (self.open, self.at_work) = (false, false);
    }

    async fn control(&mut self, statement: &'static str) -> Result<(), Fault> {
        let connection = self.connection.as_mut().ok_or_else(gone)?;
        sqlx::raw_sql(statement).execute(connection).await.map(drop).map_err(sql::fault)
    }
}

fn gone() -> Fault {
    Fault::internal("a turn at writing was used after it was given back")
}
