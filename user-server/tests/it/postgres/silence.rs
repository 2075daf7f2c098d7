//! A network, a pooler or another engine between a node and PostgreSQL that silences connections,
//! refuses commits, or loses their replies.

use std::time::{Duration, Instant};

use user_proto::client::Client;
use user_proto::{Common, ErrorCode, IdempotencyKey, LoggedIn, RefreshToken, VerifyToken};
use user_server::domain::{Fault, LoginKey};
use user_server::store::{PostgresOptions, PostgresStore};

use super::node;
use crate::contract::fixture::{Db, NOW, policy, register, user};
use crate::support::{Account, PASSWORD, PgProxy, TestServer, login, postgres};
use crate::tour;

/// Time within which a node is healthy again after the network is.
const RECOVERY: Duration = Duration::from_secs(1);
/// Time within which every request is answered that waits when the database falls silent: a probe
/// may begin 250 ms later, waits for 1 s, and the replies have to be written.
const WAIT: Duration = Duration::from_millis(2000);
/// Time within which later requests are answered.
const AT_ONCE: Duration = Duration::from_millis(50);
/// Time within which a background task notices that its connection is silent.
const BACKGROUND: Duration = Duration::from_secs(8);
/// Number of logins while the proxy is hostile: more than the pool has connections.
const LOGINS: usize = 8;

/// Waits until a node that was cut off from its database checks tokens with fresh knowledge, and
/// logs in. Fails if that takes longer than it may.
async fn recovery(client: &Client, account: &Account) {
    let healed = Instant::now();
    loop {
        let check = VerifyToken { access_token: account.session.access_token.clone() };
        let fresh = client.call(check).await.is_ok_and(|reply| reply.stale_ms.is_none());
        if fresh && client.call(login("ada", PASSWORD)).await.is_ok() {
            return;
        }
        let waited = healed.elapsed();
        assert!(waited < RECOVERY, "not healthy after {waited:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Starts a node that reaches its database through a proxy, with one account.
async fn node_behind_proxy() -> Option<(PgProxy, TestServer, Account)> {
    let (proxy, url) = PgProxy::before(&postgres()?.database()).await;
    let node = node(&url, &[]).await;
    let ada = node.account(&node.client(), "ada").await;
    Some((proxy, node, ada))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_falls_silent_on_release_costs_the_node_nothing() {
    let Some((proxy, node, ada)) = node_behind_proxy().await else { return };
    let client = node.client();
    proxy.silence_pings(true);
    for _ in 0..LOGINS {
        client.call(login("ada", PASSWORD)).await.unwrap();
    }
    proxy.silence_pings(false);
    recovery(&client, &ada).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_database_is_refused_at_once_and_used_again_within_a_second() {
    let Some((proxy, node, ada)) = node_behind_proxy().await else { return };
    let client = node.client();
    let refresh = || RefreshToken { refresh_token: ada.session.refresh_token.clone() };
    let keyed = Common {
        idempotency_key: Some(IdempotencyKey([9; 16])),
        deadline_ms: Some(20_000),
        ..Common::default()
    };
    let (caller, key) = (node.client(), keyed.clone());
    let login_in_progress =
        tokio::spawn(async move { caller.call_with(login("ada", PASSWORD), key).await });
    tokio::time::sleep(Duration::from_millis(5)).await;
    proxy.silence_all(true);
    let began = Instant::now();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..2 * LOGINS {
        let (client, refresh) = (client.clone(), refresh());
        waiting.spawn(async move { client.call(refresh).await.unwrap_err().code() });
    }
    while let Some(code) = waiting.join_next().await {
        assert_eq!(code.unwrap(), Some(ErrorCode::UNAVAILABLE));
    }
    assert!(began.elapsed() < WAIT, "{:?}: requests waited longer than they may", began.elapsed());

    // Later requests do not wait, however long the database is silent.
    let mut times = Vec::new();
    while began.elapsed() < Duration::from_secs(4) {
        let asked = Instant::now();
        let code = client.call(refresh()).await.unwrap_err().code();
        assert_eq!(code, Some(ErrorCode::UNAVAILABLE));
        times.push(asked.elapsed());
        client.call(VerifyToken { access_token: ada.session.access_token.clone() }).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    times.sort();
    assert!(times[times.len() * 9 / 10] < AT_ONCE, "{times:?}");

    proxy.silence_all(false);
    recovery(&client, &ada).await;
    // The claim of the login that failed is released, so that a repeat does not wait for it.
    let _ = login_in_progress.await.unwrap();
    repeat(&client, &keyed, 0).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_the_database_refuses_are_repeated() {
    let Some(server) = postgres() else { return };
    let (proxy, url) = PgProxy::before(&server.database()).await;
    let node = node(&url, &[]).await;
    // Few enough that chance does not refuse every attempt of a request, or of an email.
    proxy.conflict_every(5);
    proxy.delay(Duration::from_millis(1));
    tour::run(node).await;
    assert!(proxy.done() > 5, "{} commits were refused", proxy.done());
}

/// Repeats a login under its key until it succeeds, as a caller of the service does.
async fn repeat(client: &Client, common: &Common<'static>, commit: u32) -> LoggedIn<'static> {
    let began = Instant::now();
    loop {
        match client.call_with(login("ada", PASSWORD), common.clone()).await {
            Ok(opened) => return opened,
            Err(error) => {
                let waited = began.elapsed();
                assert_eq!(error.code(), Some(ErrorCode::UNAVAILABLE), "commit {commit}");
                assert!(waited < Duration::from_secs(5), "commit {commit}: {waited:?}");
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whatever part of a login the lost reply belongs to, a repeat under the same key settles it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_of_a_commit_is_settled_by_the_idempotency_key() {
    let Some(server) = postgres() else { return };
    let direct = server.database();
    let (proxy, url) = PgProxy::before(&direct).await;
    let name = direct.rsplit('/').next().unwrap();
    let node = node(&url, &[]).await;
    node.account(&node.client(), "ada").await;
    for commit in 1..=5 {
        let client = node.client();
        let before = proxy.done();
        proxy.lose_reply(commit);
        let common = Common {
            idempotency_key: Some(IdempotencyKey([u8::try_from(commit).unwrap(); 16])),
            deadline_ms: Some(10_000),
            ..Common::default()
        };
        let opened = repeat(&client, &common, commit).await;
        let lost = proxy.done() > before;
        proxy.lose_reply(0);
        let again = client.call_with(login("ada", PASSWORD), common).await.unwrap();
        assert_eq!(opened, again, "commit {commit}: executed once");
        // The session of the registration, and one of each login.
        let count = format!("SELECT 1 / (COUNT(*) = {commit} + 1)::int FROM sessions");
        assert!(server.psql(name, &count), "commit {commit}: not one session for each login");
        if !lost {
            assert!(commit > 1, "no commit was found");
            break;
        }
    }
    node.stop().await;
}

/// Background tasks share the connections of requests, and are not cancelled with a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_background_task_gives_up_a_silent_connection() {
    let Some(server) = postgres() else { return };
    let (proxy, url) = PgProxy::before(&server.database()).await;
    let options = PostgresOptions::parse(&url, 1, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let store = PostgresStore::open(&options);
    let background: Db = std::sync::Arc::new(store.for_background());
    register(&background, "ada", "ada@example.org", "client", NOW).await;
    // The connection is silent in the transaction of the task, and only this one.
    proxy.silence_next_commit(true);
    let claims = tokio::time::timeout(BACKGROUND, background.claim(&policy(), NOW)).await;
    assert!(matches!(claims, Ok(Err(Fault::Unavailable(_)))), "{claims:?}");
    let requests: Db = std::sync::Arc::new(store);
    user(&requests, "bob").await;
}

/// Neither the start, which migrates, nor a request. Not every engine or pooler has such locks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_advisory_locks_is_enough() {
    let Some(server) = postgres() else { return };
    let (proxy, url) = PgProxy::before(&server.database()).await;
    proxy.refuse_advisory_locks(true);
    tour::run(node(&url, &[]).await).await;
    assert_eq!(proxy.done(), 0, "refused statements");
}

/// A call that its caller drops leaves a request without a reply, or a reply that nobody has read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_call_leaves_no_reply_to_the_next_one() {
    let Some(server) = postgres() else { return };
    let (proxy, url) = PgProxy::before(&server.database()).await;
    let options = PostgresOptions::parse(&url, 1, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let db: Db = std::sync::Arc::new(PostgresStore::open(&options));
    let ada = user(&db, "ada").await.0;
    let bob = user(&db, "bob").await.0;
    proxy.delay(Duration::from_millis(2));
    let mut dropped = 0;
    for micros in (0..12_000).step_by(150) {
        let call = db.user_by_login(LoginKey::Username("ada"));
        let call = tokio::time::timeout(Duration::from_micros(micros), call).await;
        dropped += usize::from(call.is_err());
        assert!(call.is_err() || call.unwrap().unwrap().unwrap().id == ada.id);
        assert_eq!(db.user(bob.id).await.unwrap().unwrap().id, bob.id);
    }
    assert!(dropped > 10, "{dropped} calls were dropped");
}
