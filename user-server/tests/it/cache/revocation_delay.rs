//! Delay of session revocation: the time until a session that was ended on one node is rejected on
//! another, while Redis is healthy, killed, stopped or cut off.

use std::time::{Duration, Instant};

use user_proto::{Logout, VerifyToken};

use crate::postgres::node;
use crate::support::{Proxy, Redis, latency_header, latency_row, postgres};

/// State of Redis during a measurement.
#[derive(Debug, Clone, Copy)]
enum State {
    Healthy,
    Killed,
    Stopped,
    CutOff,
}

/// Ends `rounds` sessions one by one in each state. Returns a table of how long each was still
/// accepted on the other node, from the reply that it ended.
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
    for state in [State::Healthy, State::Killed, State::Stopped, State::CutOff] {
        match state {
            State::Healthy => {}
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
        let mut delays = Vec::new();
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
                    "{state:?}: the other node never rejects the session"
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            delays.push(ended.elapsed());
        }
        let name = match state {
            State::Healthy => "healthy",
            State::Killed => "killed",
            State::Stopped => "stopped (SIGSTOP)",
            State::CutOff => "cut off (packets lost)",
        };
        table += &latency_row(name, &delays);
    }
    proxy.cut(false);
    one.stop().await;
    other.stop().await;
    Some(table)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_reaches_another_node_in_every_state_of_redis() {
    if let Some(table) = measure(6).await {
        eprintln!("{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; docs/FAULTS.md has the command"]
async fn long_a_revocation_reaches_another_node() {
    println!("{}", measure(250).await.unwrap());
}
