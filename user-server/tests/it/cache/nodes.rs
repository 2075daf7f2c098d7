//! Nodes that share PostgreSQL and Redis: what they save, and that none shows what another has
//! changed.

use std::time::{Duration, Instant};

use user_proto::client::Client;
use user_proto::{ErrorCode, GetUser, Logout, RefreshToken, User};

use crate::postgres::node;
use crate::support::{
    Account, PASSWORD, Postgres, Proxy, Redis, TestServer, code_of, postgres, update,
    update_with_password,
};
use crate::tour;

/// A database and a Redis; none where one of them is not installed.
fn parts() -> Option<(&'static Postgres, Redis)> {
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

/// How many records Redis has.
fn records(redis: &Redis) -> usize {
    redis.command(&["DBSIZE"]).parse().unwrap()
}

/// Asks until the answers come from the cache.
async fn warm(client: &Client, account: &Account, redis: &Redis) {
    let began = Instant::now();
    while get(client, account).await.user_id != account.session.user_id || records(redis) < 2 {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing is kept");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_is_the_same() {
    let Some((postgres, redis)) = parts() else { return };
    tour::run(node(&postgres.database(), &[("REDIS_URL", &redis.url())]).await).await;
    tour::run(TestServer::start_with(&[("REDIS_URL", &redis.url())]).await).await;
}

/// Counted where the statements arrive: in the database's own log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_again_costs_no_statement() {
    const LOOK_UPS: [&str; 2] = ["FROM sessions JOIN users", "FROM users WHERE id"];
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
    // The log of what has ended is read all the time, so it shows when statements are written down.
    while count("FROM revocations") == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing is logged");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before: usize = LOOK_UPS.iter().map(|look_up| count(look_up)).sum();
    for _ in 0..CALLS {
        get(&client, &ada).await;
    }
    let cost = LOOK_UPS.iter().map(|look_up| count(look_up)).sum::<usize>() - before;
    // Where the machine is busy, a call to Redis may come too late.
    assert!(cost <= CALLS / 10, "{cost} look-ups for {CALLS} calls");
    let (moves, all) = (count("UPDATE sessions"), count("sessions"));
    client.call(RefreshToken { refresh_token: ada.session.refresh_token.clone() }).await.unwrap();
    assert_eq!(
        (count("UPDATE sessions") - moves, count("sessions") - all),
        (1, 1),
        "a refresh looks nothing up"
    );
    eprintln!("{CALLS} calls of GetUser cost {cost} statements, and a refresh one");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_changes_the_others_show_at_once() {
    let Some((postgres, redis)) = parts() else { return };
    let (url, shared) = (postgres.database(), redis.url());
    let settings = [("REDIS_URL", shared.as_str())];
    let (one, other) = (node(&url, &settings).await, node(&url, &settings).await);
    let (here, there) = (one.client(), other.client());
    let ada = one.account_on(&here, "ada", &other).await;
    warm(&here, &ada, &redis).await;
    warm(&there, &ada, &redis).await;
    let mut late = 0;
    for round in 0..20 {
        let name = format!("ada{round}");
        rename(&here, &ada, &name).await;
        assert_eq!(&*get(&here, &ada).await.username, name, "at once where it was changed");
        let began = Instant::now();
        while &*get(&there, &ada).await.username != name.as_str() {
            late += 1;
            assert!(
                began.elapsed() < Duration::from_secs(5),
                "the other node shows what was before"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    // Where the machine is busy, the call that ends the record may come too late; then the log
    // tells.
    assert!(late < 20, "{late} answers were of before");

    let session = one.login(&here, "ada19").await;
    let second = || GetUser { access_token: session.access_token.clone() };
    there.call(second()).await.unwrap();
    here.call(Logout { token: session.access_token.clone(), all_sessions: None }).await.unwrap();
    let began = Instant::now();
    while there.call(second()).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(5), "the other node does not learn");
    }
    assert_eq!(code_of(&there, second()).await, ErrorCode::SESSION_REVOKED);
    one.stop().await;
    other.stop().await;
}

/// The node that changes something is cut off from Redis, so that nobody ends the record there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_nobody_could_end_is_old_by_the_log() {
    let Some((postgres, redis)) = parts() else { return };
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
        assert!(began.elapsed() < Duration::from_secs(10), "the other node shows what was before");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    eprintln!("the other node knew after {:?}", began.elapsed());
    one.stop().await;
    other.stop().await;
}

/// A reader's fill is held back on its way to Redis, past its time-out, until the record has
/// changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_runs_late_brings_nothing_back() {
    let Some((postgres, redis)) = parts() else { return };
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
        assert_eq!(&*get(&there, &ada).await.username, "ada", "an answer comes all the same");
        assert!(began.elapsed() < Duration::from_secs(20), "it fills nothing in");
    }
    assert!(records(&redis) >= 1, "its lease stands");
    rename(&here, &ada, "lovelace").await;
    let began = Instant::now();
    while records(&redis) > 1 {
        assert!(began.elapsed() < Duration::from_secs(20), "the user's lease was not ended");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.cut(false);
    let evaluated = || redis.command(&["INFO", "commandstats"]).contains("cmdstat_eval:");
    while !evaluated() {
        assert!(began.elapsed() < Duration::from_secs(20), "the late command never comes");
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
async fn redis_learns_no_name_and_no_address() {
    let Some((postgres, redis)) = parts() else { return };
    let node = node(&postgres.database(), &[("REDIS_URL", &redis.url())]).await;
    let client = node.client();
    let ada = node.account(&client, "adalovelace").await;
    warm(&client, &ada, &redis).await;
    let names = redis.command(&["KEYS", "*"]);
    for name in names.lines() {
        let value = redis.command(&["--no-raw", "GET", name]);
        let life: u64 = redis.command(&["PTTL", name]).parse().unwrap();
        assert!((1..=900_000).contains(&life), "{name} lives for {life} ms");
        for secret in [
            "adalovelace",
            "example",
            &ada.session.user_id.to_string(),
            &ada.session.session_id.to_string(),
        ] {
            assert!(!value.contains(secret) && !name.contains(secret), "{name}: {value}");
        }
        // What somebody else writes there is no record.
        redis.command(&["SET", name, "forged"]);
    }
    assert_eq!(&*get(&client, &ada).await.username, "adalovelace");
    node.stop().await;
}

impl TestServer {
    /// A confirmed account, whose mail may be sent by another node that shares the database.
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
async fn a_change_rings_for_the_other_nodes_where_it_ended_a_session() {
    let Some((postgres, redis)) = parts() else { return };
    let rings = || redis.command(&["INFO", "commandstats"]).contains("cmdstat_publish:");
    let node = node(&postgres.database(), &[("REDIS_URL", &redis.url())]).await;
    let client = node.client();
    // Where the machine is busy, a call to Redis may come too late.
    for name in ["ada", "bob", "cyd", "dan", "eve"] {
        let account = node.account(&client, name).await;
        rename(&client, &account, &format!("{name}2")).await;
        assert!(!rings(), "nothing has ended");
        node.login(&client, &format!("{name}2")).await;
        let access = account.access();
        let change = user_proto::UpdateUser {
            new_password: Some("another one of hers".into()),
            ..update_with_password(&access)
        };
        client.call(change).await.unwrap();
        if rings() {
            break;
        }
    }
    assert!(rings(), "the other session has ended");
    node.stop().await;
}
