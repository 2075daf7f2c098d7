//! What hashes cost on this machine, by making some the way the hash pool makes them.

use std::time::{Duration, Instant};

use super::phc::{self, HashCost};
use crate::domain::{Fault, Password};

/// What a number of threads made of hashes of one cost.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// What one took, in the middle.
    pub each: Duration,
    /// All threads together.
    pub per_second: f64,
}

/// Makes hashes of this cost on so many threads for so long, and at least one on each.
///
/// # Errors
/// Where the system gives no memory or no random bytes.
pub fn measure(cost: HashCost, threads: usize, time: Duration) -> Result<Measured, Fault> {
    let one = || -> Result<(Vec<Duration>, Duration), Fault> {
        let password = Password::presented(b"tides rise at nine")
            .ok_or_else(|| Fault::internal("no password"))?;
        let mut memory = Vec::new();
        // The first hash also asks the system for the memory, which the pool does once.
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
            worker
                .join()
                .unwrap_or_else(|_| Err(Fault::internal("a thread that hashed has failed")))
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
