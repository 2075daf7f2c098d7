//! The schedule of an open loop. A thread generates it, since the runtime's timers have a
//! resolution of a millisecond, and a request must not wait for the next tick.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::interrupt::Interrupt;

/// Queue of the times at which one connection has to send its requests.
#[derive(Default)]
pub(crate) struct DueQueue {
    times: Mutex<VecDeque<Instant>>,
    changed: Notify,
    ended: AtomicBool,
}

impl DueQueue {
    pub(crate) fn pop(&self) -> Option<Instant> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Returns true if no more requests will be added.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits until a request has been added or the schedule has ended since the last call.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn push(&self, due: Instant) {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).push_back(due);
        self.changed.notify_one();
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.changed.notify_one();
    }
}

/// Longest sleep of the schedule's thread, so that it soon notices an interrupt.
const MAX_SLEEP: Duration = Duration::from_millis(100);

/// Adds the due times of `rate` requests per second to the queues, round-robin, from `begin` until
/// `end` or an interrupt. Blocks until then.
pub(crate) fn run(
    rate: u32,
    begin: Instant,
    end: Instant,
    queues: &[Arc<DueQueue>],
    interrupt: &Interrupt,
) {
    if rate == 0 {
        return queues.iter().for_each(|queue| queue.end());
    }
    let step = Duration::from_secs(1).div_f64(f64::from(rate));
    let mut round_robin = queues.iter().cycle();
    let mut number: u32 = 0;
    let mut second = begin;
    loop {
        // Relative to the last full second, so that rounding errors do not add up.
        let due = second + step * number;
        if due >= end {
            break;
        }
        while let Some(remaining) = due.checked_duration_since(Instant::now())
            && !remaining.is_zero()
            && !interrupt.is_set()
        {
            std::thread::sleep(remaining.min(MAX_SLEEP));
        }
        if interrupt.is_set() {
            break;
        }
        if let Some(queue) = round_robin.next() {
            queue.push(due);
        }
        number += 1;
        if number == rate {
            (number, second) = (0, second + Duration::from_secs(1));
        }
    }
    queues.iter().for_each(|queue| queue.end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_evenly_spaced_and_spread_over_the_connections() {
        let queues = [Arc::new(DueQueue::default()), Arc::new(DueQueue::default())];
        let begin = Instant::now();
        let end = begin + Duration::from_millis(20);
        run(1000, begin, end, &queues, &Interrupt::default());
        let times: Vec<_> = std::iter::from_fn(|| queues[0].pop()).collect();
        assert_eq!((times.len(), queues[1].len()), (10, 10));
        assert_eq!(times[1] - times[0], Duration::from_millis(2));
        assert!(queues.iter().all(|queue| queue.has_ended()));
    }
}
