//! Nodes that share PostgreSQL and Redis: the statements that they save, and changes that become
//! visible on every node.

use std::time::{Duration, Instant};

use user_proto::client::Client;
use user_proto::{ErrorCode, GetUser, Logout, RefreshToken, User};

use crate::postgres::node;
use crate::support::{
    Account, PASSWORD, Postgres, Proxy, Redis, TestServer, code_of, postgres, update,
    update_with_password,
};
use crate::tour;

/// Returns a database and a Redis, or `None` if one of them is not installed.
fn services() -> Option<(&'static Postgres, Redis)> {
    Some((postgres()?, Redis::start()?))
}

async fn get(client: &Client, account: &Account) -> User<'static> {
    client.call(GetUser { access_token: account.session.access_token.clone() }).await.unwrap()
}

async fn rename(client: &Client, account: &Account, name: &str) {
    client
        .call(user_proto::UpdateUser { username: Some(name.into()), ..update(&account.access()) })
        .await
        .unwrap();
}

/// Returns the number of records in Redis.
fn records(redis: &Redis) -> usize {
    redis.command(&["DBSIZE"]).parse().unwrap()
}

/// Repeats a lookup until its records are in the cache.
async fn warm(client: &Client, account: &Account, redis: &Redis) {
    let began = Instant::now();
    while get(client, account).await.user_id != account.session.user_id || records(redis) < 2 {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing is cached");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_passes_with_redis() {
    let Some((postgres, redis)) = services() else { return };
    tour::run(node(&postgres.database(), &[("REDIS_URL", &redis.url())]).await).await;
    tour::run(TestServer::start_with(&[("REDIS_URL", &redis.url())]).await).await;
}

/// Counts the statements in the log of the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_lookup_costs_no_statement() {
    const LOOKUPS: [&str; 2] = ["user_id FROM sessions WHERE id", "FROM users WHERE id = $1"];
    const CALLS: usize = 200;
    let Some(redis) = Redis::start() else { return };
    let Some(postgres) = Postgres::dedicated() else { return };
    let node = node(&postgres.database(), &[("REDIS_URL", &redis.url())]).await;
    let client = node.client();
    let ada = node.account(&client, "ada").await;
    warm(&client, &ada, &redis).await;
    assert!(postgres.psql("postgres", "ALTER SYSTEM SET log_statement = 'all'"));
    assert!(postgres.psql("postgres", "SELECT pg_reload_conf()"));
    let count = |what: &str| postgres.log().matches(what).count();
    let began = Instant::now();
    // The revocation log is read all the time, so its statement shows when statements are logged.
    while count("FROM revocations") == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "no statement is logged");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before: usize = LOOKUPS.iter().map(|lookup| count(lookup)).sum();
    for _ in 0..CALLS {
        get(&client, &ada).await;
    }
    let cost = LOOKUPS.iter().map(|lookup| count(lookup)).sum::<usize>() - before;
    // On a busy machine, a call to Redis may time out.
    assert!(cost <= CALLS / 10, "{cost} lookups for {CALLS} calls");
    let (calls, others) = (count("refresh_session_v2"), count(" sessions"));
    client.call(RefreshToken { refresh_token: ada.session.refresh_token.clone() }).await.unwrap();
    assert_eq!(
        (count("refresh_session_v2") - calls, count(" sessions") - others),
        (1, 0),
        "a refresh costs one statement and no lookup"
    );
    eprintln!("{CALLS} calls of GetUser cost {cost} statements, and a refresh one");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_on_one_node_is_visible_on_the_others_at_once() {
    let Some((postgres, redis)) = services() else { return };
    let (url, shared) = (postgres.database(), redis.url());
    let settings = [("REDIS_URL", shared.as_str())];
    let (one, other) = (node(&url, &settings).await, node(&url, &settings).await);
    let (here, there) = (one.client(), other.client());
    let ada = one.account_on(&here, "ada", &other).await;
    warm(&here, &ada, &redis).await;
    warm(&there, &ada, &redis).await;
    let mut late = 0;
    for round in 0..5 {
        let name = format!("ada{round}");
        rename(&here, &ada, &name).await;
        assert_eq!(
            &*get(&here, &ada).await.username,
            name,
            "visible at once on the node that changed it"
        );
        let began = Instant::now();
        while &*get(&there, &ada).await.username != name.as_str() {
            late += 1;
            assert!(began.elapsed() < Duration::from_secs(5), "the other node shows the old name");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    // On a busy machine, the call that deletes the record may time out; then the revocation log
    // makes the record outdated.
    assert!(late < 5, "{late} outdated replies");

    let session = one.login(&here, "ada4").await;
    let second = || GetUser { access_token: session.access_token.clone() };
    there.call(second()).await.unwrap();
    here.call(Logout { token: session.access_token.clone(), all_sessions: None }).await.unwrap();
    let began = Instant::now();
    while there.call(second()).await.is_ok() {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the other node does not reject the session"
        );
    }
    assert_eq!(code_of(&there, second()).await, ErrorCode::SESSION_REVOKED);
    one.stop().await;
    other.stop().await;
}

/// The node that makes the change is cut off from Redis, so it cannot delete the record there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_could_not_be_deleted_is_outdated_by_the_log() {
    let Some((postgres, redis)) = services() else { return };
    let (url, proxy) = (postgres.database(), Proxy::before(redis.port).await);
    let cut_off = format!("redis://127.0.0.1:{}", proxy.port);
    let (one, other) = (
        node(&url, &[("REDIS_URL", &cut_off)]).await,
        node(&url, &[("REDIS_URL", &redis.url())]).await,
    );
    let (here, there) = (one.client(), other.client());
    let ada = one.account_on(&here, "ada", &other).await;
    warm(&there, &ada, &redis).await;
    proxy.cut(true);
    rename(&here, &ada, "lovelace").await;
    assert!(records(&redis) >= 2, "the record is still there");
    let began = Instant::now();
    while &*get(&there, &ada).await.username != "lovelace" {
        assert!(began.elapsed() < Duration::from_secs(10), "the other node shows the old name");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    eprintln!("the other node showed the change after {:?}", began.elapsed());
    one.stop().await;
    other.stop().await;
}

/// A fill is delayed on its way to Redis, past its timeout, until the record has changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_command_restores_no_old_record() {
    let Some((postgres, redis)) = services() else { return };
    let (url, proxy) = (postgres.database(), Proxy::before(redis.port).await);
    let slow = format!("redis://127.0.0.1:{}", proxy.port);
    let (one, other) = (
        node(&url, &[("REDIS_URL", &redis.url())]).await,
        node(&url, &[("REDIS_URL", &slow)]).await,
    );
    let (here, there) = (one.client(), other.client());
    let ada = one.account_on(&here, "ada", &other).await;
    warm(&there, &ada, &redis).await;
    redis.command(&["FLUSHALL"]);
    proxy.cut_before(b"EVAL");
    let began = Instant::now();
    while !proxy.is_cut() {
        assert_eq!(&*get(&there, &ada).await.username, "ada", "the lookup succeeds nevertheless");
        assert!(began.elapsed() < Duration::from_secs(20), "no record is filled");
    }
    assert!(records(&redis) >= 1, "its lease remains");
    rename(&here, &ada, "lovelace").await;
    let began = Instant::now();
    while records(&redis) > 1 {
        assert!(began.elapsed() < Duration::from_secs(20), "the lease of the user was not deleted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.cut(false);
    let evaluated = || redis.command(&["INFO", "commandstats"]).contains("cmdstat_eval:");
    while !evaluated() {
        assert!(began.elapsed() < Duration::from_secs(20), "the delayed command never runs");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..20 {
        assert_eq!(&*get(&there, &ada).await.username, "lovelace");
        assert_eq!(&*get(&here, &ada).await.username, "lovelace");
    }
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_contains_no_name_and_no_address() {
    let Some((postgres, redis)) = services() else { return };
    let node = node(&postgres.database(), &[("REDIS_URL", &redis.url())]).await;
    let client = node.client();
    let ada = node.account(&client, "adalovelace").await;
    warm(&client, &ada, &redis).await;
    let names = redis.command(&["KEYS", "*"]);
    for name in names.lines() {
        let value = redis.command(&["--no-raw", "GET", name]);
        let ttl: u64 = redis.command(&["PTTL", name]).parse().unwrap();
        assert!((1..=900_000).contains(&ttl), "{name} expires in {ttl} ms");
        for secret in [
            "adalovelace",
            "example",
            &ada.session.user_id.to_string(),
            &ada.session.session_id.to_string(),
        ] {
            assert!(!value.contains(secret) && !name.contains(secret), "{name}: {value}");
        }
        // A value that the service did not write is not a record.
        redis.command(&["SET", name, "forged"]);
    }
    assert_eq!(&*get(&client, &ada).await.username, "adalovelace");
    node.stop().await;
}

impl TestServer {
    /// Registers and confirms an account. Its email may be sent by either of two nodes that share
    /// the database.
    pub async fn account_on(&self, client: &Client, username: &str, other: &Self) -> Account {
        let email = format!("{username}@example.org");
        let register = user_proto::Register {
            username: username.into(),
            email: email.as_str().into(),
            password: PASSWORD.into(),
        };
        let verification_id = client.call(register).await.unwrap().verification_id;
        let code = tokio::select! {
            code = self.emails.code(&email, 1) => code,
            code = other.emails.code(&email, 1) => code,
        };
        let session =
            client.call(crate::support::verify_email(verification_id, &code)).await.unwrap();
        Account { session, email }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_ends_a_session_notifies_the_other_nodes() {
    let Some((postgres, redis)) = services() else { return };
    let notified = || redis.command(&["INFO", "commandstats"]).contains("cmdstat_publish:");
    let node = node(&postgres.database(), &[("REDIS_URL", &redis.url())]).await;
    let client = node.client();
    // On a busy machine, a call to Redis may time out.
    for name in ["ada", "bob", "cyd", "dan", "eve"] {
        let account = node.account(&client, name).await;
        rename(&client, &account, &format!("{name}2")).await;
        assert!(!notified(), "no session has ended");
        node.login(&client, &format!("{name}2")).await;
        let access = account.access();
        let change = user_proto::UpdateUser {
            new_password: Some("another passphrase".into()),
            ..update_with_password(&access)
        };
        client.call(change).await.unwrap();
        if notified() {
            break;
        }
    }
    assert!(notified(), "the other session has ended");
    node.stop().await;
}
