//! The revocation log and the retired keys: entries that commit late, and a node that cannot read
//! them.

use std::time::{Duration, Instant};

use user_proto::{ErrorCode, VerifyToken};
use user_server::domain::{ConnectionPools, Fault, LogPart, RevocationLog, Timestamp};
use user_server::store::{PostgresOptions, PostgresStore};
use uuid::Uuid;

use super::node;
use crate::support::{Process, SECRET, postgres};

/// A node that cannot learn of retired keys must not go on accepting their tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_retired_keys_token_checks_become_stale_and_then_unavailable() {
    let Some(database) = postgres() else { return };
    let url = database.database();
    let settings = [
        ("PostgreSQL", url.as_str()),
        ("JWTSECRETKEY", SECRET),
        ("MAIL_DIR", "user-data/mails"),
        ("STALE_LIMIT", "2"),
    ];
    let node = Process::start(&settings);
    let client = node.client();
    let ada = node.account(&client, "ada").await;
    let check = || VerifyToken { access_token: ada.session.access_token.clone() };
    let name = url.rsplit('/').next().unwrap();
    let rename = |from, to| database.psql(name, &format!("ALTER TABLE {from} RENAME TO {to}"));
    assert!(rename("retired_keys", "hidden"));
    let (mut was_stale, began) = (false, Instant::now());
    let code = loop {
        match client.call(check()).await {
            Ok(verified) => was_stale |= verified.stale_ms.is_some_and(|age| age > 1000),
            Err(error) => break error.code(),
        }
        assert!(began.elapsed() < Duration::from_secs(20), "retired keys would be accepted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((was_stale, code), (true, Some(ErrorCode::UNAVAILABLE)));
    let log = node.log();
    assert!(log.contains("cannot read the revocation log and the retired keys"), "{log}");
    assert!(rename("hidden", "retired_keys"));
    while client.call(check()).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "it does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    node.kill().await;
}

/// An entry of the revocation log that commits after later ones is found by its number.
#[tokio::test]
async fn a_late_entry_of_the_revocation_log_is_found_by_its_number() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let node = node(&url, &[]).await;
    let options = PostgresOptions::parse(&url, 1, false).unwrap();
    let store = PostgresStore::open(&options);
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let insert = "INSERT INTO revocations (subject, at, kind) VALUES ($1, 1, 1) RETURNING seq";
    let add = || sqlx::query_scalar::<_, i64>(insert).bind(Uuid::new_v4());
    let mut late = pool.begin().await.unwrap();
    let late_number = add().fetch_one(&mut *late).await.unwrap();
    let number = add().fetch_one(&pool).await.unwrap();
    assert!(late_number < number);
    let none = Timestamp(i64::MAX);
    let part = LogPart { after: number, since: none, until: none, numbers: vec![late_number] };
    assert!(store.revocations(&part).await.unwrap().entries.is_empty(), "not committed");
    late.commit().await.unwrap();
    let found = store.revocations(&part).await.unwrap().entries;
    assert_eq!(found.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [late_number]);
    store.close().await;
    node.stop().await;
}

/// A standby may lack the latest revocations, so reading them there does not count.
#[tokio::test]
async fn revocations_are_not_read_from_a_standby() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let options = PostgresOptions::parse(&url, 1, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let primary = PostgresStore::open(&options);
    assert!(primary.revocations(&LogPart::all()).await.is_ok());
    primary.close().await;
    // A function of this name that precedes that of the system.
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    for statement in [
        "CREATE SCHEMA recovery",
        "CREATE FUNCTION recovery.pg_is_in_recovery() RETURNS boolean LANGUAGE sql
         AS 'SELECT true'",
        "DO $$ BEGIN EXECUTE format(
             'ALTER DATABASE %I SET search_path = recovery, public, pg_catalog',
             current_database()); END $$",
    ] {
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    }
    let standby = PostgresStore::open(&options);
    let read = standby.revocations(&LogPart::all()).await;
    assert!(matches!(&read, Err(Fault::ReadOnly(text)) if text.contains("standby")), "{read:?}");
    standby.close().await;
}
