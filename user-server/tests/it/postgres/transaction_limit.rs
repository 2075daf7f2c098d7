//! The time for which a node can keep a transaction open, and with it locks that others wait for.
//! PostgreSQL 17 and later limits that of requests; background work may take longer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use user_server::admin;
use user_server::domain::{Clock, ConnectionPools, Fault, SystemClock};
use user_server::store::{PostgresOptions, PostgresStore};

use crate::contract::fixture::{Db, NOW, policy, register, user};
use crate::support::{MAIL_PAUSE, PgProxy, Postgres, TEST_TIMEOUT, postgres};

/// Limit of a transaction of a request, where the server supports one.
const LIMIT: Duration = Duration::from_millis(2500);
/// Time after which any server ends a transaction in which nothing happens.
const IDLE: Duration = Duration::from_secs(10);
/// Tolerance of a busy machine.
const TOLERANCE: Duration = Duration::from_secs(2);
/// Query for the age of the oldest transaction of other sessions, in milliseconds.
const OLDEST: &str = "SELECT COALESCE(
        MAX(EXTRACT(EPOCH FROM clock_timestamp() - xact_start) * 1000), 0)::bigint
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in %'";

/// Returns true if the server can limit the time of a transaction.
fn has_limit(connection: &PgConnection) -> bool {
    connection.server_version_num().unwrap() >= 170_000
}

/// Creates a database, and returns its URL with one through a proxy.
async fn database(server: &Postgres) -> (PgProxy, String, String) {
    let direct = server.database();
    let options = PostgresOptions::parse(&direct, 1, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let (proxy, url) = PgProxy::before(&direct).await;
    (proxy, url, direct)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_ends_the_transaction_of_a_silent_node() {
    let Some(server) = postgres() else { return };
    let (proxy, url, direct) = database(server).await;
    let mut observer = PgConnection::connect(&direct).await.unwrap();
    let db: Db = Arc::new(PostgresStore::open(&PostgresOptions::parse(&url, 1, false).unwrap()));
    proxy.delay(Duration::from_millis(50));
    let node = tokio::spawn(async move { user(&db, "ada").await });
    let began = Instant::now();
    let mut oldest = async || -> Duration {
        let age: i64 = sqlx::query_scalar(OLDEST).fetch_one(&mut observer).await.unwrap();
        Duration::from_millis(age.try_into().unwrap())
    };
    while oldest().await.is_zero() {
        assert!(began.elapsed() < TEST_TIMEOUT, "no transaction is open");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    proxy.silence_all(true);
    let mut longest = Duration::ZERO;
    loop {
        let age = oldest().await;
        if age.is_zero() {
            break;
        }
        longest = longest.max(age);
        assert!(longest < IDLE + TOLERANCE, "the transaction stays open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let limit = if has_limit(&observer) { LIMIT } else { IDLE };
    let expected = limit - Duration::from_secs(1)..limit + TOLERANCE;
    assert!(expected.contains(&longest), "{longest:?}, expected {expected:?}");
    node.abort();
}

/// The limit of the database by default is shorter than any transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_requests_are_limited_whatever_the_database_limits() {
    let Some(server) = postgres() else { return };
    let (proxy, url, direct) = database(server).await;
    let name = direct.rsplit('/').next().unwrap();
    let limit = format!("ALTER DATABASE {name} SET transaction_timeout = '100ms'");
    let connection = PgConnection::connect(&direct).await.unwrap();
    assert_eq!(server.psql("postgres", &limit), has_limit(&connection));
    let options = PostgresOptions::parse(&url, 1, false).unwrap();
    let store = PostgresStore::open(&options);
    let requests: Db = Arc::new(store.clone());
    let background: Db = Arc::new(store.for_background());
    proxy.delay(Duration::from_millis(60));
    user(&requests, "ada").await;
    user(&background, "bob").await;
    let bounds = admin::bounds(15 * MAIL_PAUSE);
    let found = background.inspect(&bounds, SystemClock.now()).await.unwrap();
    assert!(found.len() > 10, "statements in one transaction");
    store.close().await;
    assert!(server.psql(name, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"));
    proxy.delay(Duration::from_millis(20));
    PostgresStore::migrate(&options).await.unwrap();
}

/// On a server without the limit, the caller alone decides how long it waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_reaches_the_limit_is_unavailable() {
    let Some(server) = postgres() else { return };
    let (proxy, url, direct) = database(server).await;
    let connection = PgConnection::connect(&direct).await.unwrap();
    let options = PostgresOptions::parse(&url, 1, false).unwrap();
    let db: Db = Arc::new(PostgresStore::open(&options));
    register(&db, "ada", "ada@example.org", "client", NOW).await;
    proxy.delay(LIMIT * 2 / 5);
    let claimed = db.claim(&policy(), NOW).await;
    let is_unavailable = matches!(claimed, Err(Fault::Unavailable(_)));
    assert_eq!(is_unavailable, has_limit(&connection), "{claimed:?}");
    // Another connection replaces the one that was closed.
    proxy.delay(Duration::ZERO);
    db.claim(&policy(), NOW).await.unwrap();
}
