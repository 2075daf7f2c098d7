//! The log: lines on stderr, written by a thread of their own, so that logging never blocks a
//! request. Lines that do not fit into its queue are dropped and counted.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Number of log lines that may wait to be written.
const QUEUE: usize = 4096;

/// Time after a line within which the same one is not logged again.
const RARE: Duration = Duration::from_secs(60);

/// Limit of a log line that any end user can cause: one a minute, so that it fills no disk, and a
/// later cause of it is reported too.
#[derive(Debug, Default)]
pub struct RareLine(Mutex<Option<Instant>>);

impl RareLine {
    /// Returns true if the line may be logged now.
    pub(crate) fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= RARE);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

/// Counter of the log lines that were dropped.
#[derive(Clone, Default)]
pub struct DroppedLines(Option<ErrorCounter>);

impl DroppedLines {
    /// Returns the number of log lines that were dropped so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        let count = self.0.as_ref().map_or(0, ErrorCounter::dropped_lines);
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for DroppedLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DroppedLines").field(&self.count()).finish()
    }
}

/// Starts the log. When the returned guard is dropped, the lines that wait are written.
pub fn start(config: &Config) -> (WorkerGuard, DroppedLines) {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUE)
        .lossy(true)
        .thread_name("log")
        .finish(std::io::stderr());
    let dropped = DroppedLines(Some(writer.error_counter()));
    let filter = EnvFilter::new(&config.log);
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // Such errors would be printed to stderr, where a failed write panics.
    let logs = logs.log_internal_errors(false);
    match config.log_format {
        LogFormat::Pretty => logs.with_ansi(config.color).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    std::panic::set_hook(Box::new(log_panic));
    (guard, dropped)
}

/// Logs a panic. Its message is logged only if it is a constant, because a formatted one could
/// contain what a user has sent.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let text = panic.payload().downcast_ref::<&str>().copied().unwrap_or("see the location");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(panic = text, location, "internal error: a panic; please report it");
}
