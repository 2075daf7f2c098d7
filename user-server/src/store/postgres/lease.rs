//! The lease under which one node migrates the schema. It is a row instead of an advisory lock,
//! which poolers and engines that speak the protocol of PostgreSQL do not support. Its table is no
//! migration, since it must exist before the first one.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

/// Statement that creates the table of the lease.
pub(super) const CREATE: &str = "CREATE TABLE IF NOT EXISTS migration_lease (
    id SMALLINT PRIMARY KEY CHECK (id = 1), holder UUID NOT NULL, expires_at BIGINT NOT NULL)";

/// Expression for the time at this moment by the clock of the database, in milliseconds since 1970.
macro_rules! now {
    () => {
        "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint"
    };
}

/// Expression for the time at which a lease expires that is acquired or renewed at this moment.
macro_rules! expiry {
    () => {
        concat!(now!(), " + 10000")
    };
}

/// Statement that acquires the lease if no node holds it. A lease that expires later than a new one
/// would is from before the clock was set back, or from another server, and is not valid.
const ACQUIRE: &str = concat!(
    "INSERT INTO migration_lease AS lease (id, holder, expires_at) VALUES (1, gen_random_uuid(), ",
    expiry!(),
    ") ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, expires_at = ",
    expiry!(),
    " WHERE lease.expires_at NOT BETWEEN ",
    now!(),
    " AND ",
    expiry!(),
    " RETURNING holder::text"
);

/// Lease that was acquired, and that another node acquires once it has expired.
pub(super) struct MigrationLease {
    /// Random id of this acquisition.
    holder: Uuid,
}

impl MigrationLease {
    /// Acquires the lease. Waits while the holder's transaction is open, and returns `None` if the
    /// lease is still held then. The table must exist.
    pub(super) async fn acquire(
        connection: &mut PgConnection,
    ) -> Result<Option<Self>, sqlx::Error> {
        let Some(row) = sqlx::raw_sql(ACQUIRE).fetch_optional(connection).await? else {
            return Ok(None);
        };
        let holder: String = row.try_get(0)?;
        let holder = holder.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Some(Self { holder }))
    }

    /// Renews the lease, and locks it until the transaction ends, so that no other node acquires it
    /// meanwhile. Returns `false` if another node has acquired it.
    pub(super) async fn renew(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let set = concat!("UPDATE migration_lease SET expires_at = ", expiry!());
        self.run(set, connection).await
    }

    /// Releases the lease, if no other node has acquired it.
    pub(super) async fn release(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.run("DELETE FROM migration_lease", connection).await.map(drop)
    }

    /// Runs a statement on the row of this lease. Returns `true` if there is one.
    async fn run(&self, verb: &str, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let statement = format!("{verb} WHERE id = 1 AND holder = '{}'", self.holder);
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
        Ok(done.rows_affected() > 0)
    }
}
