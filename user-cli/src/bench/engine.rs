//! A run: threads that start together, drive their share of the connections, and are measured for a
//! time window or a number of requests.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::task::JoinSet;
use user_proto::client::{Stream, Tls};

use super::connection::{Connection, Protocol, Recorder};
use super::counters::{Counters, ReplyCounter, Window};
use super::cpu::{CpuTime, CpuUsage};
use super::interrupt::Interrupt;
use super::schedule::{self, DueQueue};
use crate::tls;

/// Time for which a run waits for outstanding replies at its end. It exceeds the server's default
/// deadline.
const LAST_REPLIES_TIMEOUT: Duration = Duration::from_secs(12);
/// Time for which a run waits for outstanding replies after Ctrl-C.
const LAST_REPLIES_TIMEOUT_INTERRUPTED: Duration = Duration::from_secs(1);
/// Time between two updates of the progress bar.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// Parameters of a run.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) connections: usize,
    /// Maximum number of requests in flight per connection.
    pub(crate) depth: usize,
    pub(crate) threads: usize,
    pub(crate) warm_up: Duration,
    pub(crate) end: End,
    /// Requests per second of an open loop, or `None` for a closed loop.
    pub(crate) rate: Option<u32>,
    /// Id of the process of the server or of Redis, to measure its CPU usage; `None` measures the
    /// client only.
    pub(crate) observed_pid: Option<u32>,
    /// Flag that ends the run early when Ctrl-C sets it.
    pub(crate) interrupt: Interrupt,
}

/// Condition that ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// This time has passed after the warm-up.
    After(Duration),
    /// This number of requests has been sent after the warm-up.
    Count(u64),
}

pub(crate) struct RunResult {
    pub(crate) counters: Counters,
    /// Length of the measured window.
    pub(crate) duration: Duration,
    pub(crate) client_cpu: Option<CpuUsage>,
    /// CPU usage of the process [`Plan::observed_pid`], if it was measured.
    pub(crate) observed_cpu: Option<CpuUsage>,
}

/// Traffic that a run generates.
pub(crate) trait Load: Sync {
    /// Drives one thread's share of the connections: connects, calls `wait_for_start` once, and
    /// sends requests until the run ends.
    ///
    /// # Errors
    /// A message if a connection fails.
    fn run(&self, share: Share, wait_for_start: &mut dyn FnMut() -> Start) -> Result<(), String>;
}

/// One thread's share of the connections.
pub(crate) struct Share {
    /// Numbers of the connections; a run numbers its connections from 0.
    pub(crate) numbers: std::ops::Range<usize>,
    pub(crate) counters: Arc<Mutex<Counters>>,
}

/// Start time and measured window of a run, common to all threads.
#[derive(Clone)]
pub(crate) struct Start {
    pub(crate) begin: Instant,
    pub(crate) window: Window,
    pub(crate) replies: Arc<ReplyCounter>,
}

/// Error of a thread of the load generator that had not connected when the run was interrupted
/// (Ctrl-C).
const INTERRUPTED: &str = "interrupted while connecting";

/// Executes a run. Calls `on_progress` regularly with the number of replies so far and the
/// completed fraction of the run.
///
/// # Errors
/// A message if a connection of any thread fails.
pub(crate) fn run(
    plan: &Plan,
    load: &impl Load,
    on_progress: &mut dyn FnMut(u64, f64),
) -> Result<RunResult, String> {
    let threads = plan.threads.min(plan.connections).max(1);
    // All threads and this one meet at the start, and again after the last CPU time was read.
    let (start_barrier, end_barrier) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    let (replies, finished) = (Arc::new(ReplyCounter::default()), AtomicUsize::new(0));
    let started: Mutex<Option<Start>> = Mutex::default();
    let ended: Mutex<Option<Instant>> = Mutex::default();
    let counters: Vec<Arc<Mutex<Counters>>> = (0..threads).map(|_| Arc::default()).collect();
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for (number, counters) in counters.iter().enumerate() {
            let first = plan.connections * number / threads;
            let share = Share {
                numbers: first..plan.connections * (number + 1) / threads,
                counters: counters.clone(),
            };
            let (start_barrier, end_barrier, finished) = (&start_barrier, &end_barrier, &finished);
            let (replies, started, ended) = (replies.clone(), &started, &ended);
            workers.push(scope.spawn(move || {
                let mut waited = false;
                let mut wait_for_start = || {
                    waited = true;
                    start_barrier.wait();
                    plan.start(started, &replies)
                };
                let result = load.run(share, &mut wait_for_start);
                if !waited {
                    start_barrier.wait();
                }
                *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                finished.fetch_add(1, Ordering::SeqCst);
                end_barrier.wait();
                result
            }));
        }
        start_barrier.wait();
        // That of the threads, which may have begun long before this one runs again.
        let begin = plan.start(&started, &replies).begin;
        let read_cpu = || (CpuTime::own(), plan.observed_pid.and_then(CpuTime::of));
        let (mut before, mut after, mut interrupted_at) = (None, None, None);
        if plan.warm_up.is_zero() {
            before = Some((begin, 0, read_cpu()));
        }
        while finished.load(Ordering::SeqCst) < threads {
            std::thread::sleep(PROGRESS_INTERVAL);
            let elapsed = begin.elapsed();
            if interrupted_at.is_none() && plan.interrupt.is_set() {
                interrupted_at = Some(elapsed);
            }
            if before.is_none() && elapsed >= plan.warm_up {
                before = Some((Instant::now(), replies.get(), read_cpu()));
            }
            if after.is_none()
                && matches!(plan.end, End::After(time) if elapsed >= plan.warm_up + time)
            {
                after = Some((Instant::now(), replies.get(), read_cpu()));
            }
            on_progress(replies.get(), plan.completed(elapsed, replies.get()));
        }
        let duration = match plan.end {
            End::After(time) => {
                let until = interrupted_at.unwrap_or(plan.warm_up + time);
                until.saturating_sub(plan.warm_up).min(time)
            }
            End::Count(_) => {
                let ended = *ended.lock().unwrap_or_else(PoisonError::into_inner);
                let ended = ended.unwrap_or_else(Instant::now);
                ended.saturating_duration_since(begin).saturating_sub(plan.warm_up)
            }
        };
        let (after_at, after_replies, after) =
            after.unwrap_or_else(|| (Instant::now(), replies.get(), read_cpu()));
        end_barrier.wait();
        for worker in workers {
            worker.join().map_err(|_| "internal error: a thread panicked".to_owned())??;
        }
        let mut sum = Counters::default();
        for counters in &counters {
            sum.add(&counters.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let usage =
            |before: Option<CpuTime>, after: Option<CpuTime>, since: Instant, replies: u64| {
                let (wall, replies) = (after_at - since, after_replies.saturating_sub(replies));
                Some(after?.since(before?, wall, replies))
            };
        let (client_cpu, observed_cpu) = match before {
            Some((at, replies, before)) => {
                (usage(before.0, after.0, at, replies), usage(before.1, after.1, at, replies))
            }
            None => (None, None),
        };
        Ok(RunResult { counters: sum, duration, client_cpu, observed_cpu })
    })
}

impl Plan {
    /// Returns the start of the run, which the first caller determines.
    fn start(&self, started: &Mutex<Option<Start>>, replies: &Arc<ReplyCounter>) -> Start {
        let mut started = started.lock().unwrap_or_else(PoisonError::into_inner);
        let start = started.get_or_insert_with(|| {
            let begin = Instant::now();
            let from = begin + self.warm_up;
            let until = match self.end {
                End::After(time) => Some(from + time),
                End::Count(_) => None,
            };
            Start { begin, window: Window { from, until }, replies: replies.clone() }
        });
        start.clone()
    }

    /// Returns the completed fraction of the run.
    fn completed(&self, elapsed: Duration, replies: u64) -> f64 {
        match self.end {
            End::After(time) => {
                (elapsed.as_secs_f64() / (self.warm_up + time).as_secs_f64()).min(1.0)
            }
            #[allow(clippy::cast_precision_loss, reason = "it moves a progress bar")]
            End::Count(count) => (replies as f64 / count.max(1) as f64).min(1.0),
        }
    }

    /// Returns the number of requests that the connection `number` sends after the warm-up, which
    /// is `u64::MAX` if the run ends after a time.
    pub(crate) fn quota(&self, number: usize) -> u64 {
        match self.end {
            End::After(_) => u64::MAX,
            End::Count(count) => {
                let (number, all) = (number as u64, self.connections as u64);
                count * (number + 1) / all - count * number / all
            }
        }
    }
}

/// Load of connections that stay open for the whole run.
pub(crate) struct PersistentConnections<'a, F> {
    pub(crate) plan: &'a Plan,
    pub(crate) addr: &'a str,
    pub(crate) tls: Option<&'a Tls>,
    /// Function that creates the protocol of a connection from the connection's number.
    pub(crate) protocol: F,
}

impl<P: Protocol, F: Fn(usize) -> P + Sync> Load for PersistentConnections<'_, F> {
    fn run(&self, share: Share, wait_for_start: &mut dyn FnMut() -> Start) -> Result<(), String> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let streams: Vec<Stream> = runtime.block_on(async {
            let mut streams = Vec::new();
            for _ in share.numbers.clone() {
                tokio::select! {
                    stream = connect(self.addr, self.tls) => streams.push(stream?),
                    () = self.plan.interrupt.wait() => return Err(INTERRUPTED.to_owned()),
                }
            }
            Ok::<_, String>(streams)
        })?;
        let Start { begin, window, replies } = wait_for_start();
        let recorder = Recorder { counters: share.counters, replies, window };
        let queues: Vec<Arc<DueQueue>> = share.numbers.clone().map(|_| Arc::default()).collect();
        std::thread::scope(|scope| {
            if let (Some(rate), Some(until)) = (self.plan.rate, window.until) {
                // This thread's part of the rate.
                let part = |number: usize| (rate as usize * number / self.plan.connections) as u32;
                let rate = part(share.numbers.end) - part(share.numbers.start);
                let queues = &queues;
                let interrupt = &self.plan.interrupt;
                scope.spawn(move || schedule::run(rate, begin, until, queues, interrupt));
            }
            runtime.block_on(async {
                let mut tasks = JoinSet::new();
                for ((number, stream), queue) in share.numbers.clone().zip(streams).zip(&queues) {
                    let protocol = (self.protocol)(number);
                    let interrupt = self.plan.interrupt.clone();
                    let connection =
                        Connection::new(stream, protocol, self.plan.depth, recorder.clone());
                    match self.plan.rate {
                        Some(_) => {
                            tasks.spawn(open_loop(connection, window, queue.clone(), interrupt))
                        }
                        None => {
                            let quota = self.plan.quota(number);
                            tasks.spawn(closed_loop(connection, window, quota, interrupt))
                        }
                    };
                }
                while let Some(result) = tasks.join_next().await {
                    result.map_err(|error| format!("internal error: {error}"))??;
                }
                Ok(())
            })
        })
    }
}

/// Opens a stream to the server.
///
/// # Errors
/// A message with the address and the cause.
pub(crate) async fn connect(addr: &str, tls: Option<&Tls>) -> Result<Stream, String> {
    tls::connect(addr, tls).await.map_err(|error| format!("cannot connect to {addr}: {error}"))
}

/// Sends the next request whenever a reply frees a slot.
async fn closed_loop<P: Protocol>(
    mut connection: Connection<Stream, P>,
    window: Window,
    mut quota: u64,
    interrupt: Interrupt,
) -> Result<(), String> {
    let mut now = Instant::now();
    let never = now + Duration::from_secs(365 * 24 * 3600);
    // Ends the run even if the server stops responding.
    let mut end = pin!(tokio::time::sleep_until(window.until.unwrap_or(never).into()));
    let mut interrupted = pin!(interrupt.wait());
    while !window.is_over(now) {
        while quota > 0 && connection.has_free_slot() {
            connection.enqueue(now);
            // The requests of the warm-up are not measured.
            quota -= u64::from(now >= window.from);
        }
        if connection.is_idle() {
            return Ok(());
        }
        now = tokio::select! {
            biased;
            received_at = connection.exchange() => received_at?,
            () = &mut end => break,
            () = &mut interrupted => break,
        };
    }
    finish(connection, Instant::now(), &interrupt).await
}

/// Sends each request at its due time, as long as slots are free.
async fn open_loop<P: Protocol>(
    mut connection: Connection<Stream, P>,
    window: Window,
    queue: Arc<DueQueue>,
    interrupt: Interrupt,
) -> Result<(), String> {
    let until = window.until.unwrap_or(window.from);
    let mut timeout = pin!(tokio::time::sleep_until((until + LAST_REPLIES_TIMEOUT).into()));
    loop {
        tokio::select! {
            biased;
            received_at = connection.exchange() => drop(received_at?),
            () = queue.changed() => {}
            () = &mut timeout => break,
        }
        while connection.has_free_slot()
            && let Some(due) = queue.pop()
        {
            connection.enqueue(due);
            connection.record_send_delay(due, Instant::now());
        }
        if queue.has_ended() && queue.len() == 0 {
            break;
        }
    }
    connection.record_unsent(queue.len());
    finish(connection, until.min(Instant::now()), &interrupt).await
}

/// Waits for outstanding replies until [`LAST_REPLIES_TIMEOUT`] after `since`, and records requests
/// that still have no reply as unanswered. After an interrupt, it waits for a second only.
async fn finish<P: Protocol>(
    mut connection: Connection<Stream, P>,
    since: Instant,
    interrupt: &Interrupt,
) -> Result<(), String> {
    let mut timeout = pin!(tokio::time::sleep_until((since + LAST_REPLIES_TIMEOUT).into()));
    let mut interrupted = pin!(async {
        interrupt.wait().await;
        tokio::time::sleep(LAST_REPLIES_TIMEOUT_INTERRUPTED).await;
    });
    while !connection.is_idle() {
        tokio::select! {
            biased;
            received_at = connection.exchange() => drop(received_at?),
            () = &mut timeout => break,
            () = &mut interrupted => break,
        }
    }
    connection.record_unanswered();
    Ok(())
}
