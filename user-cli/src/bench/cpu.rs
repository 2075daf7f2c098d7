//! CPU time of a process on this machine, from the scheduler statistics of Linux
//! (`/proc/PID/task/*/schedstat`). It is not available on other systems.

use std::path::Path;
use std::time::Duration;

/// Fraction of the time that the threads of the client are running or runnable, above which the
/// client is saturated.
const SATURATED: f64 = 0.9;

/// CPU time of the threads of a process since they started.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct CpuTime {
    /// Time for which threads were running on a core.
    running: Duration,
    /// Time for which threads were runnable but waited for a core.
    waiting: Duration,
}

/// CPU usage of a process over a measured interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CpuUsage {
    time: CpuTime,
    /// Length of the measured interval.
    wall: Duration,
    /// Number of replies received in the measured interval.
    replies: u64,
}

impl CpuTime {
    /// Returns the CPU time of this process, or `None` if the system does not report it.
    pub(crate) fn own() -> Option<Self> {
        Self::read(Path::new("/proc/self/task"))
    }

    /// Returns the CPU time of the process with the id `pid`, or `None` if the system does not
    /// report it.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::read(Path::new(&format!("/proc/{pid}/task")))
    }

    fn read(tasks: &Path) -> Option<Self> {
        let mut sum = Self::default();
        for task in std::fs::read_dir(tasks).ok()? {
            // A thread may have ended in the meantime.
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

    /// Returns the usage since `before`, an earlier reading. `wall` is the time that has elapsed
    /// since then, and `replies` the number of replies received.
    pub(crate) fn since(self, before: Self, wall: Duration, replies: u64) -> CpuUsage {
        let time = Self {
            running: self.running.saturating_sub(before.running),
            waiting: self.waiting.saturating_sub(before.waiting),
        };
        CpuUsage { time, wall, replies }
    }
}

impl CpuUsage {
    /// Returns the average number of cores in use.
    pub(crate) fn cores(&self) -> f64 {
        ratio(self.time.running, self.wall)
    }

    /// Returns the average number of runnable threads waiting for a core.
    pub(crate) fn threads_waiting(&self) -> f64 {
        ratio(self.time.waiting, self.wall)
    }

    /// Returns the CPU time per reply in milliseconds, or `None` without replies.
    #[allow(clippy::cast_precision_loss, reason = "a count of replies is far from 2^53")]
    pub(crate) fn millis_per_reply(&self) -> Option<f64> {
        (self.replies > 0).then(|| self.time.running.as_secs_f64() * 1e3 / self.replies as f64)
    }

    /// Returns true if a process with this number of threads was too busy to do more work.
    pub(crate) fn is_saturated(&self, threads: usize) -> bool {
        #[allow(clippy::cast_precision_loss, reason = "there are not 2^53 threads")]
        let threads = threads as f64;
        self.cores() + self.threads_waiting() > SATURATED * threads
    }
}

fn ratio(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { part.as_secs_f64() / whole.as_secs_f64() }
}
