//! How far an import is: a bar on a terminal, else a line every few seconds. On standard error,
//! since it is no result.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const PERIOD: Duration = Duration::from_secs(5);
const LOOK: &str = "{bar:32} {percent:>3}%  {msg}  {elapsed}, {eta} left";

/// Who tells it.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    size: u64,
    began: Instant,
    told: Instant,
}

impl Progress {
    /// Of a source of this size.
    pub(super) fn start(size: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
            match ProgressStyle::with_template(LOOK) {
                Ok(look) => bar.with_style(look),
                Err(_) => bar,
            }
        });
        Self { bar, size, began: Instant::now(), told: Instant::now() }
    }

    /// So much of the source was read, so many users are there, so many rows were refused.
    pub(super) fn at(&mut self, position: u64, there: u64, refused: u64) {
        let seconds = self.began.elapsed().as_secs().max(1);
        let says =
            format!("{there} users, {refused} refused, {} a second", (there + refused) / seconds);
        if let Some(bar) = &self.bar {
            bar.set_message(says);
            bar.set_position(position);
        } else if self.told.elapsed() >= PERIOD {
            self.told = Instant::now();
            let percent =
                position.saturating_mul(100).checked_div(self.size).unwrap_or(100).min(100);
            let _ = writeln!(std::io::stderr(), "{percent}%: {says}");
        }
    }

    /// It is over.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
