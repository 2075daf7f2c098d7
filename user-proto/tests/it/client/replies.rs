//! Replies: the assignment to calls, and invalid replies.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use user_proto::client::{Config, Direction, Error, Tls, TlsOptions};
use user_proto::{
    Common, DecodeError, ErrorCode, IdempotencyKey, Ping, Pong, Register, Request, frame,
};

use super::fake::{Fake, call, login, quick, token_of, verified, verify, wrong_reply};

#[tokio::test]
async fn replies_in_any_order_reach_their_calls() {
    let fake = Fake::start().await;
    let client = fake.client();
    let calls: Vec<_> = (1..=3).map(|token| call(&client, verify(token))).collect();
    let mut peer = fake.accept().await;
    let mut pending = Vec::new();
    for _ in 0..3 {
        pending.push(peer.request().await);
    }
    for (id, request) in pending.iter().rev() {
        assert_ne!(*id, 0);
        peer.reply(*id, verified(token_of(request))).await;
    }
    for (call, token) in calls.into_iter().zip(1..) {
        assert_eq!(call.await.unwrap().unwrap(), verified(token));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_once_share_one_connection() {
    let fake = Fake::start().await;
    let client = fake.client();
    let calls: Vec<_> = (0..1000).map(|token| call(&client, verify(token))).collect();
    let served = tokio::spawn(fake.accept().await.serve());
    for (call, token) in calls.into_iter().zip(0..) {
        assert_eq!(call.await.unwrap().unwrap(), verified(token));
    }
    assert!(fake.has_no_connection().await);
    client.close().await;
    assert_eq!(served.await.unwrap(), 1000);
}

#[tokio::test]
async fn a_reply_may_arrive_byte_by_byte() {
    let fake = Fake::start().await;
    let client = fake.client();
    let pending = call(&client, Ping {});
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    let mut out = bytes::BytesMut::new();
    let pong = Pong { max_in_flight: Some(8), idle_timeout: Some(60), max_hashing: None };
    user_proto::encode(id, &pong, &mut out).unwrap();
    for byte in out {
        peer.stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(pending.await.unwrap().unwrap(), pong);
}

#[tokio::test]
async fn an_invalid_reply_fails_only_its_call() {
    let fake = Fake::start().await;
    let client = fake.client();
    let calls: Vec<_> = (0..4).map(|token| call(&client, verify(token))).collect();
    let mut peer = fake.accept().await;
    for _ in 0..4 {
        let (id, request) = peer.request().await;
        match token_of(&request) {
            0 => peer.stream.write_all(&wrong_reply(id)).await.unwrap(),
            1 => peer.stream.write_all(&frame_of(0xC2, id, &[])).await.unwrap(),
            2 => peer.stream.write_all(&frame_of(0x83, id, &[1, 2, 3])).await.unwrap(),
            token => peer.reply(id, verified(token)).await,
        }
    }
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    assert!(matches!(
        answers[0],
        Err(Error::BadReply { kind: 0x85, error: DecodeError::UnknownType(0x85) })
    ));
    assert!(matches!(answers[1], Err(Error::BadReply { kind: 0xC2, .. })));
    assert!(matches!(
        answers[2],
        Err(Error::BadReply { kind: 0x83, error: DecodeError::Malformed { .. } })
    ));
    assert!(answers[2].as_ref().unwrap_err().outcome_unknown());
    assert_eq!(*answers[3].as_ref().unwrap(), verified(3));
}

#[tokio::test]
async fn unexpected_replies_are_dropped() {
    let fake = Fake::start().await;
    let client = fake.client();
    let pending = call(&client, verify(5));
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    peer.reply(id + 7, verified(1)).await;
    peer.reply(0, verified(1)).await;
    peer.reply(id, verified(5)).await;
    peer.reply(id, verified(6)).await;
    assert_eq!(pending.await.unwrap().unwrap(), verified(5));
    let pending = call(&client, verify(8));
    let (id, _) = peer.request().await;
    peer.reply(id, verified(8)).await;
    assert_eq!(pending.await.unwrap().unwrap(), verified(8));
}

#[tokio::test]
async fn a_refusal_has_its_error_code() {
    let fake = Fake::start().await;
    let client = fake.client();
    let pending = call(&client, login());
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    peer.refuse(id, ErrorCode(0x03ff)).await;
    let refusal = pending.await.unwrap().unwrap_err();
    assert_eq!(refusal.code(), Some(ErrorCode(0x03ff)));
    assert!(!refusal.outcome_unknown());
}

#[tokio::test]
async fn after_any_error_of_class_06_but_shutting_down_the_outcome_is_unknown() {
    let fake = Fake::start().await;
    let client = fake.client_with(Config { busy_attempts: 1, ..quick() });
    let mut pending = call(&client, login());
    let mut peer = fake.accept().await;
    for (code, unknown) in [
        (ErrorCode::INTERNAL, true),
        (ErrorCode::UNAVAILABLE, true),
        (ErrorCode::DEADLINE_EXCEEDED, true),
        (ErrorCode(0x06FE), true),
        (ErrorCode(0x05FE), false),
        (ErrorCode(0x0701), false),
    ] {
        let (id, _) = peer.request().await;
        peer.refuse(id, code).await;
        let refusal = std::mem::replace(&mut pending, call(&client, login()));
        assert_eq!(refusal.await.unwrap().unwrap_err().outcome_unknown(), unknown, "{code:?}");
    }
}

#[tokio::test]
async fn common_tags_are_sent_and_a_request_that_is_too_long_is_not() {
    let fake = Fake::start().await;
    let client = fake.client();
    let long = Register {
        username: "u".repeat(40_000).into(),
        email: "e".repeat(40_000).into(),
        password: "p".into(),
    };
    let calls = {
        let client = client.clone();
        tokio::spawn(async move {
            let refused = client.call(long).await;
            let key = Some(IdempotencyKey([7; 16]));
            let common = Common {
                idempotency_key: key,
                traceparent: Some("00-a".into()),
                ..Common::default()
            };
            (refused, client.call_with(verify(1), common).await)
        })
    };
    let mut peer = fake.accept().await;
    let (id, request, common) = peer.next().await.unwrap();
    assert!(matches!(request, Request::VerifyToken(_)));
    assert_eq!(common.idempotency_key, Some(IdempotencyKey([7; 16])));
    assert_eq!((common.traceparent.as_deref(), common.deadline_ms), (Some("00-a"), None));
    peer.reply(id, verified(1)).await;
    let (refused, verified) = calls.await.unwrap();
    assert!(matches!(refused, Err(Error::TooLong(_))));
    assert!(verified.is_ok());
}

#[tokio::test]
async fn a_tap_sees_every_frame_of_both_directions() {
    let fake = Fake::start().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tap = {
        let seen = Arc::clone(&seen);
        Arc::new(move |direction, bytes: &[u8]| {
            let (found, size) = frame::split(bytes).unwrap().unwrap();
            assert_eq!(size, bytes.len());
            seen.lock().unwrap().push((direction, found.kind));
        })
    };
    let client = fake.client_with(Config { tap: Some(tap), ..quick() });
    tokio::spawn(fake.accept_and_serve());
    client.call(verify(1)).await.unwrap();
    client.call(Ping {}).await.unwrap();
    client.close().await;
    let (sent, received) = (Direction::Sent, Direction::Received);
    assert_eq!(
        *seen.lock().unwrap(),
        [(sent, 0x03), (received, 0x83), (sent, 0x7f), (received, 0xff)]
    );
}

fn frame_of(kind: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(5 + body.len()).unwrap();
    [&length.to_be_bytes()[..], &[kind], &id.to_be_bytes(), body].concat()
}

#[tokio::test]
async fn debug_of_a_client_shows_its_address_but_not_its_tap() {
    let fake = Fake::start().await;
    let shown = format!("{:?}", fake.client());
    assert!(shown.starts_with("Client {") && shown.contains(&fake.addr()), "{shown}");
    let shown = format!("{:?}", Config { tap: Some(Arc::new(|_, _| ())), ..quick() });
    assert!(shown.starts_with("Config {") && shown.contains("tap: true"), "{shown}");
    let shown = format!(
        "{:?}",
        Tls::new(&TlsOptions { server_name: Some("ada.example"), ..TlsOptions::default() })
    );
    assert!(shown.starts_with("Ok(Tls {") && shown.contains("ada.example"), "{shown}");
}
