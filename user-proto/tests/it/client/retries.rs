//! What is asked again, and what must not be.

use std::time::Duration;

use tokio::task::JoinHandle;
use user_proto::client::{Cause, Client, Config, Error};
use user_proto::{Common, ErrorCode, IdempotencyKey, RefreshToken, TokenRefreshed};

use super::fake::{Fake, Peer, call, login, long_login, nowhere, quick, verified, verify, within};

#[tokio::test]
async fn a_lost_connection_leaves_the_outcome_of_a_login_unknown() {
    let fake = Fake::start().await;
    let client = fake.client();
    let asked = call(&client, login());
    let mut peer = fake.accept().await;
    peer.request().await;
    drop(peer);
    let error = asked.await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::Lost { cause: Cause::ClosedByServer | Cause::Io(..) }),
        "{error:?}"
    );
    assert!(error.outcome_unknown());
    assert!(fake.is_left_alone().await);
}

#[tokio::test]
async fn a_lost_connection_is_not_noticed_by_a_token_check() {
    let fake = Fake::start().await;
    let client = fake.client();
    let asked = call(&client, verify(4));
    let mut peer = fake.accept().await;
    peer.request().await;
    drop(peer);
    tokio::spawn(fake.accept().await.serve());
    assert_eq!(asked.await.unwrap().unwrap(), verified(4));
}

#[tokio::test]
async fn a_refresh_is_asked_again_and_so_is_anything_with_a_key() {
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
async fn a_server_that_is_going_down_still_answers_and_gets_nothing_new() {
    let fake = Fake::start().await;
    let client = fake.client();
    let before = call(&client, login());
    let mut old = fake.accept().await;
    let (id, _) = old.request().await;
    old.refuse(0, ErrorCode::SHUTTING_DOWN).await;
    assert!(old.next().await.is_none(), "the client ends its side");

    let after = call(&client, verify(2));
    tokio::spawn(fake.accept().await.serve());
    assert_eq!(after.await.unwrap().unwrap(), verified(2));
    old.refuse(id, ErrorCode::INVALID_CREDENTIALS).await;
    assert_eq!(before.await.unwrap().unwrap_err().code(), Some(ErrorCode::INVALID_CREDENTIALS));
}

#[tokio::test]
async fn a_request_that_met_a_server_going_down_is_asked_elsewhere() {
    let fake = Fake::start().await;
    let client = fake.client();
    let asked = call(&client, login());
    for _ in 0..3 {
        let mut peer = fake.accept().await;
        let (id, _) = peer.request().await;
        peer.refuse(id, ErrorCode::SHUTTING_DOWN).await;
    }
    tokio::spawn(fake.accept().await.serve());
    assert_eq!(asked.await.unwrap().unwrap_err().code(), Some(ErrorCode::INVALID_CREDENTIALS));
}

#[tokio::test]
async fn what_was_never_written_is_sent_again_whatever_it_is() {
    let fake = Fake::start().await;
    let client = fake.client();
    // Most of it waits in the client.
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
async fn a_call_waits_for_a_server_that_is_coming() {
    let addr = nowhere().await;
    let client = Client::with_config(addr.to_string(), quick());
    let asked = call(&client, verify(9));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let fake = Fake::at(addr).await;
    tokio::spawn(fake.accept().await.serve());
    assert_eq!(asked.await.unwrap().unwrap(), verified(9));
}

#[tokio::test]
async fn without_a_server_a_call_says_so_at_once_or_at_its_deadline() {
    let addr = nowhere().await.to_string();
    let at_once = Client::with_config(&addr, Config { wait_for_server: false, ..quick() });
    assert!(matches!(at_once.call(verify(1)).await, Err(Error::Connect(_))));
    let patient = Client::with_config(&addr, within(Duration::from_millis(100)));
    let error = patient.call(login()).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    assert!(!error.outcome_unknown());
}

/// A refresh that a server has had for 26 s: the client, its call, and the server's side of it.
async fn old_refresh(
    fake: &Fake,
) -> (Client, JoinHandle<Result<TokenRefreshed<'static>, Error>>, Peer, u32) {
    let client = fake.client_with(within(Duration::from_secs(60)));
    let asked = call(&client, RefreshToken { refresh_token: "r".into() });
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(26)).await;
    tokio::time::resume();
    (client, asked, peer, id)
}

#[tokio::test]
async fn a_refresh_that_would_look_like_theft_is_not_asked_again() {
    let fake = Fake::start().await;
    let (client, asked, peer, _) = old_refresh(&fake).await;
    drop(peer);
    assert!(matches!(asked.await.unwrap(), Err(Error::Lost { .. })));
    // It may have connected again, and then said nothing.
    let accepted = tokio::time::timeout(Duration::from_millis(100), fake.accept()).await;
    if let Ok(mut peer) = accepted {
        drop(client);
        assert!(peer.next().await.is_none());
    }
}

#[tokio::test]
async fn a_refresh_that_was_not_done_is_asked_again_however_late() {
    let fake = Fake::start().await;
    let (_client, asked, mut peer, id) = old_refresh(&fake).await;
    peer.refuse(id, ErrorCode::SHUTTING_DOWN).await;
    let mut next = fake.accept().await;
    let (id, _) = next.request().await;
    next.refuse(id, ErrorCode::SESSION_REVOKED).await;
    assert_eq!(asked.await.unwrap().unwrap_err().code(), Some(ErrorCode::SESSION_REVOKED));
}

/// So long that a test which waits for it fails.
const NEVER: Duration = Duration::from_secs(600);

fn backing_off(first: Duration) -> Config {
    Config { backoff_first: first, backoff_longest: NEVER, ..Config::default() }
}

#[tokio::test]
async fn a_server_that_accepts_and_serves_nothing_is_left_alone_for_a_while() {
    let fake = Fake::start().await;
    let client = fake.client_with(backing_off(NEVER));
    let asked = call(&client, login());
    drop(fake.accept().await);
    assert!(asked.await.unwrap().is_err());
    let next = call(&client, login());
    assert!(fake.is_left_alone().await);
    next.abort();
}

#[tokio::test]
async fn a_server_that_has_served_is_called_again_at_once() {
    let fake = Fake::start().await;
    let client = fake.client_with(backing_off(NEVER));
    for token in 0..3 {
        let asked = call(&client, verify(token));
        let mut peer = fake.accept().await;
        let (id, _) = peer.request().await;
        peer.reply(id, verified(token)).await;
        assert_eq!(asked.await.unwrap().unwrap(), verified(token));
    }
}

#[tokio::test]
async fn a_client_that_does_not_wait_fails_at_once_until_its_back_off_is_over() {
    let addr = nowhere().await;
    let [barred, soon] = [NEVER, Duration::from_millis(1)].map(|backoff| {
        Client::with_config(
            addr.to_string(),
            Config { wait_for_server: false, ..backing_off(backoff) },
        )
    });
    for client in [&barred, &soon] {
        assert!(matches!(client.call(verify(1)).await, Err(Error::Connect(_))));
    }
    let fake = Fake::at(addr).await;
    let refused = tokio::time::timeout(Duration::from_secs(5), barred.call(verify(1))).await;
    assert!(matches!(refused.expect("it does not wait"), Err(Error::Connect(_))));
    assert!(fake.is_left_alone().await);
    let asked = call(&soon, verify(2));
    tokio::spawn(fake.accept_and_serve());
    assert_eq!(asked.await.unwrap().unwrap(), verified(2));
}
