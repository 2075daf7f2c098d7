//! This version on the SQLite database of a later one, to which the next version is rolled back.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use user_proto::RefreshToken;
use user_server::store::TABLES;

use crate::support::{PASSWORD, Process, check, login, outcome, run_in};

/// Expands the schema of the database at `path` as a later version may: a column in each table, a
/// table, and a row in the table of migrations.
pub async fn expand(path: &Path) {
    let mut database = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let columns = TABLES.iter().map(|(table, _)| {
        format!("ALTER TABLE {table} ADD COLUMN of_a_later_version INTEGER NOT NULL DEFAULT 1;")
    });
    let others = "CREATE TABLE of_a_later_version (id INTEGER PRIMARY KEY) STRICT;
                  INSERT INTO _sqlx_migrations
                  VALUES (9999, 'later', CURRENT_TIMESTAMP, TRUE, x'00', 0);";
    let statements: String = columns.chain([others.to_owned()]).collect();
    database.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_schema_can_be_rolled_back_to_this_version() {
    let process = Process::start(&[]);
    let ada = process.account(&process.client(), "ada").await;
    let folder = process.kill().await;
    expand(&folder.path().join("user-data/users.db")).await;

    let process = Process::start_in(folder, &[]);
    let client = process.client();
    assert_eq!(check(&client, &ada.access()).await, None);
    let refresh_token = ada.session.refresh_token.clone();
    outcome(client.call(RefreshToken { refresh_token }).await).unwrap();
    process.account(&client, "bob").await;
    // The commands of this version work beside it, and a backup can be restored by it.
    let run = |arguments: &[&str]| {
        let location = process.location();
        let result = tokio::task::block_in_place(|| run_in(location, arguments, &[]));
        assert_eq!(result.code, Some(0), "{arguments:?}: {result:?}");
    };
    for arguments in
        [["user", "show", "ada"].as_slice(), &["fsck"], &["audit", "verify"], &["backup", "copy"]]
    {
        run(arguments);
    }
    let folder = process.kill().await;
    let restore = ["restore", "copy", "--force"];
    let restored = tokio::task::block_in_place(|| run_in(folder.path(), &restore, &[]));
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let process = Process::start_in(folder, &[]);
    outcome(process.client().call(login("bob", PASSWORD)).await).unwrap();
}
