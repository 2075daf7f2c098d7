//! Nodes behind a connection pooler, with and without prepared statements.

use std::sync::Arc;

use user_server::store::{PostgresOptions, PostgresStore};

use super::node;
use crate::contract::counters;
use crate::contract::fixture::Db;
use crate::support::{Pgbouncer, Postgres, SECRET, postgres, run_in};
use crate::tour;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_format_of_bytes_that_the_database_sets_does_not_matter() {
    let Some(server) = postgres() else { return };
    let direct = server.database();
    let name = direct.rsplit('/').next().unwrap();
    let escape = format!("ALTER DATABASE {name} SET bytea_output = 'escape'");
    assert!(server.psql("postgres", &escape));
    let options = PostgresOptions::parse(&direct, 2, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let pooler = Pgbouncer::before(server);
    let pooled = pooler.as_ref().map(|pooler| pooler.url(name));
    for (url, pooler) in
        std::iter::once((direct.clone(), false)).chain(pooled.map(|url| (url, true)))
    {
        let db: Db =
            Arc::new(PostgresStore::open(&PostgresOptions::parse(&url, 2, pooler).unwrap()));
        counters::a_charge_of_values_that_were_read_before_loses_nothing(&db).await;
        db.close().await;
        assert!(server.psql(name, "DELETE FROM counters"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_passes_behind_a_pooler() {
    let Some(server) = postgres() else { return };
    let Some(pooler) = Pgbouncer::before(server) else { return };
    let direct = server.database();
    let name = direct.rsplit('/').next().unwrap();
    let pooled = pooler.url(name);
    tour::run(node(&pooled, &[("DATABASE_POOLER", "1"), ("MIGRATE_URL", &direct)]).await).await;
}

/// Sets what the statements of a node rely on that runs them outside of transactions.
pub fn set_defaults(server: &Postgres, database: &str) {
    for setting in [
        "statement_timeout = '2s'",
        "lock_timeout = '1500ms'",
        "bytea_output = 'hex'",
        "default_transaction_isolation = 'read committed'",
        "enable_seqscan = off",
        "jit = off",
    ] {
        assert!(server.psql("postgres", &format!("ALTER DATABASE {database} SET {setting}")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_passes_behind_a_pooler_with_prepared_statements() {
    let Some(server) = postgres() else { return };
    let Some(pooler) = Pgbouncer::with_prepared_statements(server) else { return };
    let direct = server.database();
    let name = direct.rsplit('/').next().unwrap();
    set_defaults(server, name);
    let pooled = pooler.url(name);
    let settings = [("DATABASE_POOLER", "prepared"), ("MIGRATE_URL", direct.as_str())];
    tour::run(node(&pooled, &settings).await).await;
}

#[test]
fn a_pooler_with_prepared_statements_needs_settings_of_the_database() {
    let Some(server) = postgres() else { return };
    let Some(pooler) = Pgbouncer::before(server) else { return };
    let direct = server.database();
    let name = direct.rsplit('/').next().unwrap();
    let pooled = pooler.url(name);
    let settings = [
        ("PostgreSQL", pooled.as_str()),
        ("JWTSECRETKEY", SECRET),
        ("MAIL_DIR", "mails"),
        ("DATABASE_POOLER", "prepared"),
        ("MIGRATE_URL", direct.as_str()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let missing = "needs settings of the role or the database";
    let start = run_in(folder.path(), &[], &settings);
    assert!(start.code == Some(1) && start.error.contains(missing), "{start:?}");
    let check = run_in(folder.path(), &["check"], &settings);
    assert!(check.code == Some(1) && check.output.contains(missing), "{check:?}");
    set_defaults(server, name);
    drop(pooler);
    let pooler = Pgbouncer::before(server).unwrap();
    let pooled = pooler.url(name);
    let settings = [&[("PostgreSQL", pooled.as_str())], &settings[1..]].concat();
    let check = run_in(folder.path(), &["check"], &settings);
    assert_eq!(check.code, Some(0), "{check:?}");
}
