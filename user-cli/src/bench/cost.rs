//! What a process spends on this machine: time on a core, and time in which it was ready and had
//! none. Read from Linux's books; elsewhere nobody tells.

use std::path::Path;
use std::time::Duration;

/// The client is the limit where it is on a core for so much of the time.
const BUSY: f64 = 0.9;

/// Time that the threads of a process have spent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Cost {
    /// On a core.
    pub(super) running: Duration,
    /// Ready, without one.
    pub(super) waiting: Duration,
    /// The time in which it was spent, where it is a difference.
    pub(super) wall: Duration,
    /// The replies of that time.
    pub(super) replies: u64,
}

impl Cost {
    pub(super) fn own() -> Option<Self> {
        Self::read(Path::new("/proc/self/task"))
    }

    pub(super) fn of(process: u32) -> Option<Self> {
        Self::read(Path::new(&format!("/proc/{process}/task")))
    }

    fn read(tasks: &Path) -> Option<Self> {
        let mut sum = Self::default();
        for task in std::fs::read_dir(tasks).ok()? {
            // A thread may end meanwhile.
            let Ok(text) = std::fs::read_to_string(task.ok()?.path().join("schedstat")) else {
                continue;
            };
            let mut numbers =
                text.split_whitespace().map(|number| number.parse().unwrap_or_default());
            sum.running += Duration::from_nanos(numbers.next()?);
            sum.waiting += Duration::from_nanos(numbers.next()?);
        }
        Some(sum)
    }

    pub(super) fn since(self, before: Self, wall: Duration, replies: u64) -> Self {
        let running = self.running.saturating_sub(before.running);
        Self { running, waiting: self.waiting.saturating_sub(before.waiting), wall, replies }
    }

    /// How many cores it had on average.
    pub(super) fn cores(&self) -> f64 {
        ratio(self.running, self.wall)
    }

    /// How many threads were ready on average and had no core.
    pub(super) fn cores_missed(&self) -> f64 {
        ratio(self.waiting, self.wall)
    }

    /// Time on a core for each reply, in microseconds.
    #[allow(clippy::cast_precision_loss, reason = "a count of replies is far from 2^53")]
    pub(super) fn micros_a_reply(&self) -> Option<f64> {
        (self.replies > 0).then(|| self.running.as_secs_f64() * 1e6 / self.replies as f64)
    }

    /// Whether a client of so many threads could not have asked more.
    pub(super) fn is_the_limit(&self, threads: usize) -> bool {
        #[allow(clippy::cast_precision_loss, reason = "there are not 2^53 threads")]
        let threads = threads as f64;
        self.cores() + self.cores_missed() > BUSY * threads
    }
}

fn ratio(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { part.as_secs_f64() / whole.as_secs_f64() }
}
