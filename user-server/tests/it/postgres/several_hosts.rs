//! A database with several servers, of which one accepts writes.

use std::path::Path;
use std::sync::Arc;

use user_server::domain::Fault;
use user_server::store::{PostgresOptions, PostgresStore};

use super::node;
use crate::contract::fixture::{Db, NOW, user};
use crate::support::{Postgres, RunOutput, SECRET, free_port, postgres, run_in};

/// Statement that fails unless the service has created its tables.
const MIGRATED: &str = "SELECT 1 FROM users LIMIT 1";

fn run(folder: &Path, arguments: &[&str], url: &str) -> RunOutput {
    let mails = folder.join("mails");
    let mail_dir = mails.to_str().unwrap();
    let settings = [("PostgreSQL", url), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", mail_dir)];
    run_in(folder, arguments, &settings)
}

/// Every command finds the server, although the first host refuses connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_finds_the_server_that_answers() {
    let Some(server) = postgres() else { return };
    let (url, folder) = (server.database(), tempfile::tempdir().unwrap());
    let name = url.rsplit('/').next().unwrap();
    let (down, address) = (free_port(), server.address());
    let port = address.rsplit(':').next().unwrap();
    let urls = [
        format!("postgres://tests@127.0.0.1:{down},{address}/{name}?target_session_attrs=primary"),
        format!("host=127.0.0.1,localhost port={down},{port} user=tests dbname='{name}'"),
    ];
    for url in &urls {
        for arguments in [
            &["migrate"][..],
            &["check"],
            &["user", "list"],
            &["fsck"],
            &["restore", "--after-pg-restore"],
        ] {
            let done = run(folder.path(), arguments, url);
            assert_eq!(done.code, Some(0), "{arguments:?}: {}{}", done.output, done.error);
        }
        node(url, &[]).await.stop().await;
    }
    let nowhere = format!("postgres://tests@127.0.0.1:{down},127.0.0.1:{}/{name}", free_port());
    let done = run(folder.path(), &["migrate"], &nowhere);
    assert_ne!(done.code, Some(0));
    for part in ["no server accepts writes", &format!("127.0.0.1:{down}: "), "promote a standby"] {
        assert!(done.error.contains(part), "{}", done.error);
    }
}

/// Two servers that accept writes, on the same timeline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_of_two_equal_servers_is_used_until_it_is_read_only() {
    let (Some(first), Some(second)) = (Postgres::dedicated(), Postgres::dedicated()) else {
        return;
    };
    for server in [&first, &second] {
        server.database();
    }
    let url = format!("postgres://tests@{},{}/t0", first.address(), second.address());
    let options = |url: &str| PostgresOptions::parse(url, 2, false).unwrap();
    PostgresStore::migrate(&options(&url)).await.unwrap();
    assert!(first.psql("t0", MIGRATED) && !second.psql("t0", MIGRATED));
    PostgresStore::migrate(&options(&second.url("t0"))).await.unwrap();

    let store: Db = Arc::new(PostgresStore::open(&options(&url)));
    user(&store, "ada").await;
    store.check_writable().await.unwrap();
    assert!(first.psql("postgres", "ALTER SYSTEM SET default_transaction_read_only = on"));
    assert!(first.psql("postgres", "SELECT pg_reload_conf()"));
    while !first.psql("t0", "SELECT 1 / current_setting('transaction_read_only')::bool::int") {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let refused = store.mark_erased(NOW).await;
    assert!(matches!(refused, Err(Fault::ReadOnly(_))), "{refused:?}");
    store.mark_erased(NOW).await.unwrap();
    // On a connection of another pool.
    let refused = store.check_writable().await;
    assert!(matches!(refused, Err(Fault::ReadOnly(_))), "{refused:?}");
    store.check_writable().await.unwrap();
    user(&store, "bob").await;
    let is_bob_there = "SELECT 1 / (COUNT(*) = 1)::int FROM users WHERE username = 'bob'";
    assert!(second.psql("t0", is_bob_there) && !first.psql("t0", is_bob_there));
}

/// A role that may not call the functions for the timeline, as on some managed databases.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_tell_its_timeline_is_used_in_order() {
    let (Some(first), Some(second)) = (Postgres::dedicated(), Postgres::dedicated()) else {
        return;
    };
    for server in [&first, &second] {
        server.database();
        for statement in [
            "CREATE ROLE service LOGIN",
            "GRANT ALL ON SCHEMA public TO service",
            "REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC",
        ] {
            assert!(server.psql("t0", statement), "{}", server.log());
        }
    }
    let url = format!("postgres://service@{},{}/t0", second.address(), first.address());
    PostgresStore::migrate(&PostgresOptions::parse(&url, 1, false).unwrap()).await.unwrap();
    assert!(second.psql("t0", MIGRATED) && !first.psql("t0", MIGRATED));
}
