//! The end of a connection: closed by either side, unresponsive, or by an error.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use user_proto::client::{Client, CloseReason, Config, Error};
use user_proto::{ErrorCode, Pong, Request};

use super::fake::{Fake, call, error, login, quick, verified, verify, within};

#[tokio::test]
async fn closing_waits_for_pending_replies() {
    let fake = Fake::start().await;
    let client = fake.client();
    let pending = call(&client, login());
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    let closing = {
        let client = client.clone();
        tokio::spawn(async move { client.close().await })
    };
    assert!(peer.next().await.is_none(), "the client shuts down its side first");
    assert!(matches!(client.call(verify(1)).await, Err(Error::Closed)));
    assert!(!closing.is_finished());
    peer.refuse(id, ErrorCode::INVALID_CREDENTIALS).await;
    assert!(matches!(pending.await.unwrap(), Err(Error::Refused(_))));
    drop(peer);
    closing.await.unwrap();
}

#[tokio::test]
async fn closing_does_not_wait_for_the_server_to_close() {
    let fake = Fake::start().await;
    let client = fake.client();
    let pending = call(&client, verify(1));
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    peer.reply(id, verified(1)).await;
    pending.await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(4), client.close()).await.expect("closes by itself");
}

#[tokio::test]
async fn closing_an_unused_client_does_nothing() {
    Client::new("127.0.0.1:1").close().await;
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_connection() {
    let fake = Fake::start().await;
    let client = fake.client();
    let pending = call(&client, verify(1));
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    peer.reply(id, verified(1)).await;
    pending.await.unwrap().unwrap();
    drop(client);
    assert!(peer.next().await.is_none());
}

#[tokio::test]
async fn an_idle_connection_is_pinged_and_lost_without_a_pong() {
    let fake = Fake::start().await;
    let short = Duration::from_millis(80);
    let client = fake.client_with(Config { ping_after: short, pong_timeout: short, ..quick() });
    let pending = call(&client, login());
    let mut peer = fake.accept().await;
    assert!(matches!(peer.request().await.1, Request::Login(_)));
    for _ in 0..2 {
        let (id, request) = peer.request().await;
        assert!(matches!(request, Request::Ping(_)));
        peer.reply(id, Pong { max_in_flight: None, idle_timeout: Some(300), max_hashing: None })
            .await;
    }
    assert!(matches!(peer.request().await.1, Request::Ping(_)));
    assert!(matches!(
        pending.await.unwrap(),
        Err(Error::Lost { reason: CloseReason::Unresponsive })
    ));
}

#[tokio::test]
async fn an_unresponsive_server_with_a_pending_request_is_abandoned_soon() {
    let fake = Fake::start().await;
    let short = Duration::from_millis(80);
    let client =
        fake.client_with(Config { ping_pending_after: short, pong_timeout: short, ..quick() });
    let idle = call(&client, verify(1));
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    peer.reply(id, verified(1)).await;
    idle.await.unwrap().unwrap();
    let next = tokio::time::timeout(3 * short, peer.next()).await;
    assert!(next.is_err(), "a ping was sent although no reply is pending: {next:?}");

    let pending = call(&client, verify(2));
    peer.request().await;
    assert!(matches!(peer.request().await.1, Request::Ping(_)));
    // A request that may be repeated is sent to the next server.
    tokio::spawn(fake.accept().await.serve());
    assert_eq!(pending.await.unwrap().unwrap(), verified(2));
}

#[tokio::test]
async fn an_error_about_the_connection_fails_the_calls_in_flight() {
    let fake = Fake::start().await;
    let client = fake.client();
    let calls = [call(&client, verify(1)), call(&client, verify(2))];
    let mut peer = fake.accept().await;
    peer.request().await;
    peer.request().await;
    peer.refuse(0, ErrorCode::MALFORMED).await;
    drop(peer);
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().code(), Some(ErrorCode::MALFORMED));
    }
    let next = call(&client, verify(3));
    tokio::spawn(fake.accept().await.serve());
    next.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_error_about_the_connection_that_cannot_be_decoded_ends_it() {
    let fake = Fake::start().await;
    let client = fake.client();
    let pending = call(&client, login());
    let mut peer = fake.accept().await;
    peer.request().await;
    peer.stream.write_all(&[0, 0, 0, 6, 0x80, 0, 0, 0, 0, 6]).await.unwrap();
    let error = pending.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Lost { reason: CloseReason::InvalidError(_) }), "{error}");
    assert!(peer.next().await.is_none(), "the client closes the connection");
}

#[tokio::test]
async fn an_error_about_the_connection_leaves_the_outcome_unknown() {
    for code in [ErrorCode::MALFORMED, ErrorCode::INTERNAL, ErrorCode(0x0901)] {
        let fake = Fake::start().await;
        let client = fake.client();
        let pending = call(&client, login());
        let mut peer = fake.accept().await;
        peer.request().await;
        peer.refuse(0, code).await;
        let error = pending.await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.outcome_unknown()), (Some(code), true), "{error}");
        assert_eq!(error.outcome(), user_proto::ErrorOutcome::Unknown);
    }
}

#[tokio::test]
async fn an_error_sent_before_any_request_was_read_arrives() {
    let fake = Fake::start().await;
    let client = fake.client_with(Config { busy_attempts: 1, ..quick() });
    let pending = call(&client, login());
    let mut peer = fake.accept().await;
    peer.reply(0, user_proto::ErrorReply { retry_after_ms: Some(50), ..error(ErrorCode::BUSY) })
        .await;
    peer.stream.shutdown().await.unwrap();
    let Err(Error::Refused(reply)) = pending.await.unwrap() else {
        panic!("expected the error of the server")
    };
    assert_eq!((reply.code, reply.retry_after_ms), (ErrorCode::BUSY, Some(50)));
}

#[tokio::test]
async fn a_server_that_speaks_another_protocol_is_abandoned() {
    let fake = Fake::start().await;
    let client = fake.client();
    let pending = call(&client, login());
    let mut peer = fake.accept().await;
    peer.request().await;
    peer.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    assert!(matches!(pending.await.unwrap(), Err(Error::Lost { reason: CloseReason::Frame(_) })));
}

#[tokio::test]
async fn closing_waits_at_most_ten_seconds_for_a_reply() {
    let fake = Fake::start().await;
    let client = fake.client_with(within(Duration::from_secs(60)));
    let pending = call(&client, login());
    let mut peer = fake.accept().await;
    peer.request().await;
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    client.close().await;
    assert_eq!(started.elapsed().as_secs(), 10);
    assert!(matches!(
        pending.await.unwrap(),
        Err(Error::Lost { reason: CloseReason::ClosedByClient })
    ));
}

#[tokio::test]
async fn a_program_that_is_no_user_service_is_reported_at_once() {
    // Some send a greeting, which can arrive before or after the request was written.
    for greets_first in [true, false] {
        let fake = Fake::start().await;
        let client = fake.client_with(Config { wait_for_server: false, ..Config::default() });
        let pending = call(&client, verify(1));
        let mut peer = fake.accept().await;
        if !greets_first {
            peer.request().await;
        }
        peer.stream.write_all(b"220 mx.example.org ESMTP\r\n").await.unwrap();
        let limit = Duration::from_secs(5);
        let error = tokio::time::timeout(limit, pending).await.unwrap().unwrap().unwrap_err();
        let frame = error.not_a_service().unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(frame.looks_like(), Some("SMTP or FTP"));
        assert!(fake.has_no_connection().await, "there is no further attempt");
    }
    // A client that waits for the server also waits for the other program to end.
    let fake = Fake::start().await;
    let client = fake.client_with(quick());
    let pending = call(&client, verify(1));
    let mut peer = fake.accept().await;
    peer.request().await;
    peer.stream.write_all(b"220 mx.example.org ESMTP\r\n").await.unwrap();
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    peer.reply(id, verified(1)).await;
    pending.await.unwrap().unwrap();
}
