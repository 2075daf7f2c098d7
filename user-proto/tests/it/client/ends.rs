//! How a connection ends: closed, silent, or told off.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use user_proto::client::{Cause, Client, Config, Error};
use user_proto::{ErrorCode, Pong, Request};

use super::fake::{Fake, call, error, login, quick, verified, verify, within};

#[tokio::test]
async fn closing_waits_for_replies_and_ends_cleanly() {
    let fake = Fake::start().await;
    let client = fake.client();
    let asked = call(&client, login());
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    let closing = {
        let client = client.clone();
        tokio::spawn(async move { client.close().await })
    };
    assert!(peer.next().await.is_none(), "the client ends its side first");
    assert!(matches!(client.call(verify(1)).await, Err(Error::Closed)));
    assert!(!closing.is_finished());
    peer.refuse(id, ErrorCode::INVALID_CREDENTIALS).await;
    assert!(matches!(asked.await.unwrap(), Err(Error::Refused(_))));
    drop(peer);
    closing.await.unwrap();
}

#[tokio::test]
async fn closing_does_not_wait_for_a_server_that_never_closes() {
    let fake = Fake::start().await;
    let client = fake.client();
    let asked = call(&client, verify(1));
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    peer.reply(id, verified(1)).await;
    asked.await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(4), client.close()).await.expect("closes on its own");
}

#[tokio::test]
async fn closing_what_was_never_used_is_nothing() {
    Client::new("127.0.0.1:1").close().await;
}

#[tokio::test]
async fn the_last_handle_takes_the_connection_with_it() {
    let fake = Fake::start().await;
    let client = fake.client();
    let asked = call(&client, verify(1));
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    peer.reply(id, verified(1)).await;
    asked.await.unwrap().unwrap();
    drop(client);
    assert!(peer.next().await.is_none());
}

#[tokio::test]
async fn silence_is_broken_by_a_ping_and_a_missing_pong_ends_it() {
    let fake = Fake::start().await;
    let short = Duration::from_millis(80);
    let client = fake.client_with(Config { ping_after: short, pong_within: short, ..quick() });
    let asked = call(&client, login());
    let mut peer = fake.accept().await;
    assert!(matches!(peer.request().await.1, Request::Login(_)));
    for _ in 0..2 {
        let (id, request) = peer.request().await;
        assert!(matches!(request, Request::Ping(_)));
        peer.reply(id, Pong { max_in_flight: None, idle_timeout: Some(300) }).await;
    }
    assert!(matches!(peer.request().await.1, Request::Ping(_)));
    assert!(matches!(asked.await.unwrap(), Err(Error::Lost { cause: Cause::Silent })));
}

#[tokio::test]
async fn a_server_that_stops_with_a_request_is_left_soon() {
    let fake = Fake::start().await;
    let short = Duration::from_millis(80);
    let client =
        fake.client_with(Config { ping_awaiting_after: short, pong_within: short, ..quick() });
    let idle = call(&client, verify(1));
    let mut peer = fake.accept().await;
    let (id, _) = peer.request().await;
    peer.reply(id, verified(1)).await;
    idle.await.unwrap().unwrap();
    let quiet = tokio::time::timeout(3 * short, peer.next()).await;
    assert!(quiet.is_err(), "nobody awaits anything, so nothing is asked: {quiet:?}");

    let asked = call(&client, verify(2));
    peer.request().await;
    assert!(matches!(peer.request().await.1, Request::Ping(_)));
    // What may be repeated goes to the next server.
    tokio::spawn(fake.accept().await.serve());
    assert_eq!(asked.await.unwrap().unwrap(), verified(2));
}

#[tokio::test]
async fn an_error_about_the_connection_fails_what_is_in_flight() {
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
async fn an_error_said_before_anything_was_read_arrives() {
    let fake = Fake::start().await;
    let client = fake.client();
    let asked = call(&client, login());
    let mut peer = fake.accept().await;
    peer.reply(0, user_proto::ErrorReply { retry_after_ms: Some(50), ..error(ErrorCode::BUSY) })
        .await;
    peer.stream.shutdown().await.unwrap();
    let Err(Error::Refused(reply)) = asked.await.unwrap() else { panic!("the server said why") };
    assert_eq!((reply.code, reply.retry_after_ms), (ErrorCode::BUSY, Some(50)));
}

#[tokio::test]
async fn a_peer_that_speaks_another_protocol_is_left() {
    let fake = Fake::start().await;
    let client = fake.client();
    let asked = call(&client, login());
    let mut peer = fake.accept().await;
    peer.request().await;
    peer.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    assert!(matches!(asked.await.unwrap(), Err(Error::Lost { cause: Cause::Frame(_) })));
}

#[tokio::test]
async fn closing_waits_ten_seconds_for_a_reply_and_no_longer() {
    let fake = Fake::start().await;
    let client = fake.client_with(within(Duration::from_secs(60)));
    let asked = call(&client, login());
    let mut peer = fake.accept().await;
    peer.request().await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    client.close().await;
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert!(matches!(asked.await.unwrap(), Err(Error::Lost { cause: Cause::ClosedHere })));
}
