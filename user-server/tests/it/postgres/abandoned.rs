//! Connections that callers abandon, because their deadline ends while the server works for them.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;
use user_proto::{Common, GetUser, IdempotencyKey};

use super::node;
use crate::support::{PASSWORD, Postgres, TestServer, login};

const CALLERS: u8 = 16;
/// Deadline of requests that give up while the server works for them.
const DEADLINE_MS: u32 = 8;
/// Time for which they are sent.
const DURATION: Duration = Duration::from_secs(6);
/// Maximum number of connections that a node opens meanwhile. One is replaced when a hundred
/// callers have abandoned it.
const MAX_OPENED: i64 = 60;
/// Maximum number of warnings that the server logs meanwhile: one for each COMMIT without a reader.
const MAX_WARNINGS: usize = 50;
/// Query for the number of connections to the database that were ever opened.
const OPENED: &str = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()";

/// A caller that gives up leaves a connection that is used again, so that requests with deadlines
/// of a few milliseconds do not make a node open connections, nor the server fill its log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_give_up_early_open_no_connections() {
    let Some(server) = Postgres::dedicated() else { return };
    let url = server.database();
    let node = node(&url, &[("DATABASE_POOL", "4")]).await;
    let client = node.client();
    let ada = node.account(&client, "ada").await;
    let mut observer = PgConnection::connect(&url).await.unwrap();
    let mut callers = callers(&node, DEADLINE_MS);
    let began = Instant::now();
    while began.elapsed() < DURATION {
        client.call(GetUser { access_token: ada.session.access_token.clone() }).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    callers.abort_all();
    while callers.join_next().await.is_some() {}
    let opened: i64 = sqlx::query_scalar(OPENED).fetch_one(&mut observer).await.unwrap();
    assert!((1..=MAX_OPENED).contains(&opened), "{opened} connections were opened");
    let warnings = server.log().matches("there is no transaction in progress").count();
    assert!(warnings <= MAX_WARNINGS, "{warnings} warnings");
    node.login(&client, "ada").await;
    node.stop().await;
}

/// Sends logins with this deadline from many clients, each with another idempotency key.
pub fn callers(node: &TestServer, deadline_ms: u32) -> JoinSet<()> {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let client = node.client();
        callers.spawn(async move {
            for number in 0_u64.. {
                let mut key = [caller; 16];
                key[..8].copy_from_slice(&number.to_be_bytes());
                let common = Common {
                    idempotency_key: Some(IdempotencyKey(key)),
                    deadline_ms: Some(deadline_ms),
                    ..Common::default()
                };
                let _ = client.call_with(login("nobody", PASSWORD), common).await;
            }
        });
    }
    callers
}
