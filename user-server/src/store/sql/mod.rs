//! SQL statements, one file per port. Compiled once for each database: `super::super` is the module
//! of that database.

#[macro_use]
mod columns;

mod accounts;
mod audit;
pub(super) mod calls;
mod change;
mod codes;
mod counters;
mod fsck;
mod housekeeping;
mod idempotency;
mod json;
mod keys;
mod lookup;
mod mail_queue;
mod mail_slots;
mod new_verification;
mod operators;
mod outbox;
mod outbox_depth;
mod plain;
mod rows;
mod sessions;
mod stored_emails;
pub(super) mod tx;

use sqlx::query::QueryAs;

use super::{Args, Db, Pools};
use crate::domain::Fault;

/// Database that implements the storage ports of `domain`.
#[derive(Clone)]
pub struct SqlStore {
    pub(super) pools: Pools,
}

impl SqlStore {
    pub(super) fn new(pools: Pools) -> Self {
        Self { pools }
    }

    /// Reads at most one row, outside of a transaction. Returns `None` if there is none.
    async fn read_optional<T>(&self, query: QueryAs<'_, Db, T, Args>) -> Result<Option<T>, Fault>
    where
        T: for<'r> sqlx::FromRow<'r, <Db as sqlx::Database>::Row> + Send + Unpin,
    {
        let mut tx = self.pools.read().await?;
        let row = tx.optional(query).await?;
        tx.finish().await?;
        Ok(row)
    }

    /// Reads all rows of a query, outside of a transaction.
    async fn read_all<T>(&self, query: QueryAs<'_, Db, T, Args>) -> Result<Vec<T>, Fault>
    where
        T: for<'r> sqlx::FromRow<'r, <Db as sqlx::Database>::Row> + Send + Unpin,
    {
        let mut tx = self.pools.read().await?;
        let rows = tx.all(query).await?;
        tx.finish().await?;
        Ok(rows)
    }

    /// Reads all rows of a query, on the connections reserved for background tasks.
    async fn watch_all<T>(&self, query: QueryAs<'_, Db, T, Args>) -> Result<Vec<T>, Fault>
    where
        T: for<'r> sqlx::FromRow<'r, <Db as sqlx::Database>::Row> + Send + Unpin,
    {
        let mut tx = self.pools.watch().await?;
        let rows = tx.all(query).await?;
        tx.finish().await?;
        Ok(rows)
    }

    /// Reads exactly one row, on the connections reserved for background tasks. Fails if there is
    /// none.
    async fn watch_one<T>(&self, query: QueryAs<'_, Db, T, Args>) -> Result<T, Fault>
    where
        T: for<'r> sqlx::FromRow<'r, <Db as sqlx::Database>::Row> + Send + Unpin,
    {
        let mut tx = self.pools.watch().await?;
        let row = tx.one(query).await?;
        tx.finish().await?;
        Ok(row)
    }

    /// Reads exactly one row, outside of a transaction. Fails if there is none.
    async fn read_one<T>(&self, query: QueryAs<'_, Db, T, Args>) -> Result<T, Fault>
    where
        T: for<'r> sqlx::FromRow<'r, <Db as sqlx::Database>::Row> + Send + Unpin,
    {
        self.read_optional(query).await?.ok_or_else(missing_row)
    }
}

/// Converts an error of the database driver. The fault's message contains no stored value.
///
/// [`Fault::Internal`] is only for wrong statements and values, which are bugs of this service. A
/// failure of the database or of the connection to it is never [`Fault::Internal`].
pub(super) fn fault(error: sqlx::Error) -> Fault {
    use sqlx::Error;
    match error {
        Error::Database(error) => {
            let message = error.message().to_owned();
            super::classify(error.code().as_deref().unwrap_or_default(), message)
        }
        Error::Io(error) => Fault::Unavailable(in_words(&error)),
        Error::Tls(error) => Fault::Unavailable(format!("TLS: {error}")),
        Error::Protocol(text) => Fault::Unavailable(format!(
            "the connection ended, or the server is not this database ({text})"
        )),
        Error::PoolTimedOut => {
            Fault::Unavailable("timed out waiting for a connection to the database".to_owned())
        }
        Error::PoolClosed => {
            Fault::Unavailable("the connections to the database are closed".to_owned())
        }
        Error::WorkerCrashed => Fault::Unavailable("the thread of the database ended".to_owned()),
        Error::Configuration(error) => Fault::Unavailable(error.to_string()),
        error => Fault::Internal(error.to_string()),
    }
}

/// Describes an I/O error without the number of the operating system's error.
fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
        _ => {
            let text = error.to_string();
            let (words, _) = text.split_once(" (os error").unwrap_or((&text, ""));
            words.to_owned()
        }
    }
}

/// Creates the fault for a stored value that is not valid, or that a later version of the server
/// has written.
fn corrupt(value: &str) -> Fault {
    Fault::Internal(format!("the database contains {value}, which this version does not support"))
}

fn missing_row() -> Fault {
    Fault::internal("a query that must return a row returned none")
}
