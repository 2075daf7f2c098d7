//! The progress of an import on stderr: a bar on a terminal, otherwise a line every few seconds.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Interval between two progress lines if stderr is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
const TEMPLATE: &str = "{bar:16} {percent:>3}%  {msg}, {eta} left";

pub(super) struct Progress {
    bar: Option<ProgressBar>,
    size: u64,
    started: Instant,
    /// Time at which the last line was printed.
    printed: Instant,
}

impl Progress {
    /// Starts the display for a source of this size, in bytes or rows.
    pub(super) fn start(size: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
            match ProgressStyle::with_template(TEMPLATE) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self { bar, size, started: Instant::now(), printed: Instant::now() }
    }

    /// Shows the position in the source, in the unit of its size, the number of users that were
    /// added or already present, and the number of rejected rows.
    pub(super) fn update(&mut self, position: u64, users: u64, rejected: u64) {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = (users + rejected).saturating_mul(1000) / millis;
        let text = format!("{users} users, {rejected} rejected, {rate}/s");
        if let Some(bar) = &self.bar {
            bar.set_message(text);
            bar.set_position(position);
        } else if self.printed.elapsed() >= LINE_INTERVAL {
            self.printed = Instant::now();
            let percent =
                position.saturating_mul(100).checked_div(self.size).unwrap_or(100).min(100);
            let _ = writeln!(std::io::stderr(), "{percent}%: {text}");
        }
    }

    /// Removes the progress bar.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
