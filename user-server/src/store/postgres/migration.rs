//! The schema: its version, and the migrations that update it.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;

use super::{ACQUIRE_TIMEOUT, PostgresOptions, PostgresStore, connection, sql};
use crate::domain::Fault;

/// The time for which a node waits while another migrates the schema.
const LOCK_TIMEOUT: &str = "60s";
/// The time for which a node waits for a connection, including a new one.
const CONNECT_TIMEOUT: Duration = ACQUIRE_TIMEOUT;

/// A migration of this version that was not applied yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    pub version: i64,
    /// The purpose, as the name of its file states it.
    pub description: String,
}

/// The schema of a database, compared with the one that this version needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaState {
    /// The newest migration that was applied, or zero.
    pub version: i64,
    /// The newest migration of this version.
    pub needed: i64,
    /// Migrations of this version that are missing, in order.
    pub pending: Vec<Migration>,
}

impl SchemaState {
    /// Compares the migrations that were applied with all those of this version.
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

    /// Returns an error if a migration is missing.
    ///
    /// # Errors
    /// Says which version the schema has and how to update it.
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
    /// Returns the schema version of this binary.
    #[must_use]
    pub fn newest_schema() -> i64 {
        known().map(|migration| migration.version).max().unwrap_or(0)
    }

    /// Reads the state of the schema.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn schema(options: &PostgresOptions) -> Result<SchemaState, Fault> {
        let mut connection = connection::connect(&options.connect, options.pooler).await?;
        state(&mut connection).await
    }

    /// Migrates the schema. If several nodes do so at once, one migrates and the others wait. The
    /// schema of a later version is left unchanged. Returns the state before.
    ///
    /// # Errors
    /// If the database cannot be reached or a migration fails.
    pub async fn migrate(options: &PostgresOptions) -> Result<SchemaState, Fault> {
        let before = Self::schema(options).await?;
        if before.pending.is_empty() {
            return Ok(before);
        }
        let direct = options.connect.clone().options([
            ("lock_timeout", LOCK_TIMEOUT),
            ("default_transaction_isolation", "read committed"),
        ]);
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
        let pool = pool.connect_with(direct).await.map_err(sql::fault)?;
        let mut migrator = sqlx::migrate!("../migrations/postgres");
        migrator.set_ignore_missing(true);
        migrator.run(&pool).await.map_err(migration_fault)?;
        pool.close().await;
        Ok(before)
    }
}

/// Converts an error of the migrator. A fault of the database stays one.
fn migration_fault(error: sqlx::migrate::MigrateError) -> Fault {
    use sqlx::migrate::MigrateError;
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            match sql::fault(error) {
                Fault::Internal(text) => Fault::Internal(format!("migration: {text}")),
                fault => fault,
            }
        }
        error => Fault::Internal(format!("migration: {error}")),
    }
}

fn known() -> impl Iterator<Item = Migration> {
    let migrator = sqlx::migrate!("../migrations/postgres");
    let known: Vec<Migration> = migrator
        .iter()
        .map(|migration| Migration {
            version: migration.version,
            description: migration.description.to_string(),
        })
        .collect();
    known.into_iter()
}

/// Reads the migrations that were applied.
pub(super) async fn state(connection: &mut sqlx::PgConnection) -> Result<SchemaState, Fault> {
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
