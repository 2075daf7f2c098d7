//! Transactions. If a transaction is dropped before it has ended, because of a deadline or a fault,
//! its connection is abandoned: the database may never answer on it, so no request waits for it.

use std::io;
use std::time::Duration;

use sqlx::query::{Query, QueryAs};
use sqlx::{Database, FromRow};
use tokio::time::timeout;

use super::super::{
    Args, Begin, ConnectionPool, Db, GroupMember, PooledConnection, abandon, acquire, observe,
    release, statements,
};
use super::{fault, missing_row};
use crate::domain::Fault;

/// Maximum number of broken idle connections that are abandoned before beginning a transaction
/// fails.
const MAX_STALE: u32 = 3;

/// Code of the error with which a stored function refuses a change that it cannot make in the plain
/// way.
const NOT_PLAIN: &str = "US001";

type DbRow = <Db as Database>::Row;

/// Transaction, or a connection for one statement outside of a transaction.
pub(in super::super) struct Tx {
    /// Connection, or `None` after the transaction has ended and the connection has returned to the
    /// pool.
    connection: Option<TxConnection>,
    /// Set if statements may be prepared by name. Not every transaction pooler supports that,
    /// since it may run each transaction in another session.
    named: bool,
    /// Maximum time to wait for the answer to a statement, or `None` for an embedded database. The
    /// server has limits of its own, but it may be silent.
    limit: Option<Duration>,
    /// Set if a transaction has begun, which must be committed or rolled back.
    begun: bool,
    /// Set while a statement runs, and after one with an answer that was not read to its end.
    unfinished: bool,
}

/// The connection of a transaction.
enum TxConnection {
    /// Connection that no other transaction uses.
    Own(PooledConnection),
    /// Connection of a group of writers, which share a commit.
    #[allow(dead_code, reason = "PostgreSQL groups commits by itself")]
    Group(GroupMember),
}

impl Tx {
    /// Creates a transaction that shares its commit with the other writers of a group.
    #[allow(dead_code, reason = "PostgreSQL groups commits by itself")]
    pub(in super::super) fn in_group(member: GroupMember) -> Self {
        Self {
            connection: Some(TxConnection::Group(member)),
            named: true,
            limit: None,
            begun: true,
            unfinished: false,
        }
    }

    /// Runs a query that returns one number.
    #[allow(dead_code, reason = "SQLite uses the clock of this machine")]
    pub(in super::super) async fn number(&mut self, statement: &'static str) -> Result<i64, Fault> {
        let (number,): (i64,) = self.one(sqlx::query_as(statement)).await?;
        Ok(number)
    }

    /// Runs a statement with one parameter, and ignores its result.
    #[allow(dead_code, reason = "SQLite locks no counters")]
    pub(in super::super) async fn run_with<P>(
        &mut self,
        statement: &'static str,
        parameter: P,
    ) -> Result<(), Fault>
    where
        P: for<'q> sqlx::Encode<'q, Db> + sqlx::Type<Db> + Send,
    {
        self.run(sqlx::query(statement).bind(parameter)).await.map(drop)
    }

    /// Returns the rows of a query with one parameter.
    #[allow(dead_code, reason = "SQLite has no late entries of the revocation log")]
    pub(in super::super) async fn rows_with<T, P>(
        &mut self,
        statement: &'static str,
        parameter: P,
    ) -> Result<Vec<T>, Fault>
    where
        T: for<'r> FromRow<'r, DbRow> + Send + Unpin,
        P: for<'q> sqlx::Encode<'q, Db> + sqlx::Type<Db> + Send,
    {
        self.all(sqlx::query_as(statement).bind(parameter)).await
    }

    /// Takes a connection from the pool, and begins a transaction with the statements `begin`, if
    /// given. `named` is set if statements may be prepared by name, and `limit` is the maximum time
    /// to wait for the answer to each.
    pub(in super::super) async fn open(
        pool: &ConnectionPool,
        named: bool,
        begin: Option<Begin>,
        limit: Option<Duration>,
    ) -> Result<Self, Fault> {
        let mut stale = 0;
        loop {
            let connection = acquire(pool).await?;
            let begin = begin.map(|begin| statements(begin, &connection));
            let mut tx = Self {
                connection: Some(TxConnection::Own(connection)),
                named,
                limit,
                begun: begin.is_some(),
                unfinished: false,
            };
            let Some(begin) = begin else { return Ok(tx) };
            match tx.control(begin).await {
                // The connection was lost while it was idle. Others in the pool may be lost too.
                Err(Fault::Unavailable(_)) if stale < MAX_STALE => stale += 1,
                began => return began.map(|()| tx),
            }
        }
    }

    /// Commits the transaction.
    pub(in super::super) async fn commit(mut self) -> Result<(), Fault> {
        if let Some(member) = self.member() {
            return member.commit().await;
        }
        self.control("COMMIT").await?;
        self.release();
        Ok(())
    }

    /// Rolls back the transaction and returns `value`.
    pub(super) async fn undo<T>(mut self, value: T) -> Result<T, Fault> {
        if let Some(member) = self.member() {
            return member.undo().await.map(|()| value);
        }
        self.control("ROLLBACK").await?;
        self.release();
        Ok(value)
    }

    /// Ends a transaction or a single statement that only read.
    pub(in super::super) async fn finish(self) -> Result<(), Fault> {
        if self.begun {
            return self.commit().await;
        }
        self.release();
        Ok(())
    }

    /// Gives the connection back to the pool.
    fn release(mut self) {
        match self.connection.take() {
            Some(TxConnection::Own(connection)) if self.unfinished => {
                abandon(connection, self.begun)
            }
            Some(TxConnection::Own(connection)) => release(connection),
            Some(TxConnection::Group(_)) | None => {}
        }
    }

    fn member(&mut self) -> Option<GroupMember> {
        match self.connection.take() {
            Some(TxConnection::Group(member)) => Some(member),
            connection => {
                self.connection = connection;
                None
            }
        }
    }

    /// Runs a query and returns its row, or `None` if there is none.
    pub(super) async fn optional<T>(
        &mut self,
        query: QueryAs<'_, Db, T, Args>,
    ) -> Result<Option<T>, Fault>
    where
        T: for<'r> FromRow<'r, DbRow> + Send + Unpin,
    {
        let query = query.persistent(self.named);
        let row = within(self.limit, query.fetch_optional(&mut *self.connection()?)).await;
        self.finished(row).map_err(fault)
    }

    /// Runs a query and returns its row. Fails if there is none.
    pub(super) async fn one<T>(&mut self, query: QueryAs<'_, Db, T, Args>) -> Result<T, Fault>
    where
        T: for<'r> FromRow<'r, DbRow> + Send + Unpin,
    {
        self.optional(query).await?.ok_or_else(missing_row)
    }

    /// Runs a query and returns all rows.
    pub(super) async fn all<T>(&mut self, query: QueryAs<'_, Db, T, Args>) -> Result<Vec<T>, Fault>
    where
        T: for<'r> FromRow<'r, DbRow> + Send + Unpin,
    {
        let query = query.persistent(self.named);
        let rows = within(self.limit, query.fetch_all(&mut *self.connection()?)).await;
        self.finished(rows).map_err(fault)
    }

    /// Runs a statement and returns the number of changed rows. A violation of a unique index is a
    /// fault.
    pub(in super::super) async fn run(&mut self, query: Query<'_, Db, Args>) -> Result<u64, Fault> {
        self.try_run(query)
            .await?
            .map_err(|Taken| Fault::internal("a unique index was violated unexpectedly"))
    }

    /// Runs a statement that a unique index may reject. Returns the number of changed rows, or
    /// [`Taken`].
    pub(super) async fn try_run(
        &mut self,
        query: Query<'_, Db, Args>,
    ) -> Result<Result<u64, Taken>, Fault> {
        let query = query.persistent(self.named);
        let result = within(self.limit, query.execute(&mut *self.connection()?)).await;
        match self.finished(result) {
            Ok(result) => Ok(Ok(result.rows_affected())),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(Err(Taken)),
            Err(error) => Err(fault(error)),
        }
    }

    /// Runs a query that calls a stored function, and returns its row. Returns `None` if the
    /// function refused, or a unique index did; it has then changed nothing, and the transaction
    /// must be ended by [`Tx::undo_call`].
    pub(super) async fn call<T>(
        &mut self,
        query: QueryAs<'_, Db, T, Args>,
    ) -> Result<Option<T>, Fault>
    where
        T: for<'r> FromRow<'r, DbRow> + Send + Unpin,
    {
        let query = query.persistent(self.named);
        let row = within(self.limit, query.fetch_one(&mut *self.connection()?)).await;
        match self.finished(row) {
            Ok(row) => Ok(Some(row)),
            Err(sqlx::Error::Database(error))
                if error.is_unique_violation() || error.code().as_deref() == Some(NOT_PLAIN) =>
            {
                Ok(None)
            }
            Err(error) => Err(fault(error)),
        }
    }

    /// Ends a call that was refused.
    pub(super) async fn undo_call(self) -> Result<(), Fault> {
        if self.begun {
            return self.undo(()).await;
        }
        self.release();
        Ok(())
    }

    async fn control(&mut self, statement: &'static str) -> Result<(), Fault> {
        let statement = sqlx::raw_sql(statement);
        let done = within(self.limit, statement.execute(&mut *self.connection()?)).await;
        self.finished(done).map(drop).map_err(fault)
    }

    /// Returns the connection for the next statement.
    fn connection(&mut self) -> Result<&mut <Db as Database>::Connection, Fault> {
        self.unfinished = true;
        match &mut self.connection {
            Some(TxConnection::Own(connection)) => Ok(connection),
            Some(TxConnection::Group(member)) => member.connection(),
            None => Err(Fault::internal("a connection was used after its release")),
        }
    }
}

impl Tx {
    /// Notes that the answer to a statement was read to its end, or that the connection is lost.
    fn finished<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        self.unfinished = !matches!(result, Ok(_) | Err(sqlx::Error::Database(_)));
        if let (Err(error), Some(TxConnection::Own(connection))) = (&result, &mut self.connection) {
            observe(connection, error);
        }
        result
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(TxConnection::Own(connection)) = self.connection.take() {
            abandon(connection, self.begun);
        }
    }
}

/// Waits for the answer to a statement, for at most `limit`.
async fn within<T>(
    limit: Option<Duration>,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let Some(limit) = limit else { return answer.await };
    timeout(limit, answer).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, "no answer from the database").into())
    })
}

/// Violation of a unique index: another row has the same value.
#[derive(Debug)]
pub(super) struct Taken;
