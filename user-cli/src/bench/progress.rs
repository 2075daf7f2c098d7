//! The progress bar of a run.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::engine::{self, Load, Plan, RunResult};
use crate::format::number;

/// Time between two updates of the rate.
const RATE_INTERVAL: Duration = Duration::from_millis(500);

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
