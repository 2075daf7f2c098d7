//! The schema of the PostgreSQL database: its version, and the migrations that update it.

use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use tokio::time::{Instant, sleep, timeout_at};

use super::lease::{self, MigrationLease};
use super::{LIMITS_TRANSACTIONS, PostgresOptions, PostgresStore, connection, sql};
use crate::domain::Fault;

/// Settings of the connection that migrates, which do not depend on defaults of the database and
/// the role. A migration may take long, but does not wait forever for a lock, since requests queue
/// behind it. The server ends the transaction of a node that has failed.
const SETTINGS: [(&str, &str); 4] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "60s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("default_transaction_isolation", "read committed"),
];
/// Maximum time to wait while another node migrates the schema.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Pause before the lease of another node is read again.
const PAUSE: Duration = Duration::from_millis(200);
/// Table of the migrations that were applied, which sqlx creates.
const APPLIED: &str = "_sqlx_migrations";

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/postgres");

/// Returns the names of the stored functions that the migrations create.
pub(super) fn functions() -> Vec<&'static str> {
    let created = |text: &'static str| text.split("CREATE FUNCTION ").skip(1);
    let functions = MIGRATIONS.iter().flat_map(|migration| created(migration.sql.as_str()));
    functions.filter_map(|text| text.split('(').next()).collect()
}

/// Migration of the database schema that this binary contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    pub version: i64,
    /// Description from the name of the migration's file.
    pub description: String,
}

/// Schema version of a database, compared with the one that this binary needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaState {
    /// Version of the newest migration that was applied, or zero if none was.
    pub version: i64,
    /// Version of the newest migration that this binary contains.
    pub needed: i64,
    /// Migrations that this binary contains and that were not applied yet, in order.
    pub pending: Vec<Migration>,
}

impl SchemaState {
    /// Compares the versions of the applied migrations with the migrations of this binary.
    pub(in crate::store) fn compare(
        applied: &[i64],
        known: impl Iterator<Item = Migration>,
    ) -> Self {
        let known: Vec<Migration> = known.collect();
        Self {
            version: applied.iter().copied().max().unwrap_or(0),
            needed: known.iter().map(|migration| migration.version).max().unwrap_or(0),
            pending: known
                .into_iter()
                .filter(|migration| !applied.contains(&migration.version))
                .collect(),
        }
    }

    /// Checks that no migration is pending.
    ///
    /// # Errors
    /// Fails with a message that states the schema version and how to update it.
    pub fn require(&self) -> Result<(), Fault> {
        let Self { version, needed, .. } = self;
        if self.pending.is_empty() {
            return Ok(());
        }
        Err(Fault::Unavailable(format!(
            "schema {version}, this version needs {needed}: run: user-server migrate"
        )))
    }
}

impl PostgresStore {
    /// Returns the schema version that this binary needs.
    #[must_use]
    pub fn newest_schema() -> i64 {
        known().map(|migration| migration.version).max().unwrap_or(0)
    }

    /// Reads the state of a database's schema.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn schema(options: &PostgresOptions) -> Result<SchemaState, Fault> {
        let mut connection = connection::connect(&options.hosts, options.pooler).await?;
        state(&mut connection).await
    }

    /// Migrates the schema of a database. If several nodes do so at once, one migrates and the
    /// others wait. A schema of a later version is left unchanged. Returns the state of the schema
    /// before.
    ///
    /// # Errors
    /// If the database cannot be reached or a migration fails.
    pub async fn migrate(options: &PostgresOptions) -> Result<SchemaState, Fault> {
        let before = Self::schema(options).await?;
        if before.pending.is_empty() {
            return Ok(before);
        }
        let direct = options.hosts.map(|options| options.options(SETTINGS));
        let mut connection = connection::connect(&direct, options.pooler).await?;
        if let Some(LIMITS_TRANSACTIONS..) = connection.server_version_num() {
            let no_limit = sqlx::raw_sql("SET transaction_timeout = 0");
            no_limit.execute(&mut connection).await.map_err(sql::fault)?;
        }
        let until = Instant::now() + MAX_WAIT;
        let table = sqlx::raw_sql(lease::CREATE).execute(&mut connection).await;
        created(table.map(drop)).map_err(sql::fault)?;
        loop {
            let (lease, before) = match timeout_at(until, acquire(&mut connection)).await {
                Ok(acquired) => acquired?,
                Err(_) => return Err(still_migrating()),
            };
            let Some(lease) = lease else { return Ok(before) };
            let outcome = apply_pending(&mut connection, &lease).await;
            // A lease that cannot be released expires.
            let _ = lease.release(&mut connection).await;
            match outcome? {
                Outcome::Finished => return Ok(before),
                Outcome::Interrupted if Instant::now() > until => return Err(still_migrating()),
                Outcome::Interrupted => {
                    tracing::warn!("another node migrates the schema too; checking what is left");
                }
            }
        }
    }
}

/// Result of applying migrations.
enum Outcome {
    /// None is missing any more.
    Finished,
    /// Another node applies migrations: it has acquired the lease, or it is of an earlier version,
    /// which does not ask for the lease.
    Interrupted,
}

fn still_migrating() -> Fault {
    let seconds = MAX_WAIT.as_secs();
    Fault::Unavailable(format!(
        "another node is migrating the schema, and has not finished within {seconds} s"
    ))
}

/// Returns the result of `CREATE TABLE IF NOT EXISTS`. Two nodes that run it at once collide in the
/// catalog: the second one fails after the first has created the table.
fn created(result: Result<(), sqlx::Error>) -> Result<(), sqlx::Error> {
    // unique_violation, duplicate_table, duplicate_object
    let exists = |code: &str| ["23505", "42P07", "42710"].contains(&code);
    match result {
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| exists(&code)) => {
            Ok(())
        }
        result => result,
    }
}

/// Waits until no other node holds the lease, and acquires it. Returns it with the state of the
/// schema, or without a lease if no migration is pending any more.
async fn acquire(
    connection: &mut PgConnection,
) -> Result<(Option<MigrationLease>, SchemaState), Fault> {
    let mut waited = false;
    loop {
        let before = state(connection).await?;
        if before.pending.is_empty() {
            return Ok((None, before));
        }
        match MigrationLease::acquire(connection).await.map_err(sql::fault) {
            Ok(Some(lease)) => return Ok((Some(lease), state(connection).await?)),
            // Another node may have acquired it at the same moment.
            Ok(None) | Err(Fault::Conflict(_)) => {}
            Err(fault) => return Err(fault),
        }
        if !waited {
            tracing::info!("another node migrates the schema; waiting until it has finished");
            waited = true;
        }
        sleep(PAUSE).await;
    }
}

/// Applies the migrations that are missing, each in a transaction of its own.
async fn apply_pending(
    connection: &mut PgConnection,
    lease: &MigrationLease,
) -> Result<Outcome, Fault> {
    match connection.ensure_migrations_table(APPLIED).await {
        Err(MigrateError::Execute(error)) => created(Err(error)).map_err(sql::fault)?,
        table => table.map_err(migration_fault)?,
    }
    if let Some(version) = connection.dirty_version(APPLIED).await.map_err(migration_fault)? {
        return Err(Fault::Internal(format!("migration {version} is applied only in part")));
    }
    let applied = connection.list_applied_migrations(APPLIED).await.map_err(migration_fault)?;
    for migration in MIGRATIONS.iter() {
        match applied.iter().find(|applied| applied.version == migration.version) {
            None => {}
            Some(applied) if applied.checksum == migration.checksum => continue,
            Some(applied) => {
                let version = applied.version;
                return Err(Fault::Internal(format!(
                    "migration {version} has changed since it was applied"
                )));
            }
        }
        let error = match apply(connection, lease, migration).await {
            Ok(true) => continue,
            Ok(false) => return Ok(Outcome::Interrupted),
            Err(error) => error,
        };
        let fault = sql::fault(error);
        let is_pending = |state: SchemaState| {
            state.pending.iter().any(|pending| pending.version == migration.version)
        };
        let is_pending = state(connection).await.map_or(true, is_pending);
        if !is_pending || matches!(fault, Fault::Conflict(_)) {
            return Ok(Outcome::Interrupted);
        }
        let version = migration.version;
        return Err(match fault {
            Fault::Internal(text) => Fault::Internal(format!("migration {version}: {text}")),
            fault => fault,
        });
    }
    Ok(Outcome::Finished)
}

/// Applies a migration in a transaction that also records it, and that holds the lease: a node that
/// was stalled and has lost the lease changes nothing. Returns `false` in that case.
async fn apply(
    connection: &mut PgConnection,
    lease: &MigrationLease,
    migration: &sqlx::migrate::Migration,
) -> Result<bool, sqlx::Error> {
    let began = Instant::now();
    let mut transaction = connection.begin().await?;
    if !lease.renew(&mut transaction).await? {
        transaction.rollback().await?;
        return Ok(false);
    }
    transaction.execute(migration.sql.clone()).await?;
    let record = sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES ($1, $2, TRUE, $3, $4)",
    )
    .bind(migration.version)
    .bind(&*migration.description)
    .bind(&*migration.checksum)
    .bind(i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX));
    record.execute(&mut *transaction).await?;
    // The migration may have taken longer than the lease lasts.
    lease.renew(&mut transaction).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Converts an error of the table of applied migrations.
fn migration_fault(error: MigrateError) -> Fault {
    match error {
        MigrateError::Execute(error) => sql::fault(error),
        error => Fault::Internal(format!("migration: {error}")),
    }
}

fn known() -> impl Iterator<Item = Migration> {
    MIGRATIONS.iter().map(|migration| Migration {
        version: migration.version,
        description: migration.description.to_string(),
    })
}

/// Compares the migrations that were applied with those of this binary.
pub(super) async fn state(connection: &mut PgConnection) -> Result<SchemaState, Fault> {
    let table = "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('_sqlx_migrations')";
    let (tables,): (i64,) = sqlx::query_as(table)
        .persistent(false)
        .fetch_one(&mut *connection)
        .await
        .map_err(sql::fault)?;
    let applied: Vec<(i64,)> = match tables {
        0 => Vec::new(),
        _ => sqlx::query_as("SELECT version FROM _sqlx_migrations WHERE success")
            .persistent(false)
            .fetch_all(connection)
            .await
            .map_err(sql::fault)?,
    };
    let applied: Vec<i64> = applied.into_iter().map(|(version,)| version).collect();
    Ok(SchemaState::compare(&applied, known()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outside of a transaction, a node that has lost the lease could change the schema.
    #[test]
    fn every_migration_runs_in_a_transaction() {
        for migration in MIGRATIONS.iter() {
            assert!(!migration.no_tx, "{} {}", migration.version, migration.description);
        }
    }
}
