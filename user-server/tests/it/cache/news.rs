//! How soon one node's end of a session is seen on another, while Redis is well, killed, stopped
//! and cut off.

use std::time::{Duration, Instant};

use user_proto::{Logout, VerifyToken};

use crate::postgres::node;
use crate::support::{Proxy, Redis, latency_header, latency_row, postgres};

/// What becomes of Redis.
#[derive(Debug, Clone, Copy)]
enum State {
    Well,
    Killed,
    Stopped,
    CutOff,
}

/// Ends so many sessions one by one in each state; how long each lived on the other node, from the
/// answer that it ended.
async fn measure(rounds: usize) -> Option<String> {
    let (database, mut redis) = (postgres()?, Redis::start()?);
    let (url, proxy) = (database.database(), Proxy::before(redis.port).await);
    let through = format!("redis://127.0.0.1:{}", proxy.port);
    let (one, other) = (
        node(&url, &[("REDIS_URL", &through)]).await,
        node(&url, &[("REDIS_URL", &through)]).await,
    );
    let (here, there) = (one.client(), other.client());
    one.account_on(&here, "ada", &other).await;
    let mut table = latency_header("Redis");
    for state in [State::Well, State::Killed, State::Stopped, State::CutOff] {
        match state {
            State::Well => {}
            State::Killed => redis.kill(),
            State::Stopped => {
                redis.run();
                tokio::time::sleep(Duration::from_secs(3)).await;
                redis.signal("STOP");
            }
            State::CutOff => {
                redis.signal("CONT");
                tokio::time::sleep(Duration::from_secs(3)).await;
                proxy.cut(true);
            }
        }
        let mut lived = Vec::new();
        for _ in 0..rounds {
            let session = one.login(&here, "ada").await;
            let check = || VerifyToken { access_token: session.access_token.clone() };
            there.call(check()).await.unwrap();
            here.call(Logout { token: session.access_token.clone(), all_sessions: None })
                .await
                .unwrap();
            let ended = Instant::now();
            while there.call(check()).await.is_ok() {
                assert!(
                    ended.elapsed() < Duration::from_secs(30),
                    "{state:?}: the other node never learns"
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            lived.push(ended.elapsed());
        }
        let name = match state {
            State::Well => "healthy",
            State::Killed => "killed",
            State::Stopped => "stopped (SIGSTOP)",
            State::CutOff => "cut off (packets lost)",
        };
        table += &latency_row(name, &lived);
    }
    proxy.cut(false);
    one.stop().await;
    other.stop().await;
    Some(table)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_seen_on_another_node_whatever_becomes_of_redis() {
    if let Some(table) = measure(6).await {
        eprintln!("{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; docs/FAULTS.md has the command"]
async fn long_an_end_is_seen_on_another_node() {
    println!("{}", measure(250).await.unwrap());
}
