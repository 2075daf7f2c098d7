//! The schema of the SQLite database: its version, and the migrations that update it.

use std::path::Path;

use sqlx::{ConnectOptions, Connection, SqlitePool};

use super::{SqliteStore, options, sql};
use crate::domain::Fault;
use crate::store::{Migration, SchemaState};

impl SqliteStore {
    /// Returns the schema version that this binary needs.
    #[must_use]
    pub fn newest_schema() -> i64 {
        known().iter().map(|migration| migration.version).max().unwrap_or(0)
    }

    /// Reads the state of the schema of the database at `path`, without changing the file. If the
    /// file does not exist, all migrations are pending.
    ///
    /// # Errors
    /// If the file is not a database.
    pub async fn schema(path: &Path) -> Result<SchemaState, Fault> {
        if !path.exists() {
            return Ok(SchemaState::compare(&[], known().into_iter()));
        }
        let pool = super::pool(1).connect_lazy_with(options(path).read_only(true));
        let state = state(&pool).await;
        pool.close().await;
        state
    }

    /// Migrates the schema of the database at `path`, which is created if it does not exist.
    /// Returns the state of the schema before.
    ///
    /// # Errors
    /// If the file cannot be opened, or is not a database.
    pub async fn migrate(path: &Path) -> Result<SchemaState, Fault> {
        let before = Self::schema(path).await?;
        let store = Self::open(path).await?;
        crate::domain::ConnectionPools::close(&store).await;
        Ok(before)
    }

    /// Checks that the database at `path` can be written, by a transaction that is rolled back.
    /// Returns the state of the schema.
    ///
    /// # Errors
    /// If the file cannot be opened or written.
    pub async fn rehearse(path: &Path) -> Result<SchemaState, Fault> {
        super::file_system::check(path)?;
        let schema = Self::schema(path).await?;
        let mut connection = options(path).connect().await.map_err(sql::fault)?;
        let statements = "BEGIN IMMEDIATE; CREATE TABLE user_server_check (filler BLOB);
                          INSERT INTO user_server_check VALUES (zeroblob(65536)); ROLLBACK";
        sqlx::raw_sql(statements).execute(&mut connection).await.map_err(sql::fault)?;
        connection.close().await.map_err(sql::fault)?;
        Ok(schema)
    }
}

/// Applies the pending migrations. Those of a later version are left in place: a schema only grows,
/// so the previous version can start again after an upgrade.
pub(super) async fn migrate(writer: &SqlitePool) -> Result<(), Fault> {
    use sqlx::migrate::MigrateError;
    let mut migrator = sqlx::migrate!("../migrations/sqlite");
    migrator.set_ignore_missing(true);
    match migrator.run(writer).await {
        Ok(()) => Ok(()),
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
            Err(sql::fault(error))
        }
        Err(error) => Err(Fault::Internal(format!("migration: {error}"))),
    }
}

/// Compares the migrations that were applied with those of this binary.
pub(super) async fn state(pool: &SqlitePool) -> Result<SchemaState, Fault> {
    let table = "SELECT COUNT(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    let (tables,): (i64,) = sqlx::query_as(table).fetch_one(pool).await.map_err(sql::fault)?;
    let applied: Vec<(i64,)> = match tables {
        0 => Vec::new(),
        _ => sqlx::query_as("SELECT version FROM _sqlx_migrations WHERE success")
            .fetch_all(pool)
            .await
            .map_err(sql::fault)?,
    };
    let applied: Vec<i64> = applied.into_iter().map(|(version,)| version).collect();
    Ok(SchemaState::compare(&applied, known().into_iter()))
}

fn known() -> Vec<Migration> {
    let migrator = sqlx::migrate!("../migrations/sqlite");
    migrator
        .iter()
        .map(|migration| Migration {
            version: migration.version,
            description: migration.description.to_string(),
        })
        .collect()
}
