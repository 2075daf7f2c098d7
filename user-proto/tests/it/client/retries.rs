//! Requests that are repeated, and requests that must not be.

use std::time::Duration;

use tokio::task::JoinHandle;
use user_proto::client::{Client, CloseReason, Config, Error};
use user_proto::{Common, ErrorCode, IdempotencyKey, RefreshToken, TokenRefreshed};

use super::fake::{
    Fake, Peer, call, error, login, long_login, quick, unused_addr, verified, verify, within,
};

#[tokio::test]
async fn a_lost_connection_leaves_the_outcome_of_a_login_unknown() {
    let fake = Fake::start().await;
    let client = fake.client();
    let pending = call(&client, login());
    let mut peer = fake.accept().await;
    peer.request().await;
    drop(peer);
    let error = pending.await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::Lost { reason: CloseReason::ClosedByServer | CloseReason::Io(..) }),
        "{error:?}"
    );
    assert!(error.outcome_unknown());
    assert!(fake.has_no_connection().await);
}

#[tokio::test]
async fn a_token_check_is_repeated_after_a_lost_connection() {
    let fake = Fake::start().await;
    let client = fake.client();
    let pending = call(&client, verify(4));
    let mut peer = fake.accept().await;
    peer.request().await;
    drop(peer);
    tokio::spawn(fake.accept().await.serve());
    assert_eq!(pending.await.unwrap().unwrap(), verified(4));
}

#[tokio::test]
async fn a_refresh_and_any_request_with_an_idempotency_key_are_repeated() {
    let fake = Fake::start().await;
    let client = fake.client();
    let refresh = call(&client, RefreshToken { refresh_token: "r".into() });
    let mut peer = fake.accept().await;
    peer.request().await;
    drop(peer);
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    peer.refuse(id, ErrorCode::SESSION_REVOKED).await;
    assert_eq!(refresh.await.unwrap().unwrap_err().code(), Some(ErrorCode::SESSION_REVOKED));

    let keyed = {
        let common = Common { idempotency_key: Some(IdempotencyKey([1; 16])), ..Common::default() };
        tokio::spawn(async move { client.call_with(login(), common).await })
    };
    peer.request().await;
    drop(peer);
    tokio::spawn(fake.accept().await.serve());
    assert_eq!(keyed.await.unwrap().unwrap_err().code(), Some(ErrorCode::INVALID_CREDENTIALS));
}

#[tokio::test]
async fn a_server_that_shuts_down_still_answers_but_gets_no_new_requests() {
    let fake = Fake::start().await;
    let client = fake.client();
    let before = call(&client, login());
    let mut old = fake.accept().await;
    let (id, _) = old.request().await;
    old.refuse(0, ErrorCode::SHUTTING_DOWN).await;
    assert!(old.next().await.is_none(), "the client shuts down its side");

    let after = call(&client, verify(2));
    tokio::spawn(fake.accept().await.serve());
    assert_eq!(after.await.unwrap().unwrap(), verified(2));
    old.refuse(id, ErrorCode::INVALID_CREDENTIALS).await;
    assert_eq!(before.await.unwrap().unwrap_err().code(), Some(ErrorCode::INVALID_CREDENTIALS));
}

#[tokio::test]
async fn a_request_refused_with_shutting_down_is_sent_on_another_connection() {
    let fake = Fake::start().await;
    let client = fake.client();
    let pending = call(&client, login());
    for _ in 0..3 {
        let mut peer = fake.accept().await;
        let (id, _) = peer.request().await;
        peer.refuse(id, ErrorCode::SHUTTING_DOWN).await;
    }
    tokio::spawn(fake.accept().await.serve());
    assert_eq!(pending.await.unwrap().unwrap_err().code(), Some(ErrorCode::INVALID_CREDENTIALS));
}

#[tokio::test]
async fn a_request_answered_busy_is_sent_again_three_times_in_total() {
    let fake = Fake::start().await;
    let client = fake.client();
    let pending = call(&client, login());
    let mut peer = fake.accept().await;
    for _ in 0..3 {
        let (id, _) = peer.request().await;
        let busy = user_proto::ErrorReply { retry_after_ms: Some(20), ..error(ErrorCode::BUSY) };
        peer.reply(id, busy).await;
    }
    assert_eq!(pending.await.unwrap().unwrap_err().code(), Some(ErrorCode::BUSY));
    let limited = call(&client, login());
    let (id, _) = peer.request().await;
    peer.refuse(id, ErrorCode::RATE_LIMITED).await;
    assert_eq!(limited.await.unwrap().unwrap_err().code(), Some(ErrorCode::RATE_LIMITED));
}

#[tokio::test]
async fn a_request_that_was_not_written_is_sent_again() {
    let fake = Fake::start().await;
    let client = fake.client();
    // Most of the requests wait in the client.
    let calls: Vec<_> = (0..250).map(|_| call(&client, long_login())).collect();
    let peer = fake.accept().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(peer);
    tokio::spawn(fake.accept().await.serve());
    let (mut lost, mut answered) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Err(Error::Lost { .. }) => lost += 1,
            Err(Error::Refused(_)) => answered += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(lost > 0 && answered > 0, "{lost} lost, {answered} answered");
}

#[tokio::test]
async fn a_call_waits_for_a_server_that_starts_later() {
    let addr = unused_addr().await;
    let client = Client::with_config(addr.to_string(), quick());
    let pending = call(&client, verify(9));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let fake = Fake::at(addr).await;
    tokio::spawn(fake.accept().await.serve());
    assert_eq!(pending.await.unwrap().unwrap(), verified(9));
}

#[tokio::test]
async fn without_a_server_a_call_fails_at_once_or_at_its_deadline() {
    let addr = unused_addr().await.to_string();
    let impatient = Client::with_config(&addr, Config { wait_for_server: false, ..quick() });
    assert!(matches!(impatient.call(verify(1)).await, Err(Error::Connect(_))));
    let patient = Client::with_config(&addr, within(Duration::from_millis(100)));
    let error = patient.call(login()).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    assert!(!error.outcome_unknown());
}

/// Returns a refresh that was sent 26 s ago: the client, the call, the peer and the request id.
async fn old_refresh(
    fake: &Fake,
) -> (Client, JoinHandle<Result<TokenRefreshed<'static>, Error>>, Peer, u32) {
    let client = fake.client_with(within(Duration::from_secs(60)));
    let pending = call(&client, RefreshToken { refresh_token: "r".into() });
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(26)).await;
    tokio::time::resume();
    (client, pending, peer, id)
}

#[tokio::test]
async fn a_refresh_that_would_look_like_theft_is_not_repeated() {
    let fake = Fake::start().await;
    let (client, pending, peer, _) = old_refresh(&fake).await;
    drop(peer);
    assert!(matches!(pending.await.unwrap(), Err(Error::Lost { .. })));
    // The client may have reconnected, but sends nothing.
    let accepted = tokio::time::timeout(Duration::from_millis(100), fake.accept()).await;
    if let Ok(mut peer) = accepted {
        drop(client);
        assert!(peer.next().await.is_none());
    }
}

#[tokio::test]
async fn a_refresh_that_was_not_executed_is_repeated_at_any_time() {
    let fake = Fake::start().await;
    let (_client, pending, mut peer, id) = old_refresh(&fake).await;
    peer.refuse(id, ErrorCode::SHUTTING_DOWN).await;
    let mut next = fake.accept().await;
    let (id, _) = next.request().await;
    next.refuse(id, ErrorCode::SESSION_REVOKED).await;
    assert_eq!(pending.await.unwrap().unwrap_err().code(), Some(ErrorCode::SESSION_REVOKED));
}

/// A backoff longer than any test.
const NEVER: Duration = Duration::from_secs(600);

fn backing_off(first: Duration) -> Config {
    Config { initial_backoff: first, max_backoff: NEVER, ..Config::default() }
}

#[tokio::test]
async fn a_server_that_accepts_but_never_answers_causes_a_backoff() {
    let fake = Fake::start().await;
    let client = fake.client_with(backing_off(NEVER));
    let pending = call(&client, login());
    drop(fake.accept().await);
    assert!(pending.await.unwrap().is_err());
    let next = call(&client, login());
    assert!(fake.has_no_connection().await);
    next.abort();
}

#[tokio::test]
async fn after_a_connection_that_served_the_client_reconnects_at_once() {
    let fake = Fake::start().await;
    let client = fake.client_with(backing_off(NEVER));
    for token in 0..3 {
        let pending = call(&client, verify(token));
        let mut peer = fake.accept().await;
        let (id, _) = peer.request().await;
        peer.reply(id, verified(token)).await;
        assert_eq!(pending.await.unwrap().unwrap(), verified(token));
    }
}

#[tokio::test]
async fn a_client_that_does_not_wait_fails_at_once_during_the_backoff() {
    let addr = unused_addr().await;
    let [never, soon] = [NEVER, Duration::from_millis(1)].map(|backoff| {
        Client::with_config(
            addr.to_string(),
            Config { wait_for_server: false, ..backing_off(backoff) },
        )
    });
    for client in [&never, &soon] {
        assert!(matches!(client.call(verify(1)).await, Err(Error::Connect(_))));
    }
    let fake = Fake::at(addr).await;
    let refused = tokio::time::timeout(Duration::from_secs(5), never.call(verify(1))).await;
    assert!(matches!(refused.expect("it does not wait"), Err(Error::Connect(_))));
    assert!(fake.has_no_connection().await);
    let pending = call(&soon, verify(2));
    tokio::spawn(fake.accept_and_serve());
    assert_eq!(pending.await.unwrap().unwrap(), verified(2));
}
