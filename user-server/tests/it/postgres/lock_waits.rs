//! Rows that another transaction has locked: a request waits for at most the time limit of a lock,
//! and what the server then reports does not count as an outage.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;
use user_proto::{ErrorCode, Logout, UpdateUser};
use user_server::store::{PostgresOptions, PostgresStore};

use super::node;
use super::waiting_logins::until_waiting;
use crate::contract::fixture::{DAY, Db, at};
use crate::contract::sweep;
use crate::support::{PASSWORD, Postgres, login, on_behalf_of, postgres, update};

/// Requests that wait at once. Three failures of connections would open the circuit breaker.
const WAITING: usize = 6;
/// Maximum time that a request waits for the database, with some tolerance.
const LIMIT: Duration = Duration::from_millis(3500);
/// A request that was answered with UNAVAILABLE may still have renamed the account.
const LOCK: &str = "BEGIN; SELECT 1 FROM users WHERE username LIKE 'ada%' FOR UPDATE";
/// Cancels the statements that wait for a lock, which then fail as at a timeout.
const CANCEL: &str = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_fails_only_the_requests_that_wait_for_it() {
    let Some(server) = Postgres::dedicated() else { return };
    let url = server.database();
    // More connections than requests that wait, so that the others need not wait for one.
    let node = node(&url, &[("DATABASE_POOL", "16")]).await;
    let client = node.client();
    let ada = node.account(&client, "ada").await;
    node.account(&client, "eve").await;
    let mut holder = PgConnection::connect(&url).await.unwrap();
    let observer = sqlx::PgPool::connect(&url).await.unwrap();

    for is_cancelled in [false, true] {
        holder.execute(LOCK).await.unwrap();
        let mut requests = JoinSet::new();
        for number in 0..WAITING {
            let (client, access) = (node.client(), ada.access());
            requests.spawn(async move {
                let (began, name) = (Instant::now(), format!("ada{number}"));
                let rename = UpdateUser { username: Some(name.into()), ..update(&access) };
                (client.call(rename).await.map(drop), began.elapsed())
            });
        }
        until_waiting(&observer, "UpdateUser").await;
        while !requests.is_empty() {
            if is_cancelled {
                observer.execute(CANCEL).await.unwrap();
            }
            // It would fail if the circuit breaker were open. It comes from another network, since
            // the other requests have locked the counters of theirs.
            client.call_with(login("eve", PASSWORD), on_behalf_of("203.0.113.7")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            while let Some(done) = requests.try_join_next() {
                let (result, took) = done.unwrap();
                assert_eq!(result.unwrap_err().code(), Some(ErrorCode::UNAVAILABLE));
                assert!(took < LIMIT, "{took:?}");
            }
        }
        holder.execute("ROLLBACK").await.unwrap();
    }
    for reason in ["due to lock timeout", "due to user request"] {
        assert!(server.log().contains(reason), "no statement was canceled {reason}");
    }
    let access = ada.access();
    let rename = UpdateUser { username: Some("ada.2".into()), ..update(&access) };
    client.call(rename).await.unwrap();
    node.stop().await;
}

/// A change that conflicts is repeated, each time within the limits of a statement. All attempts
/// together have the limit of a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_conflicts_again_and_again_is_answered_in_time() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let node = node(&url, &[("DATABASE_POOL", "16")]).await;
    let client = node.client();
    let (ada, eve) = (node.account(&client, "ada").await, node.account(&client, "eve").await);
    let mut operator = PgConnection::connect(&url).await.unwrap();
    operator
        .execute(
            "CREATE OR REPLACE FUNCTION update_user_v1(call jsonb) RETURNS jsonb
             LANGUAGE plpgsql AS $$
             BEGIN
                 PERFORM pg_sleep(0.9);
                 RAISE serialization_failure;
             END $$",
        )
        .await
        .unwrap();
    let began = Instant::now();
    let mut requests = JoinSet::new();
    for number in 0..WAITING {
        let (client, access) = (node.client(), ada.access());
        requests.spawn(async move {
            let name = format!("ada{number}");
            client.call(UpdateUser { username: Some(name.into()), ..update(&access) }).await
        });
    }
    while let Some(done) = requests.join_next().await {
        assert_eq!(done.unwrap().unwrap_err().code(), Some(ErrorCode::UNAVAILABLE));
    }
    // Eight attempts would take more than seven seconds.
    let took = began.elapsed();
    assert!(took > Duration::from_millis(2400) && took < LIMIT, "{took:?}");
    client
        .call(Logout { token: eve.session.access_token.clone(), all_sessions: None })
        .await
        .unwrap();
    node.stop().await;
}

/// Functions that take several counters do so in the order of their keys, whatever the order of
/// their argument is. Otherwise PostgreSQL would report deadlocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_lock_counters_in_the_order_of_their_keys() {
    const WRITERS: u32 = 16;
    const ROUNDS: u32 = 40;
    const KEYS: u32 = 12;
    let Some(server) = postgres() else { return };
    let url = server.database();
    let options = PostgresOptions::parse(&url, 2, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let url = url.clone();
        writers.spawn(async move {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let mut call = async |statement: &'static str, argument: serde_json::Value| {
                let call = sqlx::query(statement).bind(argument.to_string());
                call.execute(&mut connection).await.map(drop)
            };
            for round in 0..ROUNDS {
                // Half of the writers go through the keys backwards, from different starts.
                let keys = (0..KEYS).map(|index| (index + writer + round) % KEYS);
                let keys: Vec<String> = keys.map(|key| format!(r"\x{key:064x}")).collect();
                let keys: Vec<&String> = match writer % 2 {
                    0 => keys.iter().collect(),
                    _ => keys.iter().rev().collect(),
                };
                let counter = |key: &&String| {
                    serde_json::json!({
                        "key": key, "count": 1, "since": 1, "blocked_until": 0, "expires_at": 9,
                    })
                };
                let list = keys.iter().map(counter).collect();
                call("SELECT set_counters_v1($1::jsonb)", list).await.unwrap();
                let list = serde_json::json!(keys);
                call("SELECT refund_counters_v1($1::jsonb)", list).await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_passes_over_a_counter_that_is_locked() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let options = PostgresOptions::parse(&url, 8, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let db: Db = Arc::new(PostgresStore::open(&options));
    sweep::expired_counters(&db, 3).await;
    let mut holder = PgConnection::connect(&url).await.unwrap();
    holder.execute("BEGIN; SELECT 1 FROM counters ORDER BY key LIMIT 1 FOR UPDATE").await.unwrap();
    let began = Instant::now();
    assert_eq!(sweep::sweep(&db, at(10 * DAY)).await, 2);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    holder.execute("ROLLBACK").await.unwrap();
    assert_eq!(sweep::sweep(&db, at(10 * DAY)).await, 1);
}
