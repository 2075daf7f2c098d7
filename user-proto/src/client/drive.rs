//! The task of one connection: writes the queued frames and reads the replies.
//!
//! One task does both, so that it is known for certain what was written when the connection ends.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::buffer::{ReadBuffer, WriteBuffer};
use super::config::{Config, Direction};
use super::connection::Connection;
use super::error::CloseReason;
use crate::error_code::ErrorCode;
use crate::frame::{self, Frame};
use crate::limits::CONNECTION_ID;
use crate::message::{Message, ReplyMessage};
use crate::table::ErrorReply;

/// Time for which a closing connection without pending calls waits for the server to close it too.
const LINGER: Duration = Duration::from_secs(1);
/// Shortest interval between two pings, whatever idle timeout the server advertises.
const MIN_PING_INTERVAL: Duration = Duration::from_millis(100);
/// Interval at which a closing connection checks for calls that await a reply.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Starts a connection over `stream`, with a task that serves it until it is closed.
pub(super) fn start(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    config: &Config,
) -> Arc<Connection> {
    let connection = Arc::new(Connection::new());
    tokio::spawn(run(Arc::clone(&connection), stream, config.clone()));
    connection
}

/// Serves a connection until it is closed, and reports the reason to all pending calls.
async fn run(connection: Arc<Connection>, stream: impl AsyncRead + AsyncWrite, config: Config) {
    // The guard also runs if the task is dropped with its runtime, so that no call waits forever.
    let mut guard = CloseGuard { connection: &connection, reason: CloseReason::ClosedByClient };
    let (reader, writer) = tokio::io::split(stream);
    guard.reason = tokio::select! {
        reason = read_and_write(&connection, reader, writer, &config) => reason,
        () = connection.aborted() => CloseReason::ClosedByClient,
    };
}

/// Guard that closes the connection when it is dropped.
struct CloseGuard<'a> {
    connection: &'a Connection,
    reason: CloseReason,
}

impl Drop for CloseGuard<'_> {
    fn drop(&mut self) {
        self.connection.close(&self.reason);
    }
}

/// Writes and reads concurrently, until reading ends. Returns the reason for the end of the
/// connection.
async fn read_and_write(
    connection: &Connection,
    reader: impl AsyncRead,
    writer: impl AsyncWrite,
    config: &Config,
) -> CloseReason {
    let mut reading = pin!(read(connection, reader, config));
    let failure = tokio::select! {
        reason = &mut reading => return reason,
        failure = write(connection, writer, config) => failure,
    };
    // After writing has ended, even by an error, replies can still arrive.
    connection.retire_unsent();
    let mut idle = Duration::ZERO;
    loop {
        if let Ok(reason) = timeout(CHECK_INTERVAL, &mut reading).await {
            // An error that the server sent explains more than the error of the write.
            return if matches!(reason, CloseReason::ServerError(_) | CloseReason::Rejected(_)) {
                reason
            } else {
                failure.unwrap_or(reason)
            };
        }
        idle = if connection.is_awaited() && failure.is_none() {
            Duration::ZERO
        } else {
            idle + CHECK_INTERVAL
        };
        if idle >= LINGER {
            return failure.unwrap_or(CloseReason::ClosedByClient);
        }
    }
}

/// Writes queued frames until there will be no more. Returns the reason if writing fails, otherwise
/// `None`.
async fn write(
    connection: &Connection,
    writer: impl AsyncWrite,
    config: &Config,
) -> Option<CloseReason> {
    let mut writer = pin!(writer);
    let mut batch = WriteBuffer::new();
    while connection.take(&mut batch) {
        if batch.bytes().is_empty() {
            connection.write_ready().await;
            // Lets other tasks that are ready queue their frames first, so that one write carries
            // them all.
            tokio::task::yield_now().await;
            continue;
        }
        tap_batch(batch.bytes(), config);
        let mut rest = batch.bytes();
        while !rest.is_empty() {
            match writer.write(rest).await {
                Ok(0) => return Some(CloseReason::ClosedByServer),
                Ok(count) => {
                    connection.record_written(count);
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(error) => return Some(error.into()),
            }
        }
        // A TLS stream may have buffered bytes that it has not sent.
        if let Err(error) = writer.flush().await {
            return Some(error.into());
        }
        batch.wipe();
    }
    // The server sends the remaining replies before it closes its side.
    writer.shutdown().await.err().map(CloseReason::from)
}

/// Reads frames, and sends pings while nothing arrives. Returns the reason for the end of reading.
async fn read(connection: &Connection, reader: impl AsyncRead, config: &Config) -> CloseReason {
    let mut reader = pin!(reader);
    let mut input = ReadBuffer::new();
    let mut last_read = Instant::now();
    let mut ping_sent = None;
    loop {
        let now = Instant::now();
        let until = match ping_sent {
            Some(at) => at + config.pong_timeout,
            // A call that starts meanwhile may shorten the interval, so it is checked again soon.
            None => now + ping_interval(connection, config).min(config.ping_pending_after),
        };
        let count = match timeout_at(until, reader.read(input.unfilled())).await {
            Ok(Ok(0)) => return CloseReason::ClosedByServer,
            Ok(Ok(count)) => count,
            Ok(Err(error)) => return error.into(),
            Err(_) if ping_sent.is_some() => return CloseReason::Unresponsive,
            Err(_) => {
                if last_read.elapsed() >= ping_interval(connection, config) {
                    connection.ping();
                    ping_sent = Some(Instant::now());
                }
                continue;
            }
        };
        (last_read, ping_sent) = (Instant::now(), None);
        input.advance(count);
        match receive(connection, input.bytes(), config) {
            Ok(used) => input.consume(used),
            Err(reason) => return reason,
        }
    }
}

/// Returns the time without a received frame after which a ping is sent.
fn ping_interval(connection: &Connection, config: &Config) -> Duration {
    let idle = match connection.idle_timeout() {
        Some(timeout) => config.ping_after.min((timeout / 2).max(MIN_PING_INTERVAL)),
        None => config.ping_after,
    };
    // A server at its limit of requests in flight does not read a ping either.
    if connection.is_awaited() && connection.has_free_slot() {
        idle.min(config.ping_pending_after)
    } else {
        idle
    }
}

/// Handles every complete frame of `input`. Returns their total size in bytes.
fn receive(connection: &Connection, input: &[u8], config: &Config) -> Result<usize, CloseReason> {
    let mut used = 0;
    while let Some((frame, size)) = frame::split(input.get(used..).unwrap_or_default())? {
        if let (Some(tap), Some(bytes)) = (&config.tap, input.get(used..used + size)) {
            tap(Direction::Received, bytes);
        }
        used += size;
        if frame.id == CONNECTION_ID {
            handle_connection_error(connection, frame)?;
        } else {
            connection.deliver(frame);
        }
    }
    Ok(used)
}

/// Handles a frame with request id 0, which concerns the connection itself. A frame that is not an
/// error reply is ignored.
fn handle_connection_error(connection: &Connection, frame: Frame<'_>) -> Result<(), CloseReason> {
    if frame.kind != ErrorReply::TYPE {
        return Ok(());
    }
    match ErrorReply::decode_owned(frame.body) {
        Ok(reply) if reply.code == ErrorCode::SHUTTING_DOWN => connection.retire_unsent(),
        Ok(reply) => return Err(CloseReason::ServerError(reply)),
        Err(error) => return Err(CloseReason::InvalidError(error)),
    }
    Ok(())
}

/// Passes every frame of a batch to [`Config::tap`], if it is set.
fn tap_batch(mut batch: &[u8], config: &Config) {
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
    use crate::table::{Ping, Pong, encode};

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns the request id of the ping that arrives next.
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
        let started = Instant::now();
        connection.closed().await;
        let elapsed = started.elapsed();
        assert!((SECOND..SECOND + CHECK_INTERVAL).contains(&elapsed), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_pinged_in_time_and_not_before() {
        let (near, mut far) = duplex(1024);
        let config = Config::default();
        let connection = start(near, &config);
        let started = Instant::now();
        next_ping(&mut far).await;
        // The check runs every `ping_pending_after`, so the ping can be late by as much.
        let expected = config.ping_after..=config.ping_after + config.ping_pending_after;
        assert!(expected.contains(&started.elapsed()), "{:?}", started.elapsed());
        let pinged_at = Instant::now();
        connection.closed().await;
        assert_eq!(pinged_at.elapsed().as_secs(), config.pong_timeout.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn half_the_idle_timeout_of_the_server_applies_if_it_is_shorter() {
        let config = Config::default();
        let (near, mut far) = duplex(1024);
        let connection = start(near, &config);
        let mut last = config.ping_after;
        for (seconds, expected) in
            [(600, config.ping_after), (30, 15 * SECOND), (1, SECOND / 2), (0, MIN_PING_INTERVAL)]
        {
            connection.ping();
            let id = next_ping(&mut far).await;
            assert_eq!(ping_interval(&connection, &config), last);
            let mut out = bytes::BytesMut::new();
            let pong = Pong { max_in_flight: None, idle_timeout: Some(seconds), max_hashing: None };
            encode(id, &pong, &mut out).unwrap();
            far.write_all(&out).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(ping_interval(&connection, &config), expected, "{seconds} s");
            last = expected;
        }
    }
}
