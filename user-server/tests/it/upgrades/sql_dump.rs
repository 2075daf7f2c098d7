//! Databases as SQL statements, which a diff can show.

use std::path::Path;
use std::process::Command;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, SqliteConnection};

/// Statements that list the tables, and what depends on their rows.
const TABLES: &str = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE \
                      'sqlite%' ORDER BY rowid";
const OTHERS: &str = "SELECT sql FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL \
                      ORDER BY rowid";

/// Opens an SQLite database that no server uses.
async fn open(path: &Path, create: bool) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(create);
    // The rows are in the order of the tables. The server has chosen the journal mode.
    options.foreign_keys(false).journal_mode(SqliteJournalMode::Wal).connect().await.unwrap()
}

/// Returns the statements that create the SQLite database at `path`.
pub async fn dump_sqlite(path: &Path) -> String {
    let mut database = open(path, false).await;
    let tables: Vec<(String, String)> =
        sqlx::query_as(TABLES).fetch_all(&mut database).await.unwrap();
    let mut statements: Vec<String> = tables.iter().map(|(_, sql)| sql.clone()).collect();
    let sequences = "sqlite_sequence".to_owned();
    for table in tables.into_iter().map(|(name, _)| name).chain([sequences]) {
        let columns = format!("SELECT name FROM pragma_table_info('{table}')");
        let columns: Vec<(String,)> =
            sqlx::query_as(AssertSqlSafe(columns)).fetch_all(&mut database).await.unwrap();
        let quoted: Vec<_> = columns.iter().map(|(name,)| format!("quote(\"{name}\")")).collect();
        let rows = format!("SELECT {} FROM {table}", quoted.join(" || ', ' || "));
        let rows: Vec<(String,)> =
            sqlx::query_as(AssertSqlSafe(rows)).fetch_all(&mut database).await.unwrap();
        // The rows of a table with AUTOINCREMENT have added a row of their own.
        if table == "sqlite_sequence" {
            statements.push(format!("DELETE FROM {table}"));
        }
        statements
            .extend(rows.iter().map(|(values,)| format!("INSERT INTO {table} VALUES ({values})")));
    }
    let others: Vec<(String,)> = sqlx::query_as(OTHERS).fetch_all(&mut database).await.unwrap();
    statements.extend(others.into_iter().map(|(sql,)| sql));
    database.close().await.unwrap();
    statements.iter().map(|statement| format!("{statement};\n")).collect()
}

/// Creates an SQLite database from statements.
pub async fn load_sqlite(statements: &str, path: &Path) {
    let mut database = open(path, true).await;
    let statements = format!("BEGIN;\n{statements}COMMIT;");
    database.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await.unwrap();
    database.close().await.unwrap();
}

/// Returns the statements that create a PostgreSQL database, for any supported version of the
/// server.
pub fn dump_postgres(url: &str) -> String {
    let mut command = Command::new("pg_dump");
    command.args(["--no-owner", "--no-privileges", "--inserts", "--rows-per-insert=100", url]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // Commands of psql, and a parameter that older servers do not have.
    let foreign = |line: &&str| line.starts_with('\\') || line.contains("transaction_timeout");
    text.lines().filter(|line| !foreign(line)).fold(String::new(), |text, line| text + line + "\n")
}

/// Creates the contents of an empty PostgreSQL database from statements.
pub async fn load_postgres(statements: &str, url: &str) {
    let mut database = PgConnection::connect(url).await.unwrap();
    database.execute(sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))).await.unwrap();
    database.close().await.unwrap();
}

/// Returns the schema version of a PostgreSQL database.
pub async fn schema_of_postgres(url: &str) -> i64 {
    let mut database = PgConnection::connect(url).await.unwrap();
    let newest = "SELECT MAX(version) FROM _sqlx_migrations";
    let (schema,) = sqlx::query_as(newest).fetch_one(&mut database).await.unwrap();
    database.close().await.unwrap();
    schema
}

/// Returns the schema version of an SQLite database.
pub async fn schema_of_sqlite(path: &Path) -> i64 {
    let mut database = open(path, false).await;
    let newest = "SELECT MAX(version) FROM _sqlx_migrations";
    let (schema,) = sqlx::query_as(newest).fetch_one(&mut database).await.unwrap();
    database.close().await.unwrap();
    schema
}
