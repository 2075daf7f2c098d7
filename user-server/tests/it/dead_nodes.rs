//! Idempotency keys that a killed process held: a repeat of the request gets the key, and succeeds
//! within the deadline of the first attempt.

use std::time::{Duration, Instant};

use user_proto::client::{Client, Config};
use user_proto::{Common, IdempotencyKey};

use crate::support::{PASSWORD, Process, SECRET, TestServer, free_port, login, postgres};

/// Slow enough that a login is in progress when its process is killed.
const SLOW: (&str, &str) = ("ARGON2_PASSES", "60");
/// Time after which a login has claimed its key and is hashing.
const CLAIMED: Duration = Duration::from_millis(250);
const DEADLINE: Duration = Duration::from_secs(20);

fn keyed(deadline: Duration) -> Common<'static> {
    let deadline_ms = u32::try_from(deadline.as_millis()).unwrap();
    Common {
        idempotency_key: Some(IdempotencyKey([7; 16])),
        deadline_ms: Some(deadline_ms),
        ..Common::default()
    }
}

/// A client that does not repeat a request by itself.
fn impatient(address: &str) -> Client {
    let config = Config { wait_for_server: false, ..Config::default() };
    Client::with_config(address, config)
}

#[tokio::test]
async fn a_login_in_a_killed_process_succeeds_after_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("user-data");
    let settings = [("DATA_DIR", data.to_str().unwrap()), SLOW];
    let server = TestServer::start_in(folder, &settings).await;
    server.account(&server.client(), "ada").await;
    let (folder, port) = (server.stop().await, free_port().to_string());
    let settings = [SLOW, ("TCP_PORT", port.as_str())];
    let process = Process::start_in(folder, &settings);
    let address = process.address.to_string();

    // The client of user-proto repeats a request with a key until its deadline.
    let began = Instant::now();
    let client = Client::new(address.as_str());
    let call =
        tokio::spawn(
            async move { client.call_with(login("ada", PASSWORD), keyed(DEADLINE)).await },
        );
    tokio::time::sleep(CLAIMED).await;
    assert!(!call.is_finished(), "the login is in progress");
    let process = Process::start_in(process.kill().await, &settings);
    let opened = call.await.unwrap().unwrap();
    assert!(began.elapsed() < DEADLINE / 2, "{:?}: it waited for the claim", began.elapsed());

    // It was executed once: a further repeat gets the same reply.
    let client = process.client();
    assert_eq!(client.call_with(login("ada", PASSWORD), keyed(DEADLINE)).await.unwrap(), opened);
    process.kill().await;
}

#[tokio::test]
async fn another_node_takes_over_the_key_of_a_killed_one() {
    let Some(postgres) = postgres() else { return };
    let database = postgres.database();
    let mails = tempfile::tempdir().unwrap();
    let settings = [
        ("PostgreSQL", database.as_str()),
        ("JWTSECRETKEY", SECRET),
        ("MAIL_DIR", mails.path().to_str().unwrap()),
        SLOW,
    ];
    let server = TestServer::start_with(&settings).await;
    server.account(&server.client(), "ada").await;
    server.stop().await;
    let (doomed, other) = (Process::start(&settings), Process::start(&settings));
    let first = impatient(&doomed.address.to_string());
    let second = impatient(&other.address.to_string());

    let began = Instant::now();
    let call =
        tokio::spawn(async move { first.call_with(login("ada", PASSWORD), keyed(DEADLINE)).await });
    tokio::time::sleep(CLAIMED).await;
    assert!(!call.is_finished(), "the login is in progress");
    doomed.kill().await;
    assert!(call.await.unwrap().unwrap_err().outcome_unknown());
    let remaining = DEADLINE.saturating_sub(began.elapsed());
    let opened = second.call_with(login("ada", PASSWORD), keyed(remaining)).await.unwrap();
    assert!(began.elapsed() < DEADLINE / 2, "{:?}: it waited for the claim", began.elapsed());
    let again = second.call_with(login("ada", PASSWORD), keyed(DEADLINE)).await.unwrap();
    assert_eq!(again, opened, "executed once");
    other.kill().await;
}
