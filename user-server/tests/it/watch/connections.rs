//! A watch on its connection: it counts towards no limit, and ends with the connection.

use std::time::{Duration, Instant};

use user_proto::{Common, ErrorCode, Ping, Reply, WatchRevocations};

use super::{Follower, LONG, logout};
use crate::http::{metrics, wait_until};
use crate::support::{Process, TestServer, Wire, on_behalf_of, raw_frame, request_frame};

fn request(cursor: &[u8], wait_ms: u32) -> WatchRevocations<'_> {
    WatchRevocations { cursor: cursor.into(), wait_ms }
}

async fn cursor(server: &TestServer) -> Vec<u8> {
    Follower::start(server.client()).await.cursor
}

fn is_revocations(reply: &(u32, Reply<'_>), id: u32) -> bool {
    matches!(reply, (found, Reply::Revocations(_)) if *found == id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_watch_waits_on_a_connection_and_others_are_busy() {
    let server = TestServer::start().await;
    let client = server.client();
    let account = server.account(&client, "ada").await;
    let cursor = cursor(&server).await;
    let mut wire = Wire::connect(server.address).await;
    wire.request(1, request(&cursor, LONG)).await;
    wire.request(2, request(&cursor, LONG)).await;
    let busy = wire.refusal(2).await;
    assert_eq!((busy.code, busy.retry_after_ms.is_some()), (ErrorCode::BUSY, true));
    wire.ping(3).await;
    logout(&client, &account.access()).await;
    assert!(is_revocations(&wire.reply().await, 1));
    // The next one is answered at once, and a later one may wait again.
    wire.request(4, request(&cursor, LONG)).await;
    assert!(is_revocations(&wire.reply().await, 4));
    wire.request(1, request(&cursor[..4], LONG)).await;
    assert!(is_revocations(&wire.reply().await, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_id_of_a_waiting_watch_is_in_flight() {
    let server = TestServer::start().await;
    let cursor = cursor(&server).await;
    let mut wire = Wire::connect(server.address).await;
    wire.request(7, request(&cursor, LONG)).await;
    wire.request(7, Ping {}).await;
    let began = Instant::now();
    assert!(is_revocations(&wire.reply().await, 7), "it is answered before the error");
    wire.expect_close_with(ErrorCode::MALFORMED).await;
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_counts_towards_no_limit() {
    let limits = [("MAX_IN_FLIGHT", "1"), ("MAX_REQUESTS", "64"), ("METRICS_ADDR", "127.0.0.1:0")];
    let server = TestServer::start_with(&limits).await;
    let monitor = server.service.monitor_address().unwrap();
    let cursor = cursor(&server).await;
    let mut wires = Vec::new();
    for _ in 0..70 {
        let mut wire = Wire::connect(server.address).await;
        wire.send(&request_frame(1, request(&cursor, LONG), &on_behalf_of("192.0.2.1"))).await;
        wire.ping(2).await;
        wires.push(wire);
    }
    let waiting = metrics(monitor).await;
    assert_eq!(waiting.one("user_server_revocation_watchers"), 70.0);
    assert_eq!(waiting.one("user_server_requests_in_flight"), 0.0);
    // With its watch, the connection still has its one request in flight.
    let login = raw_frame(0x02, 3, b"\x00\x06nobody\x00\x12tides rise at nine");
    wires[0].send(&login).await;
    assert_eq!(wires[0].refusal(3).await.code, ErrorCode::INVALID_CREDENTIALS);

    // The watch of a client that has left is dropped.
    let began = Instant::now();
    wires.truncate(5);
    wait_until(monitor, "dropped watches", |metrics| {
        metrics.one("user_server_revocation_watchers") == 5.0
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(3));
    let labels = [("type", "WatchRevocations"), ("outcome", "OK")];
    let answered = metrics(monitor).await.value("user_server_requests_total", &labels);
    assert!(answered >= 1.0, "{answered}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_connection_is_not_idle() {
    let server = TestServer::start_with(&[("IDLE_TIMEOUT", "1")]).await;
    let cursor = cursor(&server).await;
    let mut wire = Wire::connect(server.address).await;
    wire.request(1, request(&cursor, 2500)).await;
    assert!(is_revocations(&wire.reply().await, 1));
    tokio::time::sleep(Duration::from_millis(500)).await;
    wire.ping(2).await;
    let began = Instant::now();
    wire.expect_close().await;
    let idle = began.elapsed();
    assert!((Duration::from_millis(800)..Duration::from_secs(3)).contains(&idle), "{idle:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_is_answered_when_the_client_closes_its_side() {
    let server = TestServer::start().await;
    let cursor = cursor(&server).await;
    let mut wire = Wire::connect(server.address).await;
    wire.request(1, request(&cursor, LONG)).await;
    let began = Instant::now();
    wire.half_close().await;
    assert!(is_revocations(&wire.reply().await, 1));
    wire.expect_close().await;
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_watch_is_refused_and_the_connection_stays_open() {
    let server = TestServer::start().await;
    let mut wire = Wire::connect(server.address).await;
    for (id, body) in [(1, &b"\x00\x05abc"[..]), (2, b""), (3, b"\x00\x00\x00\x00\x01")] {
        wire.send(&raw_frame(0x21, id, body)).await;
        assert_eq!(wire.refusal(id).await.code, ErrorCode::MALFORMED);
    }
    wire.ping(9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_answers_waiting_watches_at_once() {
    let mut process = Process::start(&[]);
    let mut wires = Vec::new();
    let follower = Follower::start(process.client()).await;
    for _ in 0..50 {
        let mut wire = Wire::connect(process.address).await;
        wire.request(1, request(&follower.cursor, LONG)).await;
        wire.ping(2).await;
        wires.push(wire);
    }
    let began = Instant::now();
    process.signal("TERM");
    for wire in &mut wires {
        let replies = [wire.reply().await, wire.reply().await];
        let drained = began.elapsed();
        assert!(replies.iter().any(|reply| is_revocations(reply, 1)), "{replies:?}");
        assert!(replies.iter().any(|(id, _)| *id == 0), "{replies:?}");
        assert!(drained < Duration::from_secs(1), "{drained:?}");
    }
    // Later ones are refused, like every request.
    let later = request_frame(3, request(&follower.cursor, LONG), &Common::default());
    wires[0].send(&later).await;
    assert_eq!(wires[0].refusal(3).await.code, ErrorCode::SHUTTING_DOWN);
    assert_eq!(process.wait().await, Some(0), "{}", process.log());
    // The connections stay open for a second, as without watches.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}
