//! A connection in use. One that is dropped in mid-work, by a deadline or a fault, is closed and
//! not given back: its peer may be silent, and a pool that waited for it would lose the place for
//! good.

use sqlx::pool::PoolConnection;
use sqlx::query::{Query, QueryAs};
use sqlx::{Database, FromRow, Pool};

use super::super::{Args, Db, GroupMember};
use super::fault;
use crate::domain::Fault;

/// How many connections that were lost while idle one transaction may find.
const STALE_TRIES: u32 = 3;

type Row = <Db as Database>::Row;

/// A transaction, or one statement outside of one.
pub(in super::super) struct Tx {
    /// Taken when the work is done and the connection is as it was.
    work: Option<Work>,
    /// Whether statements may be kept by name: not behind a pooler that changes the session between
    /// transactions.
    named: bool,
    /// Whether there is a transaction to end.
    begun: bool,
}

/// What it runs on.
enum Work {
    /// A connection of its own.
    Alone(PoolConnection<Db>),
    /// One that it shares with others, and a commit with them.
    #[allow(dead_code, reason = "PostgreSQL shares commits by itself")]
    Shared(GroupMember),
}

impl Tx {
    /// A transaction that shares its commit.
    #[allow(dead_code, reason = "PostgreSQL shares commits by itself")]
    pub(in super::super) fn shared(member: GroupMember) -> Self {
        Self { work: Some(Work::Shared(member)), named: true, begun: true }
    }

    /// The one number that a statement gives.
    #[allow(dead_code, reason = "SQLite has no clock of its own")]
    pub(in super::super) async fn number(&mut self, statement: &'static str) -> Result<i64, Fault> {
        let (number,): (i64,) = self.one(sqlx::query_as(statement)).await?;
        Ok(number)
    }

    /// Runs a statement of one parameter for its effect.
    #[allow(dead_code, reason = "SQLite needs no locks but its one writer")]
    pub(in super::super) async fn effect<P>(
        &mut self,
        statement: &'static str,
        parameter: P,
    ) -> Result<(), Fault>
    where
        P: for<'q> sqlx::Encode<'q, Db> + sqlx::Type<Db> + Send,
    {
        self.run(sqlx::query(statement).bind(parameter)).await.map(drop)
    }

    /// Takes a connection; with `begin`, a transaction on it.
    pub(in super::super) async fn open(
        pool: &Pool<Db>,
        named: bool,
        begin: Option<&'static str>,
    ) -> Result<Self, Fault> {
        let mut tries = 0;
        loop {
            let connection = pool.acquire().await.map_err(fault)?;
            let mut tx =
                Self { work: Some(Work::Alone(connection)), named, begun: begin.is_some() };
            let Some(begin) = begin else { return Ok(tx) };
            match tx.control(begin).await {
                // The connection was lost while it lay idle; so may the others be that lay beside
                // it.
                Err(Fault::Unavailable(_)) if tries < STALE_TRIES => tries += 1,
                began => return began.map(|()| tx),
            }
        }
    }

    /// Makes what was done last.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        if let Some(member) = self.member() {
            return member.commit().await;
        }
        self.control("COMMIT").await?;
        self.release();
        Ok(())
    }

    /// Takes back what was done, and gives `value`.
    pub(super) async fn undo<T>(mut self, value: T) -> Result<T, Fault> {
        if let Some(member) = self.member() {
            return member.undo().await.map(|()| value);
        }
        self.control("ROLLBACK").await?;
        self.release();
        Ok(value)
    }

    /// Ends what has only read.
    pub(in super::super) async fn finish(self) -> Result<(), Fault> {
        if self.begun {
            return self.commit().await;
        }
        self.release();
        Ok(())
    }

    /// Gives the connection back.
    fn release(mut self) {
        drop(self.work.take());
    }

    fn member(&mut self) -> Option<GroupMember> {
        match self.work.take() {
            Some(Work::Shared(member)) => Some(member),
            work => {
                self.work = work;
                None
            }
        }
    }

    /// At most one row.
    pub(super) async fn optional<T>(
        &mut self,
        query: QueryAs<'_, Db, T, Args>,
    ) -> Result<Option<T>, Fault>
    where
        T: for<'r> FromRow<'r, Row> + Send + Unpin,
    {
        let query = query.persistent(self.named);
        query.fetch_optional(&mut *self.connection()?).await.map_err(fault)
    }

    /// Exactly one row.
    pub(super) async fn one<T>(&mut self, query: QueryAs<'_, Db, T, Args>) -> Result<T, Fault>
    where
        T: for<'r> FromRow<'r, Row> + Send + Unpin,
    {
        self.optional(query)
            .await?
            .ok_or_else(|| Fault::internal("a row that must be there is not"))
    }

    /// Every row.
    pub(super) async fn all<T>(&mut self, query: QueryAs<'_, Db, T, Args>) -> Result<Vec<T>, Fault>
    where
        T: for<'r> FromRow<'r, Row> + Send + Unpin,
    {
        let query = query.persistent(self.named);
        query.fetch_all(&mut *self.connection()?).await.map_err(fault)
    }

    /// No rows; how many were changed.
    pub(super) async fn run(&mut self, query: Query<'_, Db, Args>) -> Result<u64, Fault> {
        self.try_run(query)
            .await?
            .map_err(|Taken| Fault::internal("a unique index was broken where none can be"))
    }

    /// The same, where a unique index may refuse.
    pub(super) async fn try_run(
        &mut self,
        query: Query<'_, Db, Args>,
    ) -> Result<Result<u64, Taken>, Fault> {
        let query = query.persistent(self.named);
        match query.execute(&mut *self.connection()?).await {
            Ok(done) => Ok(Ok(done.rows_affected())),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(Err(Taken)),
            Err(error) => Err(fault(error)),
        }
    }

    async fn control(&mut self, statement: &'static str) -> Result<(), Fault> {
        sqlx::raw_sql(statement).execute(&mut *self.connection()?).await.map(drop).map_err(fault)
    }

    fn connection(&mut self) -> Result<&mut <Db as Database>::Connection, Fault> {
        match &mut self.work {
            Some(Work::Alone(connection)) => Ok(connection),
            Some(Work::Shared(member)) => member.connection(),
            None => Err(Fault::internal("a connection was used after it was given back")),
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(Work::Alone(connection)) = self.work.take() {
            drop(connection.detach());
        }
    }
}

/// Somebody has it: a unique index refused.
#[derive(Debug)]
pub(super) struct Taken;
