//! Benchmark of password hashes on this machine, computed in the same way as in the hash pool.

use std::time::{Duration, Instant};

use super::hash_memory::HashMemory;
use super::phc::{self, HashCost};
use crate::domain::{Fault, Password};

/// Benchmark result for password hashes with one cost.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Median duration of one hash.
    pub each: Duration,
    /// Number of hashes per second of all threads together.
    pub per_second: f64,
}

/// Measures the speed of password hashes with this cost: computes hashes on `threads` threads for
/// the duration `time`, at least one on each thread.
///
/// # Errors
/// If a hash cannot be computed, or the system provides no random bytes.
pub fn measure(cost: HashCost, threads: usize, time: Duration) -> Result<Measured, Fault> {
    let one = || -> Result<(Vec<Duration>, Duration), Fault> {
        let password = Password::presented(b"tides rise at nine")
            .ok_or_else(|| Fault::internal("no password"))?;
        let mut memory = HashMemory::unchecked();
        // The first hash also allocates the memory, which a thread of the hash pool does only once.
        phc::hash(&password, cost, &mut memory)?;
        let (began, mut took) = (Instant::now(), Vec::new());
        while took.is_empty() || began.elapsed() < time {
            let start = Instant::now();
            phc::hash(&password, cost, &mut memory)?;
            took.push(start.elapsed());
        }
        Ok((took, began.elapsed()))
    };
    let results = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(one)).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|_| Err(Fault::internal("a hashing thread has panicked")))
        };
        workers.into_iter().map(join).collect::<Result<Vec<_>, _>>()
    })?;
    #[allow(clippy::cast_precision_loss, reason = "there are not 2^53 hashes")]
    let per_second = results.iter().map(|(took, all)| took.len() as f64 / all.as_secs_f64()).sum();
    let mut each: Vec<Duration> = results.into_iter().flat_map(|(took, _)| took).collect();
    each.sort_unstable();
    let each = each.get(each.len() / 2).copied().unwrap_or_default();
    Ok(Measured { each, per_second })
}
