use bytes::BytesMut;

use super::*;
use crate::client::error::HandshakeError;
use crate::frame;
use crate::table::VerifyToken;

fn open() -> (Connection, WriteBuffer) {
    (Connection::new(), WriteBuffer::new())
}

async fn queue(connection: &Connection) -> Option<Sent> {
    let request = VerifyToken { access_token: "t".into() };
    connection.send(&request, &mut Common::default(), None).await.unwrap()
}

/// Delivers the reply `message` to the request that was queued last.
fn reply(connection: &Connection, message: &impl Message) {
    let id = connection.lock().last_id;
    reply_to(connection, id, message);
}

fn reply_to(connection: &Connection, id: u32, message: &impl Message) {
    let mut out = BytesMut::new();
    encode(id, message, &mut out).unwrap();
    let (frame, _) = frame::split(&out).unwrap().unwrap();
    connection.deliver(frame);
}

fn error(code: ErrorCode) -> ErrorReply<'static> {
    ErrorReply { code, message: "no".into(), retry_after_ms: None, field: None }
}

/// Delivers a pong that advertises this limit of requests in flight.
fn advertise(connection: &Connection, max_in_flight: u32) {
    connection.ping();
    reply(
        connection,
        &Pong { max_in_flight: Some(max_in_flight), idle_timeout: Some(30), max_hashing: None },
    );
}

/// Returns the number of free slots and the number of slots to withhold.
fn slots(connection: &Connection) -> (usize, u32) {
    connection.slots.free_and_debt()
}

#[tokio::test]
async fn a_changed_limit_adds_or_withholds_the_difference() {
    let (connection, _) = open();
    assert_eq!(connection.idle_timeout(), None);
    advertise(&connection, 300);
    assert_eq!(
        (slots(&connection), connection.idle_timeout()),
        ((300, 0), Some(Duration::from_secs(30)))
    );
    advertise(&connection, 100);
    assert_eq!(slots(&connection), (100, 0));
    connection.slots.take(90);
    advertise(&connection, 50);
    assert_eq!(slots(&connection), (0, 40));
    advertise(&connection, 70);
    assert_eq!(slots(&connection), (0, 20));
    for _ in 0..20 {
        connection.slots.release();
    }
    assert_eq!(slots(&connection), (0, 0));
    connection.slots.release();
    assert_eq!(slots(&connection), (1, 0));
    advertise(&connection, 60);
    assert_eq!(slots(&connection), (0, 9));
    advertise(&connection, 80);
    assert_eq!(slots(&connection), (11, 0));
    advertise(&connection, 0);
    assert_eq!(connection.slots.max(), 1);
    advertise(&connection, u32::MAX);
    assert_eq!(connection.slots.max(), MAX_IN_FLIGHT);
}

#[tokio::test]
async fn a_slot_is_free_until_the_limit_of_the_server_is_reached() {
    let (connection, _) = open();
    advertise(&connection, 2);
    let _one = queue(&connection).await;
    assert!(connection.has_free_slot());
    let _two = queue(&connection).await;
    assert!(!connection.has_free_slot());
}

#[tokio::test]
async fn only_shutting_down_does_not_count_as_served() {
    let (connection, _) = open();
    let shutting_down = error(ErrorCode::SHUTTING_DOWN);
    let _sent = queue(&connection).await;
    reply(&connection, &shutting_down);
    assert!(!connection.has_served());
    let _sent = queue(&connection).await;
    reply(&connection, &error(ErrorCode::INVALID_CREDENTIALS));
    assert!(connection.has_served());
    let _sent = queue(&connection).await;
    reply(&connection, &shutting_down);
    assert!(connection.has_served(), "it has served before");

    let (connection, _) = open();
    advertise(&connection, 8);
    assert!(connection.has_served(), "a pong is an answer");
}

#[tokio::test]
async fn a_retired_or_full_connection_is_not_pinged() {
    let (connection, mut batch) = open();
    connection.ping();
    assert!(connection.take(&mut batch) && !batch.bytes().is_empty());
    batch.wipe();
    connection.retire();
    connection.ping();
    assert!(!connection.take(&mut batch));

    let (connection, mut batch) = open();
    connection.lock().out.buffer_mut().resize(70_000, 0);
    connection.ping();
    assert!(connection.take(&mut batch));
    assert_eq!(batch.bytes().len(), 70_000);
}

#[tokio::test]
async fn closing_reports_the_outcome_of_each_pending_request() {
    let rejected = || CloseReason::Rejected(HandshakeError::CertificateRequired);
    // Has the server answered before, the reason, then the outcome of a request that was written
    // and of one that was not.
    for (served, reason, written_is, unwritten_is) in [
        (true, CloseReason::Unresponsive, "lost", "not sent"),
        (false, CloseReason::Unresponsive, "lost", "not sent"),
        (true, rejected(), "lost", "not sent"),
        (false, rejected(), "rejected", "rejected"),
        (false, CloseReason::ServerError(error(ErrorCode::BUSY)), "server error", "server error"),
        (true, CloseReason::ServerError(error(ErrorCode::BUSY)), "lost", "not sent"),
        (false, CloseReason::ServerError(error(ErrorCode::INTERNAL)), "lost", "not sent"),
        (false, CloseReason::ServerError(error(ErrorCode::MALFORMED)), "lost", "server error"),
        (false, not_a_frame(), "not a service, sent", "not a service"),
        (true, not_a_frame(), "lost", "not sent"),
    ] {
        let (connection, mut batch) = open();
        let written = queue(&connection).await.unwrap();
        connection.take(&mut batch);
        connection.record_written(batch.bytes().len());
        assert!(connection.has_written(written.end));
        let unwritten = queue(&connection).await.unwrap();
        assert!(!connection.has_written(unwritten.end));
        assert_eq!(unwritten.end, 2 * written.end, "both have the same length");
        connection.lock().served = served;
        connection.close(&reason);
        assert_eq!(name(&written.outcome().await), written_is, "{served} {reason}");
        assert_eq!(name(&unwritten.outcome().await), unwritten_is, "{served} {reason}");
        assert!(queue(&connection).await.is_none());
        assert_eq!(connection.take_not_a_service(), None, "the calls report it");
    }
    // A program that greets first may do so before a request is queued.
    let (connection, _) = open();
    connection.close(&not_a_frame());
    assert_eq!(connection.take_not_a_service(), Some(FrameError::TooLong(GREETING)));
    assert_eq!(connection.take_not_a_service(), None, "it is reported once");
}

/// The first bytes of a mail server, read as a length.
const GREETING: u32 = u32::from_be_bytes(*b"220 ");

fn not_a_frame() -> CloseReason {
    CloseReason::Frame(FrameError::TooLong(GREETING))
}

#[tokio::test]
async fn after_retiring_only_requests_that_were_taken_are_answered() {
    let (connection, mut batch) = open();
    let taken = queue(&connection).await.unwrap();
    let id = connection.lock().last_id;
    connection.take(&mut batch);
    let queued = queue(&connection).await.unwrap();
    connection.retire_unsent();
    assert_eq!(name(&queued.outcome().await), "not sent");
    batch.wipe();
    assert!(!connection.take(&mut batch), "nothing is left to write");
    reply_to(&connection, id, &error(ErrorCode::INVALID_CREDENTIALS));
    assert_eq!(name(&taken.outcome().await), "reply");
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Reply { .. } => "reply",
        Outcome::NotSent => "not sent",
        Outcome::Rejected(_) => "rejected",
        Outcome::Lost(_) => "lost",
        Outcome::ServerError(_) => "server error",
        Outcome::NotAService { sent: true, .. } => "not a service, sent",
        Outcome::NotAService { sent: false, .. } => "not a service",
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_retires_when_an_abandoned_reply_is_a_minute_overdue() {
    let (connection, _) = open();
    advertise(&connection, 2);
    drop(queue(&connection).await);
    tokio::time::advance(Duration::from_secs(1)).await;
    let awaited = queue(&connection).await.unwrap();
    tokio::time::advance(ABANDONED_AFTER - Duration::from_secs(1)).await;
    connection.retire_if_stuck();
    assert!(connection.accepts_requests(), "a minute has not passed");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(queue(&connection).await.is_none(), "the next request needs another connection");
    assert!(!connection.accepts_requests());
    drop(awaited);

    let (connection, _) = open();
    let _awaited = queue(&connection).await;
    tokio::time::advance(ABANDONED_AFTER * 2).await;
    connection.retire_if_stuck();
    assert!(connection.accepts_requests(), "a call awaits the reply");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_sent_as_the_remaining_time() {
    let in_millis = |millis| millis_until(Instant::now() + Duration::from_millis(millis));
    assert_eq!([in_millis(150), in_millis(1), in_millis(0)], [150, 1, 1]);
    assert_eq!(in_millis(u64::from(u32::MAX) + 1), u32::MAX);
}
