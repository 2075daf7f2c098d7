//! The schema of the PostgreSQL database: its version, and the migrations that update it.

use super::{PostgresOptions, PostgresStore, connection, sql};
use crate::domain::Fault;

/// Maximum time to wait while another node migrates the schema, as the option `lock_timeout`.
const LOCK_TIMEOUT: &str = "60s";

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
        let direct = options.hosts.map(|options| {
            options.options([
                ("lock_timeout", LOCK_TIMEOUT),
                ("default_transaction_isolation", "read committed"),
            ])
        });
        let mut connection = connection::connect(&direct, options.pooler).await?;
        let mut migrator = sqlx::migrate!("../migrations/postgres");
        migrator.set_ignore_missing(true);
        migrator.run_direct(None, &mut connection, false).await.map_err(migration_fault)?;
        Ok(before)
    }
}

/// Converts an error of the migrator. An error that the database reports is classified as for any
/// other statement.
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

/// Compares the migrations that were applied with those of this binary.
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
