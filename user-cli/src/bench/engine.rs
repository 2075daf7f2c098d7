//! A run: threads with connections, a start together, a window that counts, and an end.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::task::JoinSet;
use user_proto::client::{Stream, Tls};

use super::cost::Cost;
use super::link::{Books, Dialogue, Link};
use super::pace::{self, Due};
use super::tally::{Tally, Window};
use crate::tls;

/// How long replies are awaited after the end of a run. Longer than the server lets a request wait.
const LAST_REPLIES: Duration = Duration::from_secs(12);
/// How often whoever watches is told.
const GLANCE: Duration = Duration::from_millis(50);

/// How a run goes.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) connections: usize,
    pub(super) depth: usize,
    pub(super) threads: usize,
    pub(super) warm_up: Duration,
    pub(super) end: End,
    /// Requests a second, in an open loop.
    pub(super) rate: Option<u32>,
    /// A process of which is told what it spent.
    pub(super) watched: Option<u32>,
}

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    After(Duration),
    Count(u64),
}

/// What can be seen while it runs.
#[derive(Default)]
pub(super) struct Live(AtomicU64);

impl Live {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn replies(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a run came to.
pub(super) struct Ran {
    pub(super) tally: Tally,
    pub(super) took: Duration,
    /// What this process spent.
    pub(super) own: Option<Cost>,
    /// What the watched one did.
    pub(super) watched: Option<Cost>,
}

/// What drives one thread's share of connections; it is given their numbers.
pub(super) trait Drive: Sync {
    /// Connects, calls `ready` once, runs, and ends.
    fn drive(&self, share: Share, ready: &mut dyn FnMut() -> Start) -> Result<(), String>;
}

/// The connections of a thread.
pub(super) struct Share {
    pub(super) numbers: std::ops::Range<usize>,
    pub(super) tally: Arc<Mutex<Tally>>,
}

/// What all threads start with.
#[derive(Clone)]
pub(super) struct Start {
    pub(super) begin: Instant,
    pub(super) window: Window,
    pub(super) live: Arc<Live>,
}

/// Runs, and lets `watch` look at the replies and how much of the run is over.
pub(super) fn run(
    plan: &Plan,
    drive: &impl Drive,
    watch: &mut dyn FnMut(u64, f64),
) -> Result<Ran, String> {
    let threads = plan.threads.min(plan.connections).max(1);
    // All threads and this one: at the start, and when the costs were read at the end.
    let (start_line, end_line) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    let (live, finished) = (Arc::new(Live::default()), AtomicUsize::new(0));
    let started: Mutex<Option<Start>> = Mutex::default();
    let tallies: Vec<Arc<Mutex<Tally>>> = (0..threads).map(|_| Arc::default()).collect();
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for (number, tally) in tallies.iter().enumerate() {
            let first = plan.connections * number / threads;
            let share = Share {
                numbers: first..plan.connections * (number + 1) / threads,
                tally: tally.clone(),
            };
            let (start_line, end_line, finished) = (&start_line, &end_line, &finished);
            let (live, started) = (live.clone(), &started);
            workers.push(scope.spawn(move || {
                let mut waited = false;
                let mut ready = || {
                    waited = true;
                    start_line.wait();
                    let mut started = started.lock().unwrap_or_else(PoisonError::into_inner);
                    started.get_or_insert_with(|| plan.start(live.clone())).clone()
                };
                let done = drive.drive(share, &mut ready);
                if !waited {
                    start_line.wait();
                }
                finished.fetch_add(1, Ordering::SeqCst);
                end_line.wait();
                done
            }));
        }
        start_line.wait();
        let begin = Instant::now();
        let read = || (Cost::own(), plan.watched.and_then(Cost::of));
        let (mut before, mut after) = (None, None);
        while finished.load(Ordering::SeqCst) < threads {
            std::thread::sleep(GLANCE);
            let elapsed = begin.elapsed();
            if before.is_none() && elapsed >= plan.warm_up {
                before = Some((Instant::now(), live.replies(), read()));
            }
            if after.is_none()
                && matches!(plan.end, End::After(time) if elapsed >= plan.warm_up + time)
            {
                after = Some((Instant::now(), live.replies(), read()));
            }
            watch(live.replies(), plan.part(elapsed, live.replies()));
        }
        let took = match plan.end {
            End::After(time) => time,
            End::Count(_) => begin.elapsed().saturating_sub(plan.warm_up),
        };
        let (after_at, after_replies, after) =
            after.unwrap_or_else(|| (Instant::now(), live.replies(), read()));
        end_line.wait();
        for worker in workers {
            worker
                .join()
                .map_err(|_| "a thread failed; that is a defect of user-cli".to_owned())??;
        }
        let mut tally = Tally::default();
        for part in &tallies {
            tally.add(&part.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let spent = |before: Option<Cost>, after: Option<Cost>, since: Instant, replies: u64| {
            Some(after?.since(before?, after_at - since, after_replies.saturating_sub(replies)))
        };
        let (own, watched) = match before {
            Some((at, replies, before)) => {
                (spent(before.0, after.0, at, replies), spent(before.1, after.1, at, replies))
            }
            None => (None, None),
        };
        Ok(Ran { tally, took, own, watched })
    })
}

impl Plan {
    fn start(&self, live: Arc<Live>) -> Start {
        let begin = Instant::now();
        let from = begin + self.warm_up;
        let until = match self.end {
            End::After(time) => Some(from + time),
            End::Count(_) => None,
        };
        Start { begin, window: Window { from, until }, live }
    }

    /// How much of the run is over.
    fn part(&self, elapsed: Duration, replies: u64) -> f64 {
        match self.end {
            End::After(time) => {
                (elapsed.as_secs_f64() / (self.warm_up + time).as_secs_f64()).min(1.0)
            }
            #[allow(clippy::cast_precision_loss, reason = "it moves a progress bar")]
            End::Count(count) => (replies as f64 / count.max(1) as f64).min(1.0),
        }
    }

    /// What the connection of this number asks of the run's count.
    pub(super) fn quota(&self, number: usize) -> u64 {
        match self.end {
            End::After(_) => u64::MAX,
            End::Count(count) => {
                let (number, all) = (number as u64, self.connections as u64);
                count * (number + 1) / all - count * number / all
            }
        }
    }
}

/// Connections that stay open for the whole run, each with a dialogue of its own.
pub(super) struct Lasting<'a, F> {
    pub(super) plan: &'a Plan,
    pub(super) addr: &'a str,
    pub(super) tls: Option<&'a Tls>,
    /// Makes the dialogue of the connection with this number.
    pub(super) dialogue: F,
}

impl<D: Dialogue, F: Fn(usize) -> D + Sync> Drive for Lasting<'_, F> {
    fn drive(&self, share: Share, ready: &mut dyn FnMut() -> Start) -> Result<(), String> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let streams: Vec<Stream> = runtime.block_on(async {
            let mut streams = Vec::new();
            for _ in share.numbers.clone() {
                streams.push(connect(self.addr, self.tls).await?);
            }
            Ok::<_, String>(streams)
        })?;
        let Start { begin, window, live } = ready();
        let books = Books { tally: share.tally, live, window };
        let dues: Vec<Arc<Due>> = share.numbers.clone().map(|_| Arc::default()).collect();
        std::thread::scope(|scope| {
            if let (Some(rate), Some(until)) = (self.plan.rate, window.until) {
                // This thread's part of the rate.
                let part = |number: usize| (rate as usize * number / self.plan.connections) as u32;
                let (rate, dues) = (part(share.numbers.end) - part(share.numbers.start), &dues);
                scope.spawn(move || pace::keep(rate, begin, until, dues));
            }
            runtime.block_on(async {
                let mut tasks = JoinSet::new();
                for ((number, stream), due) in share.numbers.clone().zip(streams).zip(&dues) {
                    let link =
                        Link::new(stream, (self.dialogue)(number), self.plan.depth, books.clone());
                    match self.plan.rate {
                        Some(_) => tasks.spawn(open(link, window, due.clone())),
                        None => tasks.spawn(closed(link, window, self.plan.quota(number))),
                    };
                }
                while let Some(ended) = tasks.join_next().await {
                    ended.map_err(|error| format!("a defect of user-cli: {error}"))??;
                }
                Ok(())
            })
        })
    }
}

pub(super) async fn connect(addr: &str, tls: Option<&Tls>) -> Result<Stream, String> {
    tls::connect(addr, tls).await.map_err(|error| format!("can not connect to {addr}: {error}"))
}

/// Asks again when a reply comes.
async fn closed<D: Dialogue>(
    mut link: Link<Stream, D>,
    window: Window,
    mut quota: u64,
) -> Result<(), String> {
    let mut now = Instant::now();
    let far = now + Duration::from_secs(365 * 24 * 3600);
    // A server that is silent is to end the run all the same.
    let mut end = pin!(tokio::time::sleep_until(window.until.unwrap_or(far).into()));
    while !window.is_over(now) {
        while quota > 0 && link.has_room() {
            link.ask(now);
            quota -= 1;
        }
        if link.is_quiet() {
            return Ok(());
        }
        now = tokio::select! {
            biased;
            heard = link.exchange() => heard?,
            () = &mut end => break,
        };
    }
    last_replies(link, Instant::now()).await
}

/// Asks when it is due.
async fn open<D: Dialogue>(
    mut link: Link<Stream, D>,
    window: Window,
    due: Arc<Due>,
) -> Result<(), String> {
    let until = window.until.unwrap_or(window.from);
    let mut patience = pin!(tokio::time::sleep_until((until + LAST_REPLIES).into()));
    loop {
        tokio::select! {
            biased;
            heard = link.exchange() => drop(heard?),
            () = due.news() => {}
            () = &mut patience => break,
        }
        while link.has_room()
            && let Some(start) = due.next()
        {
            link.ask(start);
            link.was_due(start, Instant::now());
        }
        if due.is_over() && due.waiting() == 0 {
            break;
        }
    }
    link.never_sent(due.waiting());
    last_replies(link, until).await
}

/// Waits for what is under way.
async fn last_replies<D: Dialogue>(
    mut link: Link<Stream, D>,
    since: Instant,
) -> Result<(), String> {
    let mut patience = pin!(tokio::time::sleep_until((since + LAST_REPLIES).into()));
    while !link.is_quiet() {
        tokio::select! {
            biased;
            heard = link.exchange() => drop(heard?),
            () = &mut patience => break,
        }
    }
    link.give_up();
    Ok(())
}
