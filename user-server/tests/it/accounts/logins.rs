//! Rate limiting of logins, registrations and resets.

use std::time::Duration;

use user_proto::client::Client;
use user_proto::{Common, ErrorCode, Login};

use crate::support::{
    PASSWORD, TestServer, call_patiently, code_of, count, login, long_deadline, on_behalf_of,
    refused_at, register, request_reset, together,
};

const WRONG: &str = "tides rise at ten";
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Tries a login for an end user at this address.
async fn attempt(client: &Client, ip: &str, login: Login<'_>) -> Result<(), ErrorCode> {
    let common = Common { deadline_ms: long_deadline().deadline_ms, ..on_behalf_of(ip) };
    call_patiently(client, login, common).await.map(drop)
}

#[tokio::test]
async fn the_wait_grows_and_a_success_ends_it() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    server.account(&client, "ada").await;
    let fail = async || attempt(&client, "192.0.2.7", login("Ada", WRONG)).await;
    for _ in 0..5 {
        assert_eq!(fail().await, Err(ErrorCode::INVALID_CREDENTIALS));
    }
    for seconds in [1, 2, 4] {
        let wait = Duration::from_secs(seconds);
        let refusal = refused_at(&client, "192.0.2.7", login("ADA", PASSWORD)).await;
        assert_eq!(refusal, (ErrorCode::RATE_LIMITED, Some(wait)), "even the right password waits");
        server.clock.advance(wait - Duration::from_millis(1));
        assert_eq!(fail().await, Err(ErrorCode::RATE_LIMITED));
        server.clock.advance(Duration::from_millis(1));
        assert_eq!(fail().await, Err(ErrorCode::INVALID_CREDENTIALS));
    }
    assert_eq!(
        attempt(&client, "192.0.2.8", login("ada", PASSWORD)).await,
        Ok(()),
        "another network does not wait"
    );
    assert_eq!(
        attempt(&client, "192.0.2.7", login("ada@example.org", PASSWORD)).await,
        Ok(()),
        "another spelling of the login"
    );
    server.clock.advance(Duration::from_secs(8));
    assert_eq!(attempt(&client, "192.0.2.7", login("ada", PASSWORD)).await, Ok(()));
    for _ in 0..5 {
        assert_eq!(fail().await, Err(ErrorCode::INVALID_CREDENTIALS), "the success ended the wait");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_cannot_lock_the_owner_out_of_a_known_network() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let clients = server.clients();
    let client = clients[0].clone();
    server.account(&client, "ada").await;
    assert_eq!(attempt(&client, "198.51.100.1", login("ada", PASSWORD)).await, Ok(()));
    let failures = together((0..60).map(|number| {
        let client = clients[number % clients.len()].clone();
        async move { attempt(&client, &format!("192.0.2.{number}"), login("ada", WRONG)).await }
    }))
    .await;
    assert_eq!(count(&failures, ErrorCode::INVALID_CREDENTIALS), 40, "{failures:?}");
    assert_eq!(count(&failures, ErrorCode::RATE_LIMITED), 20, "{failures:?}");
    let stranger = refused_at(&client, "203.0.113.1", login("ada", PASSWORD)).await;
    assert_eq!(stranger, (ErrorCode::RATE_LIMITED, Some(DAY)), "an unknown network");
    assert_eq!(
        code_of(&client, login("ada", PASSWORD)).await,
        ErrorCode::RATE_LIMITED,
        "no network"
    );
    assert_eq!(
        attempt(&client, "198.51.100.1", login("ada", PASSWORD)).await,
        Ok(()),
        "the network of the owner"
    );
    let mut failures = 0;
    while attempt(&client, "198.51.100.1", login("ada", WRONG)).await
        == Err(ErrorCode::INVALID_CREDENTIALS)
    {
        failures += 1;
        // The longest wait.
        server.clock.advance(Duration::from_secs(15 * 60));
    }
    assert_eq!(failures, 10);
    server.clock.advance(DAY);
    assert_eq!(attempt(&client, "203.0.113.1", login("ada", PASSWORD)).await, Ok(()), "a new day");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_network_has_a_hundred_failures_an_hour_over_all_logins() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let clients = server.clients();
    let failures =
        together(
            (0..104).map(|number| {
                let client = clients[number % clients.len()].clone();
                async move {
                    attempt(&client, "192.0.2.7", login(&format!("unknown{number}"), WRONG)).await
                }
            }),
        )
        .await;
    assert_eq!(count(&failures, ErrorCode::INVALID_CREDENTIALS), 100, "{failures:?}");
    assert_eq!(count(&failures, ErrorCode::RATE_LIMITED), 4, "{failures:?}");
    let (code, wait) = refused_at(&clients[0], "192.0.2.7", login("another", WRONG)).await;
    assert_eq!((code, wait), (ErrorCode::RATE_LIMITED, Some(HOUR)));
    server.clock.advance(HOUR);
    assert_eq!(
        attempt(&clients[0], "192.0.2.7", login("another", WRONG)).await,
        Err(ErrorCode::INVALID_CREDENTIALS)
    );
    server.stop().await;
}

#[tokio::test]
async fn one_network_has_twenty_registrations_and_twenty_resets_an_hour() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    server.account(&client, "ada").await;
    let ip = "2001:db8:1:2::7";
    let taken = refused_at(&client, ip, register("ada", "new@example.org")).await;
    assert_eq!(taken, (ErrorCode::USERNAME_TAKEN, None), "a refused registration is not counted");
    for number in 0..20 {
        let (name, address) = (format!("ada{number}"), format!("ada{number}@example.org"));
        client.call_with(register(&name, &address), on_behalf_of(ip)).await.unwrap();
        client.call_with(request_reset(&address), on_behalf_of(ip)).await.unwrap();
    }
    let limited = (ErrorCode::RATE_LIMITED, Some(HOUR));
    // Another address of the same /64 network, and a known and an unknown email address.
    for address in ["ada@example.org", "unknown@example.org"] {
        assert_eq!(
            refused_at(&client, "2001:db8:1:2:ffff::1", register("new", address)).await,
            limited
        );
        assert_eq!(
            refused_at(&client, "2001:db8:1:2:ffff::1", request_reset(address)).await,
            limited
        );
    }
    client
        .call_with(request_reset("ada@example.org"), on_behalf_of("2001:db8:1:3::7"))
        .await
        .unwrap();
    server.clock.advance(HOUR);
    client.call_with(register("new", "new@example.org"), on_behalf_of(ip)).await.unwrap();
    client.call_with(request_reset("ada@example.org"), on_behalf_of(ip)).await.unwrap();
    server.stop().await;
}
