//! Check of the role's privileges for `user-server check`: takes every kind of lock and makes every
//! kind of change on each table, in one transaction that is rolled back.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::migration::functions;
use super::{BEGIN, PostgresOptions, PostgresStore, connection, sql};
use crate::domain::Fault;
use crate::store::TABLES;

/// Statements to run on each table. They change no row, but need the same privileges as those that
/// do. Locked rows are skipped, so that a running server is not delayed.
const STATEMENTS: [&str; 5] = [
    "SELECT 1 FROM {table} WHERE false FOR NO KEY UPDATE",
    "SELECT 1 FROM {table} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED",
    "INSERT INTO {table} ({column}) SELECT {column} FROM {table} WHERE false",
    "UPDATE {table} SET {column} = {column} WHERE false",
    "DELETE FROM {table} WHERE false",
];
/// Statements that create a table, and write enough rows that the file system must allocate space.
const CREATE: [&str; 2] = [
    "CREATE TABLE user_server_check (filler text)",
    "INSERT INTO user_server_check SELECT repeat(md5(i::text), 20) FROM generate_series(1, 400) i",
];

/// Fails as a migration that changes a table or a function would, if the role does not own one of
/// those of the service. Takes no lock.
const OWN: &str = "DO $$
    DECLARE
        object text;
    BEGIN
        SELECT name INTO object FROM (
            SELECT 'table ' || relname AS name, relowner AS owner FROM pg_class
            WHERE relkind = 'r' AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
                AND relname IN ({tables})
            UNION ALL
            SELECT 'function ' || proname, proowner FROM pg_proc
            WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
                AND proname IN ({functions})
        ) AS objects WHERE NOT pg_has_role(owner, 'USAGE') LIMIT 1;
        IF FOUND THEN
            RAISE insufficient_privilege USING MESSAGE = 'must be owner of ' || object;
        END IF;
    END $$";

/// Statements that need the same privileges as those that acquire, renew and release the lease
/// under which one node migrates.
const LEASE: [&str; 3] = [
    "INSERT INTO migration_lease (id) SELECT id FROM migration_lease WHERE false",
    "UPDATE migration_lease SET expires_at = expires_at WHERE false",
    "DELETE FROM migration_lease WHERE false",
];

impl PostgresStore {
    /// Checks that the role may lock and change the rows of each table, in a transaction that is
    /// rolled back. Returns the number of the service's tables that exist.
    ///
    /// # Errors
    /// If the role may not run one of the statements, or the database cannot be written.
    pub async fn rehearse(options: &PostgresOptions) -> Result<usize, Fault> {
        let mut connection = connection::connect(&options.for_requests(), options.pooler).await?;
        run(&mut connection, BEGIN.all).await?;
        let mut tables = 0;
        for (table, column) in TABLES {
            let exists = format!("SELECT 1 WHERE to_regclass('{table}') IS NOT NULL");
            let row = connection.fetch_optional(AssertSqlSafe(exists)).await.map_err(sql::fault)?;
            if row.is_none() {
                continue;
            }
            tables += 1;
            for statement in STATEMENTS {
                let text = statement.replace("{table}", table).replace("{column}", column);
                run(&mut connection, &text).await?;
            }
        }
        run(&mut connection, "ROLLBACK").await?;
        connection.close().await.map_err(sql::fault)?;
        Ok(tables)
    }

    /// Checks that the role owns the tables and functions, may create tables, and may acquire the
    /// lease of migrations, in a transaction that is rolled back.
    ///
    /// # Errors
    /// If the role may not run one of the statements, or the database cannot be written.
    pub async fn rehearse_migration(options: &PostgresOptions) -> Result<(), Fault> {
        let mut connection = connection::connect(&options.hosts, options.pooler).await?;
        run(&mut connection, BEGIN.all).await?;
        for statement in CREATE {
            run(&mut connection, statement).await?;
        }
        let exists = sqlx::raw_sql("SELECT 1 WHERE to_regclass('migration_lease') IS NOT NULL");
        if connection.fetch_optional(exists).await.map_err(sql::fault)?.is_some() {
            for statement in LEASE {
                run(&mut connection, statement).await?;
            }
        }
        let list = |names: Vec<&str>| format!("'{}'", names.join("', '"));
        let tables = list(TABLES.iter().map(|(table, _)| *table).collect());
        let own = OWN.replace("{tables}", &tables).replace("{functions}", &list(functions()));
        run(&mut connection, &own).await?;
        run(&mut connection, "ROLLBACK").await?;
        connection.close().await.map_err(sql::fault)
    }
}

async fn run(connection: &mut PgConnection, statement: &str) -> Result<(), Fault> {
    let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
    statement.execute(connection).await.map(drop).map_err(sql::fault)
}
