//! The log. Lines go through a bounded queue to one thread that writes them to stderr, so a reader
//! of stderr that stalls blocks neither a request nor the shutdown. Lines that do not fit are
//! dropped and counted.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Maximum number of lines in the queue, about a megabyte.
const QUEUE: usize = 4096;
/// Maximum time at the end of the process for writing the lines that are left in the queue.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two attempts to put the request to flush into a full queue.
const FLUSH_PAUSE: Duration = Duration::from_millis(10);

/// Number of log lines that were dropped because the queue was full.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Returns the number of log lines that were dropped because stderr was not read fast enough.
#[must_use]
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStyle {
    /// Text, with or without colours.
    Text { colours: bool },
    /// One JSON object per line.
    Json,
}

/// Guard that, when dropped, waits up to a second until all lines in the queue are written.
#[must_use]
pub struct LogFlush(LogQueue);

/// Starts the log of this process. Lines are selected by `filter`, in the syntax of `tracing`.
///
/// # Errors
/// If the system provides no thread.
pub fn start_logs(filter: &str, style: LogStyle) -> std::io::Result<LogFlush> {
    let queue = LogQueue::start(QUEUE, std::io::stderr())?;
    let filter = EnvFilter::new(filter);
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(queue.clone());
    // Such errors would be printed to stderr, where a failed write panics: a full disk under the
    // log would make requests fail.
    let logs = logs.log_internal_errors(false);
    match style {
        LogStyle::Text { colours } => logs.with_ansi(colours).init(),
        LogStyle::Json => logs.json().flatten_event(true).with_span_list(false).init(),
    }
    Ok(LogFlush(queue))
}

impl Drop for LogFlush {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Message to the thread that writes the log.
enum LogMessage {
    Line(Vec<u8>),
    /// Request to report through this channel that every earlier line was written.
    Flush(SyncSender<()>),
}

/// Sending half of the queue of log lines.
#[derive(Clone)]
struct LogQueue(SyncSender<LogMessage>);

impl LogQueue {
    fn start(size: usize, out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(size);
        std::thread::Builder::new().name("logs".to_owned()).spawn(|| write_all(receiver, out))?;
        Ok(Self(sender))
    }

    fn flush(&self) {
        let until = Instant::now() + FLUSH_TIMEOUT;
        let (written, wait) = sync_channel(1);
        let mut message = LogMessage::Flush(written);
        while let Err(TrySendError::Full(back)) = self.0.try_send(message) {
            if Instant::now() >= until {
                return;
            }
            message = back;
            std::thread::sleep(FLUSH_PAUSE);
        }
        let _ = wait.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// Writes every log line of the queue. A line that cannot be written is lost: there is nowhere to
/// report it.
fn write_all(queue: Receiver<LogMessage>, mut out: impl Write) {
    for message in queue {
        match message {
            LogMessage::Line(line) => drop(out.write_all(&line)),
            LogMessage::Flush(written) => {
                let _ = out.flush();
                let _ = written.try_send(());
            }
        }
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine { queue: self.clone(), line: Vec::new() }
    }
}

/// One log line, which enters the queue when it is dropped.
struct LogLine {
    queue: LogQueue,
    line: Vec<u8>,
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let line = LogMessage::Line(std::mem::take(&mut self.line));
        if self.queue.0.try_send(line).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, MutexGuard};

    use super::*;

    /// An output that blocks while the test holds its lock.
    #[derive(Clone, Default)]
    struct Gated(Arc<Mutex<Vec<u8>>>);

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_blocked_output_blocks_no_writer_and_drops_only_what_does_not_fit() {
        let out = Gated::default();
        let queue = LogQueue::start(4, out.clone()).unwrap();
        let dropped_before = dropped_lines();
        let blocked: MutexGuard<'_, Vec<u8>> = out.0.lock().unwrap();
        for number in 0..20 {
            writeln!(queue.make_writer(), "line {number}").unwrap();
        }
        let began = Instant::now();
        queue.flush();
        assert!(began.elapsed() < FLUSH_TIMEOUT * 2, "a flush has a time limit");
        let dropped = dropped_lines() - dropped_before;
        assert!((15..=16).contains(&dropped), "{dropped}");
        drop(blocked);
        queue.flush();
        let written = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert!(written.starts_with("line 0\nline 1\nline 2\nline 3\n"), "{written}");
    }
}
