//! Deadlines, dropped calls, and the limit of requests in flight.

use std::collections::HashSet;
use std::time::Duration;

use user_proto::client::{Client, Config, Error};
use user_proto::{Common, ErrorCode, ErrorReply, GetKeys, Ping, Pong, RequestMessage, UpdateUser};

use super::fake::{Fake, call, login, long_login, token_of, user, verified, verify, within};

#[tokio::test]
async fn a_deadline_is_sent_and_enforced() {
    let fake = Fake::start().await;
    let client = fake.client();
    let pending = {
        let client = client.clone();
        let common = Common { deadline_ms: Some(150), ..Common::default() };
        tokio::spawn(async move { client.call_with(login(), common).await })
    };
    let mut peer = fake.accept().await;
    let (first, _, common) = peer.next().await.unwrap();
    assert!((1..=150).contains(&common.deadline_ms.unwrap()));
    let error = pending.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { sent: true }));
    assert!(error.outcome_unknown());

    // The late reply is dropped, and the connection remains usable.
    let next = call(&client, verify(2));
    let (second, _) = peer.request().await;
    assert_ne!(first, second);
    peer.reply(first, verified(1)).await;
    peer.reply(second, verified(2)).await;
    assert_eq!(next.await.unwrap().unwrap(), verified(2));
}

#[tokio::test]
async fn a_call_with_an_expired_deadline_sends_nothing() {
    let fake = Fake::start().await;
    let common = Common { deadline_ms: Some(0), ..Common::default() };
    let error = fake.client().call_with(login(), common).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { sent: false }));
    assert!(fake.has_no_connection().await);
}

#[tokio::test]
async fn the_default_deadline_can_be_configured() {
    let fake = Fake::start().await;
    let client = fake.client_with(within(Duration::from_millis(90)));
    let pending = call(&client, user());
    let mut peer = fake.accept().await;
    let (_, _, common) = peer.next().await.unwrap();
    assert!(common.deadline_ms.unwrap() <= 90);
    assert!(matches!(pending.await.unwrap(), Err(Error::DeadlineExceeded { sent: true })));
}

#[tokio::test]
async fn at_most_256_requests_are_in_flight_until_a_pong_changes_the_limit() {
    let fake = Fake::start().await;
    let client = fake.client();
    let calls: Vec<_> = (0..300).map(|token| call(&client, verify(token))).collect();
    let mut peer = fake.accept().await;
    let mut pending = Vec::new();
    for _ in 0..256 {
        pending.push(peer.request().await);
    }
    assert!(is_quiet(&mut peer).await);
    assert_eq!(
        pending.iter().map(|(id, _)| *id).collect::<HashSet<_>>().len(),
        256,
        "no request id is used twice"
    );
    for (id, request) in pending.drain(..) {
        peer.reply(id, verified(token_of(&request))).await;
    }
    for _ in 256..300 {
        let (id, request) = peer.request().await;
        peer.reply(id, verified(token_of(&request))).await;
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }

    let ping = call(&client, Ping {});
    let (id, _) = peer.request().await;
    peer.reply(id, Pong { max_in_flight: Some(2), idle_timeout: None, max_hashing: None }).await;
    ping.await.unwrap().unwrap();
    let calls: Vec<_> = (0..5).map(|token| call(&client, verify(token))).collect();
    let (one, two) = (peer.request().await, peer.request().await);
    assert!(is_quiet(&mut peer).await);
    for (id, request) in [one, two] {
        peer.reply(id, verified(token_of(&request))).await;
    }
    for _ in 2..5 {
        let (id, request) = peer.request().await;
        peer.reply(id, verified(token_of(&request))).await;
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_lower_limit_applies_although_more_requests_are_in_flight() {
    let fake = Fake::start().await;
    let client = fake.client();
    let calls: Vec<_> = (0..255).map(|token| call(&client, verify(token))).collect();
    let mut peer = fake.accept().await;
    let mut pending = Vec::new();
    for _ in 0..255 {
        pending.push(peer.request().await);
    }
    let ping = call(&client, Ping {});
    let (id, _) = peer.request().await;
    peer.reply(id, Pong { max_in_flight: Some(1), idle_timeout: None, max_hashing: None }).await;
    ping.await.unwrap().unwrap();
    let late = [call(&client, verify(1000)), call(&client, verify(1001))];
    for (id, request) in pending.drain(..254) {
        peer.reply(id, verified(token_of(&request))).await;
    }
    assert!(is_quiet(&mut peer).await, "one is still in flight");
    let (id, request) = pending.remove(0);
    peer.reply(id, verified(token_of(&request))).await;
    for _ in 0..2 {
        let (id, request) = peer.request().await;
        assert!(is_quiet(&mut peer).await);
        peer.reply(id, verified(token_of(&request))).await;
    }
    for call in calls.into_iter().chain(late) {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_dropped_call_releases_its_slot_when_the_reply_arrives() {
    let fake = Fake::start().await;
    let client = fake.client();
    let calls: Vec<_> = (0..256).map(|token| call(&client, verify(token))).collect();
    let mut peer = fake.accept().await;
    let mut pending = Vec::new();
    for _ in 0..256 {
        pending.push(peer.request().await);
    }
    for call in calls {
        call.abort();
        let _ = call.await;
    }
    let late = call(&client, verify(300));
    assert!(is_quiet(&mut peer).await, "256 requests are still in flight");
    let (id, _) = pending.remove(0);
    peer.reply(id, verified(0)).await;
    let (again, request) = peer.request().await;
    assert!(pending.iter().all(|(id, _)| *id != again), "no request id in flight is reused");
    peer.reply(again, verified(token_of(&request))).await;
    assert_eq!(late.await.unwrap().unwrap(), verified(300));
}

#[tokio::test]
async fn the_deadline_error_tells_whether_the_request_was_written() {
    let fake = Fake::start().await;
    let client = fake.client_with(within(Duration::from_millis(500)));
    // The server does not read.
    let calls: Vec<_> = (0..250).map(|_| call(&client, long_login())).collect();
    let _peer = fake.accept().await;
    let (mut written, mut unwritten) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Err(Error::DeadlineExceeded { sent: true }) => written += 1,
            Err(Error::DeadlineExceeded { sent: false }) => unwritten += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(written > 0 && unwritten > 0, "{written} written, {unwritten} not");
}

/// Returns `true` if the client sends nothing within 60 ms.
async fn is_quiet(peer: &mut super::fake::Peer) -> bool {
    tokio::time::timeout(Duration::from_millis(60), peer.next()).await.is_err()
}

#[tokio::test]
async fn secrets_are_not_sent_in_plaintext_to_another_machine_unless_allowed() {
    // No server listens there; a call that is not refused fails to connect.
    let addr = "192.0.2.1:9";
    let config = |allow_plaintext| Config {
        allow_plaintext,
        deadline: Some(Duration::from_millis(20)),
        ..Config::default()
    };
    let refusing = Client::with_config(addr, config(false));
    assert!(matches!(refusing.call(login()).await, Err(Error::PlaintextRefused)));
    assert!(matches!(refusing.call(verify(1)).await, Err(Error::PlaintextRefused)));
    let keys = refusing.call(GetKeys {}).await;
    assert!(matches!(keys, Err(Error::PlaintextRefused)));
    assert!(!matches!(refusing.call(Ping {}).await, Err(Error::PlaintextRefused)));
    let allowing = Client::with_config(addr, config(true));
    assert!(!matches!(allowing.call(login()).await, Err(Error::PlaintextRefused)));
}

#[tokio::test]
async fn requests_that_hash_wait_in_the_client_and_hold_up_no_other() {
    let fake = Fake::start().await;
    let client = fake.client();
    let logins: Vec<_> = (0..40).map(|_| call(&client, login())).collect();
    let mut peer = fake.accept().await;
    let mut pending = Vec::new();
    for _ in 0..32 {
        pending.push(peer.request().await.0);
    }
    assert!(is_quiet(&mut peer).await, "the server would refuse a further one");
    // A request that does not hash is sent meanwhile, also an update of the name.
    let check = call(&client, verify(7));
    let (id, request) = peer.request().await;
    peer.reply(id, verified(token_of(&request))).await;
    check.await.unwrap().unwrap();
    let rename = UpdateUser { username: Some("kim2".into()), ..UpdateUser::new("token".into()) };
    assert!(!rename.hashes());
    let renaming = call(&client, rename);
    let (renaming_id, _) = peer.request().await;
    peer.reply(renaming_id, refusal()).await;
    assert!(renaming.await.unwrap().is_err());

    // A pong lowers the limit: the next request is sent once fewer are in flight.
    let ping = call(&client, Ping {});
    let (id, _) = peer.request().await;
    peer.reply(id, Pong { max_in_flight: None, idle_timeout: None, max_hashing: Some(2) }).await;
    ping.await.unwrap().unwrap();
    for id in pending.drain(..30) {
        peer.reply(id, refusal()).await;
    }
    assert!(is_quiet(&mut peer).await, "two are still in flight");
    for _ in 0..8 {
        peer.reply(pending.remove(0), refusal()).await;
        pending.push(peer.request().await.0);
        assert!(is_quiet(&mut peer).await);
    }
    for id in pending {
        peer.reply(id, refusal()).await;
    }
    for login in logins {
        assert!(matches!(login.await.unwrap(), Err(Error::Refused(_))));
    }
}

fn refusal() -> ErrorReply<'static> {
    let code = ErrorCode::INVALID_CREDENTIALS;
    ErrorReply { code, message: "no".into(), retry_after_ms: None, field: None }
}
