//! More logins than cores: they wait in a short queue and are then rejected with a time to retry
//! after, while token checks continue.

use std::time::Duration;

use tokio::task::JoinSet;
use user_proto::client::{Client, Config, Error};
use user_proto::{Common, ErrorCode};

use super::gateway_load;
use crate::support::{CallStats, PASSWORD, Process, login};

/// One hash at a time and a short queue, so that a small test is an overload on any machine.
const SMALL_POOL: [(&str, &str); 2] = [("HASH_THREADS", "1"), ("HASH_QUEUE", "8")];
const ACCOUNTS: usize = 8;
const IDLE: &str = "idle";
const FLOODED: &str = "under 64 concurrent logins";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_beyond_the_cores_are_rejected_and_token_checks_continue() {
    overload(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; docs/FAULTS.md has the command and the figures"]
async fn long_logins_beyond_the_cores_are_rejected_and_token_checks_continue() {
    println!("{}", overload(Duration::from_secs(20)).await);
}

/// Returns a client that passes BUSY on at once, so that it is counted.
fn impatient(address: &str) -> Client {
    Client::with_config(address, Config { busy_attempts: 1, ..Config::default() })
}

async fn overload(span: Duration) -> String {
    let process = Process::start(&SMALL_POOL);
    let address = process.address.to_string();
    let client = process.client();
    let mut names = Vec::new();
    let mut regular = None;
    for number in 0..ACCOUNTS {
        names.push(format!("ada{number}"));
        regular = Some(process.account(&client, &names[number]).await);
    }
    let stats = std::sync::Arc::new(CallStats::default());
    stats.phase(IDLE);
    let gateway = gateway_load(&address, &regular.unwrap(), &stats);
    tokio::time::sleep(span).await;
    stats.phase(FLOODED);
    let mut flood = JoinSet::new();
    for number in 0..64 {
        // Eight at a time for each account, so that no refusal is due to a login's own budget.
        let (client, name, stats) =
            (impatient(&address), names[number % ACCOUNTS].clone(), stats.clone());
        flood.spawn(async move {
            loop {
                if let Err(Error::Refused(reply)) =
                    stats.call(&client, login(&name, PASSWORD), Common::default()).await
                {
                    assert_eq!(reply.code, ErrorCode::BUSY);
                    let pause = reply.retry_after_ms.expect("a time to retry after");
                    tokio::time::sleep(Duration::from_millis(pause.into())).await;
                }
            }
        });
    }
    let ended = tokio::time::timeout(span, flood.join_next()).await;
    assert!(ended.is_err(), "{ended:?}");
    flood.shutdown().await;
    drop(gateway);
    stats.assert_only(&["OK", "BUSY"]);
    for phase in [IDLE, FLOODED] {
        stats.assert_only_of(phase, "VerifyToken", &["OK"]);
        stats.assert_only_of(phase, "GetUser", &["OK"]);
    }
    assert!(stats.count(FLOODED, "BUSY") > 0, "no login was rejected");
    stats.table("More logins than cores (HASH_THREADS=1, HASH_QUEUE=8)")
}
