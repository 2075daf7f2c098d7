//! The open loop: who is due when. A thread of its own keeps the time, since the timers of the
//! runtime tick in milliseconds, and a request that is due now is not to wait for the next tick.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The requests of one connection that are due.
#[derive(Default)]
pub(super) struct Due {
    starts: Mutex<VecDeque<Instant>>,
    news: Notify,
    over: AtomicBool,
}

impl Due {
    pub(super) fn next(&self) -> Option<Instant> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(super) fn waiting(&self) -> usize {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// No more comes.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Waits until something was due since the last wait, or all is over.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    fn push(&self, start: Instant) {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner).push_back(start);
        self.news.notify_one();
    }

    fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.news.notify_one();
    }
}

/// Hands out `rate` requests a second over all connections in turn, from `begin` until `end`.
pub(super) fn keep(rate: u32, begin: Instant, end: Instant, connections: &[Arc<Due>]) {
    if rate == 0 {
        return connections.iter().for_each(|connection| connection.end());
    }
    let step = Duration::from_secs(1).div_f64(f64::from(rate));
    let mut turns = connections.iter().cycle();
    let mut number: u32 = 0;
    let mut second = begin;
    loop {
        // Counted from the last whole second, so that rounding does not add up.
        let due = second + step * number;
        if due >= end {
            break;
        }
        let now = Instant::now();
        if due > now {
            std::thread::sleep(due - now);
        }
        if let Some(connection) = turns.next() {
            connection.push(due);
        }
        number += 1;
        if number == rate {
            (number, second) = (0, second + Duration::from_secs(1));
        }
    }
    connections.iter().for_each(|connection| connection.end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_turn_and_in_time() {
        let connections = [Arc::new(Due::default()), Arc::new(Due::default())];
        let begin = Instant::now();
        keep(1000, begin, begin + Duration::from_millis(20), &connections);
        let starts: Vec<_> = std::iter::from_fn(|| connections[0].next()).collect();
        assert_eq!((starts.len(), connections[1].waiting()), (10, 10));
        assert_eq!(starts[1] - starts[0], Duration::from_millis(2));
        assert!(connections.iter().all(|due| due.is_over()));
    }
}
