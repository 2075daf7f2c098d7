//! One node: a wall clock that jumps, all sessions ended at once, retired keys, and a million
//! revocations.

use std::sync::Arc;
use std::time::Duration;

use user_proto::Logout;
use user_proto::client::PoolConfig;
use user_proto::verifier::{Verifier, VerifierConfig};
use user_server::domain::{Clock, Store};
use user_server::keys::Key;
use user_server::store::SqliteStore;

use super::fleet::Fleet;
use super::{EDDSA, NORMAL, WORST};
use crate::support::{Changes, SECRET, TEST_TIMEOUT, TestServer, run_in};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_that_jumps_makes_no_ended_session_valid() {
    let server = TestServer::start_with(&[EDDSA]).await;
    let client = server.client();
    server.account(&client, "ada").await;
    let mut fleet = Fleet::start(&[server.address.to_string()], 4).await;
    let (mut ended, minutes) = (Vec::new(), |count: u64| Duration::from_secs(60 * count));
    for (jump, back) in [(minutes(10), true), (minutes(30), false), (minutes(5), true)] {
        match back {
            true => server.clock.set_back(jump),
            false => server.clock.advance(jump),
        }
        let session = server.login(&client, "ada").await;
        let token = session.access_token.expose_str().unwrap().to_owned();
        fleet.accept(&token).await;
        let logout = async {
            let request = Logout { token: token.as_str().into(), all_sessions: None };
            client.call(request).await.unwrap();
        };
        fleet.observe(session.session_id, &token, logout).await;
        ended.push(token);
        fleet.refuse(&ended).await;
    }
    println!("{}", fleet.row("the wall clock of the node jumps", WORST));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_all_end_at_once_are_refused() {
    let server = TestServer::start_with(&[EDDSA]).await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let mut fleet = Fleet::start(&[server.address.to_string()], 4).await;
    fleet.accept(&ada.access()).await;
    let store = SqliteStore::open(&server.folder.path().join("users.db")).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    // As `restore` does, so that no session of the copy stays open.
    let restore = async {
        store.forget_sessions_at(server.clock.now()).await.unwrap();
    };
    fleet.observe(ada.session.session_id, &ada.access(), restore).await;
    println!("{}", fleet.row("a backup is restored", NORMAL));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_key_is_refused() {
    let next = "another secret of more than thirty-two bytes for the rotation";
    let settings = [("JWTSECRETKEY", SECRET), ("JWTSECRETKEY_ACCEPT", next), EDDSA];
    let server = TestServer::start_with(&settings).await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let mut fleet = Fleet::start(&[server.address.to_string()], 4).await;
    fleet.accept(&ada.access()).await;
    let data = server.folder.path().to_str().unwrap().to_owned();
    let kid = Key::new(SECRET.as_bytes()).unwrap().kid;
    let command = [settings[0], settings[1], settings[2], ("DATA_DIR", &data)];
    let retire = async {
        let retired = run_in(server.folder.path(), &["keys", "retire", &kid], &command);
        assert_eq!(retired.code, Some(0), "{retired:?}");
    };
    fleet.observe(ada.session.session_id, &ada.access(), retire).await;
    println!("{}", fleet.row("a key is retired", NORMAL));
    let again = server.login(&client, "ada").await;
    fleet.accept(again.access_token.expose_str().unwrap()).await;
    server.stop().await;
}

/// Starts a server that knows this many revocations, all of five minutes ago.
async fn with_revocations(count: u64) -> TestServer {
    let folder = TestServer::start_with(&[EDDSA]).await.stop().await;
    let path = folder.path().join("users.db");
    let database = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
                  INSERT INTO revocations (subject, at, kind)
                  SELECT randomblob(16), CAST(unixepoch() * 1000 - 300000 AS INTEGER), 1 FROM n";
    let count = i64::try_from(count).unwrap();
    sqlx::query(insert).bind(count).execute(&database).await.unwrap();
    database.close().await;
    TestServer::start_in(folder, &[EDDSA]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; docs/FAULTS.md has its figures"]
async fn long_a_million_revocations_are_followed() {
    let server = with_revocations(999_000).await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let began = std::time::Instant::now();
    let mut fleet = Fleet::start(&[server.address.to_string()], 1).await;
    println!("complete after {:?}", began.elapsed());
    fleet.accept(&ada.access()).await;
    let logout = async {
        let token = ada.access();
        let request = Logout { token: token.as_str().into(), all_sessions: None };
        client.call(request).await.unwrap();
    };
    fleet.observe(ada.session.session_id, &ada.access(), logout).await;
    println!("{}", fleet.row("999,000 revocations in memory", NORMAL));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_too_many_revocations_the_service_is_asked() {
    let server = with_revocations(2_000).await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let config = VerifierConfig { max_revocations: 1_000, ..VerifierConfig::default() };
    let address = [server.address.to_string()];
    let verifier = Verifier::connect(&address, PoolConfig::default(), config).unwrap();
    assert!(!verifier.wait_until_complete(Duration::from_secs(2)).await, "{:?}", verifier.status());
    let began = std::time::Instant::now();
    while verifier.verify(ada.access()).await.is_err() {
        assert!(began.elapsed() < TEST_TIMEOUT, "{:?}", verifier.status());
    }
    assert!(verifier.status().asked > 0 && !verifier.ready(), "{:?}", verifier.status());
    server.stop().await;
}
