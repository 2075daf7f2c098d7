use bytes::BytesMut;

use super::*;
use crate::client::error::NoHandshake;
use crate::{VerifyToken, frame};

fn open() -> (Connection, Outgoing) {
    (Connection::new(), Outgoing::new())
}

async fn queue(connection: &Connection) -> Option<Sent> {
    let request = VerifyToken { access_token: "t".into() };
    connection.send(&request, &mut Common::default(), None).await.unwrap()
}

/// The reply `message` to what was queued last.
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

/// The server tells its limits.
fn tell(connection: &Connection, max_in_flight: u32) {
    connection.ping();
    reply(connection, &Pong { max_in_flight: Some(max_in_flight), idle_timeout: Some(30) });
}

/// How many may be sent, and how many permits are withheld.
fn permits(connection: &Connection) -> (usize, u32) {
    (connection.slots.available_permits(), connection.lock().debt)
}

#[tokio::test]
async fn limits_that_go_up_and_down_give_and_withhold_what_they_differ_by() {
    let (connection, _) = open();
    assert_eq!(connection.idle_timeout(), None);
    tell(&connection, 300);
    assert_eq!(
        (permits(&connection), connection.idle_timeout()),
        ((300, 0), Some(Duration::from_secs(30)))
    );
    tell(&connection, 100);
    assert_eq!(permits(&connection), (100, 0));
    connection.slots.try_acquire_many(90).unwrap().forget();
    tell(&connection, 50);
    assert_eq!(permits(&connection), (0, 40));
    tell(&connection, 70);
    assert_eq!(permits(&connection), (0, 20));
    for _ in 0..20 {
        connection.release(&mut connection.lock());
    }
    assert_eq!(permits(&connection), (0, 0));
    connection.release(&mut connection.lock());
    assert_eq!(permits(&connection), (1, 0));
    tell(&connection, 60);
    assert_eq!(permits(&connection), (0, 9));
    tell(&connection, 80);
    assert_eq!(permits(&connection), (11, 0));
    tell(&connection, 0);
    assert_eq!(connection.lock().max_in_flight, 1);
    tell(&connection, u32::MAX);
    assert_eq!(connection.lock().max_in_flight, MOST_IN_FLIGHT);
}

#[tokio::test]
async fn a_server_has_room_until_it_has_as_many_as_it_takes() {
    let (connection, _) = open();
    tell(&connection, 2);
    let _one = queue(&connection).await;
    assert!(connection.has_room());
    let _two = queue(&connection).await;
    assert!(!connection.has_room());
}

#[tokio::test]
async fn only_the_word_that_it_goes_down_is_no_service() {
    let (connection, _) = open();
    let down = error(ErrorCode::SHUTTING_DOWN);
    let _sent = queue(&connection).await;
    reply(&connection, &down);
    assert!(!connection.has_served());
    let _sent = queue(&connection).await;
    reply(&connection, &error(ErrorCode::INVALID_CREDENTIALS));
    assert!(connection.has_served());
    let _sent = queue(&connection).await;
    reply(&connection, &down);
    assert!(connection.has_served(), "it was of use before");

    let (connection, _) = open();
    tell(&connection, 8);
    assert!(connection.has_served(), "a pong is an answer");
}

#[tokio::test]
async fn what_is_retired_or_full_is_not_pinged() {
    let (connection, mut batch) = open();
    connection.ping();
    assert!(connection.take(&mut batch) && !batch.bytes().is_empty());
    batch.wipe();
    connection.retire();
    connection.ping();
    assert!(!connection.take(&mut batch));

    let (connection, mut batch) = open();
    connection.lock().out.tail().resize(70_000, 0);
    connection.ping();
    assert!(connection.take(&mut batch));
    assert_eq!(batch.bytes().len(), 70_000);
}

#[tokio::test]
async fn the_end_tells_each_request_what_became_of_it() {
    let kept_out = || Cause::KeptOut(NoHandshake::CertificateWanted);
    // Whether it ever served, what ended it, and then for a request that was written, and one that
    // was not.
    for (served, cause, written_is, unwritten_is) in [
        (true, Cause::Silent, "lost", "not sent"),
        (false, Cause::Silent, "lost", "not sent"),
        (true, kept_out(), "lost", "not sent"),
        (false, kept_out(), "kept out", "kept out"),
        (false, Cause::Told(error(ErrorCode::BUSY)), "told", "told"),
    ] {
        let (connection, mut batch) = open();
        let written = queue(&connection).await.unwrap();
        connection.take(&mut batch);
        connection.wrote(batch.bytes().len());
        assert!(connection.has_written(written.end));
        let unwritten = queue(&connection).await.unwrap();
        assert!(!connection.has_written(unwritten.end));
        assert_eq!(unwritten.end, 2 * written.end, "both are as long");
        connection.lock().served = served;
        connection.end(&cause);
        assert_eq!(name(&written.answer().await), written_is, "{served} {cause}");
        assert_eq!(name(&unwritten.answer().await), unwritten_is, "{served} {cause}");
        assert!(queue(&connection).await.is_none());
    }
}

#[tokio::test]
async fn what_was_not_taken_goes_elsewhere_and_what_was_is_still_answered() {
    let (connection, mut batch) = open();
    let taken = queue(&connection).await.unwrap();
    let id = connection.lock().last_id;
    connection.take(&mut batch);
    let queued = queue(&connection).await.unwrap();
    connection.retire_unsent();
    assert_eq!(name(&queued.answer().await), "not sent");
    batch.wipe();
    assert!(!connection.take(&mut batch), "nothing is left to write");
    reply_to(&connection, id, &error(ErrorCode::INVALID_CREDENTIALS));
    assert_eq!(name(&taken.answer().await), "reply");
}

fn name(answer: &Answer) -> &'static str {
    match answer {
        Answer::Reply { .. } => "reply",
        Answer::NotSent => "not sent",
        Answer::KeptOut(_) => "kept out",
        Answer::Lost(_) => "lost",
        Answer::Told(_) => "told",
    }
}

#[tokio::test(start_paused = true)]
async fn places_that_nobody_awaits_are_given_up_after_a_minute() {
    let (connection, _) = open();
    tell(&connection, 2);
    drop(queue(&connection).await);
    tokio::time::advance(Duration::from_secs(1)).await;
    let awaited = queue(&connection).await.unwrap();
    tokio::time::advance(ABANDONED_FOR_GOOD - Duration::from_secs(1)).await;
    connection.retire_if_stuck();
    assert!(connection.takes_requests(), "a minute is not over");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(queue(&connection).await.is_none(), "who asks next goes elsewhere");
    assert!(!connection.takes_requests());
    drop(awaited);

    let (connection, _) = open();
    let _awaited = queue(&connection).await;
    tokio::time::advance(ABANDONED_FOR_GOOD * 2).await;
    connection.retire_if_stuck();
    assert!(connection.takes_requests(), "somebody waits");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_goes_out_as_what_is_left_of_it() {
    let in_millis = |millis| millis_until(Instant::now() + Duration::from_millis(millis));
    assert_eq!([in_millis(150), in_millis(1), in_millis(0)], [150, 1, 1]);
    assert_eq!(in_millis(u64::from(u32::MAX) + 1), u32::MAX);
}
