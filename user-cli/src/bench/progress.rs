//! The progress bar of a run.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::engine::{self, Load, Plan, RunResult};
use crate::format::number;
use crate::output;

/// Time between two updates of the rate that the progress bar shows.
const RATE_INTERVAL: Duration = Duration::from_millis(500);

/// Reports the steps of the preparation: with a bar if stderr is a terminal, otherwise with a line
/// for each step, and not at all if the output is JSON.
pub(crate) struct Preparation {
    bar: Option<ProgressBar>,
    is_silent: bool,
}

impl Preparation {
    pub(crate) fn new(json: bool) -> Self {
        Self { bar: None, is_silent: json }
    }

    /// Begins a step of `total` units.
    pub(crate) fn begin(&mut self, step: &str, total: usize) {
        self.finish();
        if !std::io::stderr().is_terminal() {
            if !self.is_silent {
                output::error_line(&format!("note: {step}"));
            }
            return;
        }
        let bar = ProgressBar::new(total as u64);
        if let Ok(style) = ProgressStyle::with_template("{prefix:40} {bar:20} {pos}/{len}") {
            bar.set_style(style);
        }
        bar.set_prefix(step.to_owned());
        self.bar = Some(bar);
    }

    /// Reports that `done` units of the current step are done.
    pub(crate) fn update(&self, done: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Preparation {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Executes a run, with a progress bar if stderr is a terminal.
///
/// # Errors
/// As [`engine::run`].
pub(crate) fn run_with_progress(
    label: &str,
    plan: &Plan,
    load: &impl Load,
) -> Result<RunResult, String> {
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("{prefix:20} {bar:40} {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(label.to_owned());
    let (mut updated_at, mut before) = (Instant::now(), 0);
    let result = engine::run(plan, load, &mut |replies, completed| {
        bar.set_position((completed * 1000.0) as u64);
        let elapsed = updated_at.elapsed();
        if elapsed >= RATE_INTERVAL {
            #[allow(clippy::cast_precision_loss, reason = "it is only displayed")]
            let rate = (replies - before) as f64 / elapsed.as_secs_f64();
            bar.set_message(format!("{}/s", number(rate)));
            (updated_at, before) = (Instant::now(), replies);
        }
    });
    bar.finish_and_clear();
    result
}
