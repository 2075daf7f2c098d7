//! The task of one connection: it writes what is queued and reads what comes. Reading and writing
//! share one task, so that when the connection ends it is certain what was written.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::buffer::{Incoming, Outgoing};
use super::config::{Config, Direction};
use super::connection::Connection;
use super::error::Cause;
use crate::error_code::ErrorCode;
use crate::frame::{self, Frame};
use crate::limits::CONNECTION_ID;
use crate::message::{Message, ReplyMessage};
use crate::table::ErrorReply;

/// How long a connection that nobody awaits anything from may take to be closed by the server.
const LINGER: Duration = Duration::from_secs(1);
/// How often it is looked whether somebody still waits.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Starts a connection over `stream`, with a task that serves it to its end.
pub(super) fn start(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    config: &Config,
) -> Arc<Connection> {
    let connection = Arc::new(Connection::new());
    tokio::spawn(run(Arc::clone(&connection), stream, config.clone()));
    connection
}

/// Serves a connection to its end, and tells everybody who waits on it.
async fn run(connection: Arc<Connection>, stream: impl AsyncRead + AsyncWrite, config: Config) {
    // Callers must not wait for ever for a task that was dropped with its runtime.
    let mut ending = Ending { connection: &connection, cause: Cause::ClosedHere };
    let (reader, writer) = tokio::io::split(stream);
    ending.cause = tokio::select! {
        cause = both(&connection, reader, writer, &config) => cause,
        () = connection.until_cut() => Cause::ClosedHere,
    };
}

struct Ending<'a> {
    connection: &'a Connection,
    cause: Cause,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.connection.end(&self.cause);
    }
}

/// Reads until nothing more can come; writes meanwhile.
async fn both(
    connection: &Connection,
    reader: impl AsyncRead,
    writer: impl AsyncWrite,
    config: &Config,
) -> Cause {
    let mut reading = pin!(read(connection, reader, config));
    let failure = tokio::select! {
        cause = &mut reading => return cause,
        failure = write(connection, writer, config) => failure,
    };
    // What the server said before it closed can still be read, also after a write has failed.
    connection.retire_unsent();
    let mut quiet = Duration::ZERO;
    loop {
        if let Ok(cause) = timeout(LOOK_EVERY, &mut reading).await {
            // What the server says of the end is worth more than that the end was noticed.
            return if matches!(cause, Cause::Told(_) | Cause::KeptOut(_)) {
                cause
            } else {
                failure.unwrap_or(cause)
            };
        }
        quiet = if connection.is_awaited() && failure.is_none() {
            Duration::ZERO
        } else {
            quiet + LOOK_EVERY
        };
        if quiet >= LINGER {
            return failure.unwrap_or(Cause::ClosedHere);
        }
    }
}

/// Writes batch after batch, until there will be no more or writing fails.
async fn write(connection: &Connection, writer: impl AsyncWrite, config: &Config) -> Option<Cause> {
    let mut writer = pin!(writer);
    let mut batch = Outgoing::new();
    while connection.take(&mut batch) {
        if batch.bytes().is_empty() {
            connection.until_wake().await;
            continue;
        }
        show_batch(batch.bytes(), config);
        let mut rest = batch.bytes();
        while !rest.is_empty() {
            match writer.write(rest).await {
                Ok(0) => return Some(Cause::ClosedByServer),
                Ok(count) => {
                    connection.wrote(count);
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(error) => return Some(error.into()),
            }
        }
        // TLS may have taken what it has not sent.
        if let Err(error) = writer.flush().await {
            return Some(error.into());
        }
        batch.wipe();
    }
    // The server answers what it has before it closes its side.
    writer.shutdown().await.err().map(Cause::from)
}

/// Reads frame after frame, and pings when nothing comes.
async fn read(connection: &Connection, reader: impl AsyncRead, config: &Config) -> Cause {
    let mut reader = pin!(reader);
    let mut input = Incoming::new();
    let mut heard = Instant::now();
    let mut pinged = None;
    loop {
        let now = Instant::now();
        let until = match pinged {
            Some(at) => at + config.pong_within,
            // A call may come meanwhile whose reply is not waited for that long.
            None => now + silence(connection, config).min(config.ping_awaiting_after),
        };
        let count = match timeout_at(until, reader.read(input.room())).await {
            Ok(Ok(0)) => return Cause::ClosedByServer,
            Ok(Ok(count)) => count,
            Ok(Err(error)) => return error.into(),
            Err(_) if pinged.is_some() => return Cause::Silent,
            Err(_) => {
                if heard.elapsed() >= silence(connection, config) {
                    connection.ping();
                    pinged = Some(Instant::now());
                }
                continue;
            }
        };
        (heard, pinged) = (Instant::now(), None);
        input.add(count);
        match receive(connection, input.bytes(), config) {
            Ok(used) => input.consume(used),
            Err(cause) => return cause,
        }
    }
}

/// How long the server may say nothing before it is asked whether it is there.
fn silence(connection: &Connection, config: &Config) -> Duration {
    let usual = match connection.idle_timeout() {
        // A second keeps a server that tells nonsense from being pinged without end.
        Some(idle) => config.ping_after.min((idle / 2).max(Duration::from_secs(1))),
        None => config.ping_after,
    };
    // A server that has as many requests as it takes does not read a ping either.
    if connection.is_awaited() && connection.has_room() {
        usual.min(config.ping_awaiting_after)
    } else {
        usual
    }
}

/// Handles every whole frame of `input`; how many bytes they took.
fn receive(connection: &Connection, input: &[u8], config: &Config) -> Result<usize, Cause> {
    let mut used = 0;
    while let Some((frame, size)) = frame::split(input.get(used..).unwrap_or_default())? {
        if let (Some(tap), Some(bytes)) = (&config.tap, input.get(used..used + size)) {
            tap(Direction::Received, bytes);
        }
        used += size;
        if frame.id == CONNECTION_ID {
            about_the_connection(connection, frame)?;
        } else {
            connection.deliver(frame);
        }
    }
    Ok(used)
}

/// A reply with id 0. One that can't be read is a reply that nobody awaits.
fn about_the_connection(connection: &Connection, frame: Frame<'_>) -> Result<(), Cause> {
    if frame.kind != ErrorReply::TYPE {
        return Ok(());
    }
    match ErrorReply::decode_owned(frame.body) {
        Ok(reply) if reply.code == ErrorCode::SHUTTING_DOWN => connection.retire_unsent(),
        Ok(reply) => return Err(Cause::Told(reply)),
        Err(_) => {}
    }
    Ok(())
}

fn show_batch(mut batch: &[u8], config: &Config) {
    let Some(tap) = &config.tap else { return };
    while let Ok(Some((_, size))) = frame::split(batch)
        && let Some((frame, rest)) = batch.split_at_checked(size)
    {
        tap(Direction::Sent, frame);
        batch = rest;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;
    use crate::{Ping, Pong, encode};

    const SECOND: Duration = Duration::from_secs(1);

    /// The id of the ping that comes next.
    async fn next_ping(far: &mut DuplexStream) -> u32 {
        let mut bytes = [0; 64];
        let count = far.read(&mut bytes).await.unwrap();
        let (frame, _) = frame::split(bytes.get(..count).unwrap()).unwrap().unwrap();
        assert_eq!(frame.kind, Ping::TYPE);
        frame.id
    }

    #[tokio::test(start_paused = true)]
    async fn a_retired_connection_lingers_for_a_second() {
        let (near, _far) = duplex(1024);
        let connection = start(near, &Config::default());
        connection.retire();
        let begun = Instant::now();
        connection.ended().await;
        assert!((SECOND..SECOND + LOOK_EVERY).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_asked_about_in_its_time_and_not_before() {
        let (near, mut far) = duplex(1024);
        let config = Config::default();
        let connection = start(near, &config);
        let begun = Instant::now();
        next_ping(&mut far).await;
        // It is looked every `ping_awaiting_after`, so the ping can be late by as much.
        let within = config.ping_after..=config.ping_after + config.ping_awaiting_after;
        assert!(within.contains(&begun.elapsed()), "{:?}", begun.elapsed());
        let asked_at = Instant::now();
        connection.ended().await;
        assert_eq!(asked_at.elapsed().as_secs(), config.pong_within.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn half_the_idle_timeout_of_the_server_counts_where_it_is_shorter() {
        let config = Config::default();
        let (near, mut far) = duplex(1024);
        let connection = start(near, &config);
        let mut last = config.ping_after;
        for (told, expected) in [(600, config.ping_after), (30, 15 * SECOND), (1, SECOND)] {
            connection.ping();
            let id = next_ping(&mut far).await;
            assert_eq!(silence(&connection, &config), last);
            let mut out = bytes::BytesMut::new();
            encode(id, &Pong { max_in_flight: None, idle_timeout: Some(told) }, &mut out).unwrap();
            far.write_all(&out).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(silence(&connection, &config), expected, "{told} s");
            last = expected;
        }
    }
}
