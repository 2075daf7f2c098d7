//! The hash_pool: as many threads as there are cores, each with memory that it uses again, and a
//! short queue before them that is fair by network. Who can't be served in time is told so at once,
//! and who has gone costs no hash.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::Block;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::domain::{ClientNetwork, Fault, Refusal, RequestContext, UseCaseResult};
use crate::metrics::{HashMetrics, HashRefusal};

/// What is taken from the priority of its threads. It leaves them a tenth of a core that somebody
/// else's busy process has.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// The number of threads, and the length of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashPoolSize {
    /// Hashes at once. Each holds its memory: permits times the memory of a hash is the pool's
    /// ceiling.
    pub permits: usize,
    /// Hashes that may wait.
    pub queue: usize,
}

/// The hash_pool.
pub struct HashPool {
    shared: Arc<Shared>,
    metrics: Arc<HashMetrics>,
}

type Job = Box<dyn FnOnce(&mut Vec<Block>) + Send>;

struct Shared {
    size: HashPoolSize,
    metrics: Arc<HashMetrics>,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    /// A queue for each network, and the order in which they are served.
    queues: HashMap<Option<ClientNetwork>, VecDeque<Job>>,
    turns: VecDeque<Option<ClientNetwork>>,
    waiting: usize,
    running: usize,
    /// What a hash took of late.
    usual: Duration,
    closed: bool,
}

impl HashPool {
    /// Starts the threads.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(size: HashPoolSize, metrics: Arc<HashMetrics>) -> Result<Self, Fault> {
        let state = State { usual: Duration::from_millis(30), ..State::default() };
        metrics.threads.set(i64::try_from(size.permits.max(1)).unwrap_or(i64::MAX));
        metrics.queue.set(i64::try_from(size.queue).unwrap_or(i64::MAX));
        let shared = Arc::new(Shared {
            size,
            metrics: metrics.clone(),
            state: Mutex::new(state),
            work: Condvar::new(),
        });
        for number in 0..size.permits.max(1) {
            let shared = shared.clone();
            std::thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || shared.serve())
                .map_err(|error| {
                    Fault::Internal(format!("cannot start a thread to hash on: {error}"))
                })?;
        }
        Ok(Self { shared, metrics })
    }

    /// Runs `job` on the hash_pool.
    ///
    /// # Errors
    /// `Busy` where the queue is full or too long for the context's deadline, `DeadlineExceeded`
    /// where the context has gone.
    pub async fn run<R: Send + 'static>(
        &self,
        context: &RequestContext,
        job: impl FnOnce(&mut Vec<Block>) -> R + Send + 'static,
    ) -> UseCaseResult<R> {
        let (done, result) = oneshot::channel();
        let (deadline, gone) = (context.deadline, context.gone.clone());
        let (metrics, queued) = (self.metrics.clone(), Instant::now());
        let job: Job = Box::new(move |memory| {
            let began = Instant::now();
            if done.is_closed() || gone.is_cancelled() || began >= deadline {
                return metrics.refuse(HashRefusal::ClientGone);
            }
            metrics.wait.observe((began - queued).as_secs_f64());
            let result = job(memory);
            metrics.duration.observe(began.elapsed().as_secs_f64());
            let _ = done.send(result);
        });
        self.shared.admit(context, job)?;
        // A job that is dropped unrun has outlived the deadline of its context.
        result.await.map_err(|_| Refusal::DeadlineExceeded.into())
    }

    /// How many hashes run, and how many wait.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        let state = self.shared.lock();
        (state.running, state.waiting)
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere leaves nothing
        // half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job, or says how long the queue is.
    fn admit(&self, context: &RequestContext, job: Job) -> Result<(), Refusal> {
        let mut state = self.lock();
        let permits = u32::try_from(self.size.permits.max(1)).unwrap_or(u32::MAX);
        let before = u32::try_from(state.waiting + state.running).unwrap_or(u32::MAX);
        let until_done = state.usual * (before / permits + 1);
        let full = state.waiting + state.running >= self.size.permits + self.size.queue;
        if full || Instant::now() + until_done > context.deadline {
            self.metrics.refuse(if full { HashRefusal::QueueFull } else { HashRefusal::TooLate });
            return Err(Refusal::Busy { retry_after: until_done.max(Duration::from_millis(10)) });
        }
        let network = context.network;
        let queue = state.queues.entry(network).or_default();
        queue.push_back(job);
        if queue.len() == 1 {
            state.turns.push_back(network);
        }
        state.waiting += 1;
        self.metrics.waiting.inc();
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    fn serve(&self) {
        give_way();
        let mut memory = Vec::new();
        let mut state = self.lock();
        loop {
            if let Some(job) = state.next() {
                state.running += 1;
                self.metrics.waiting.dec();
                self.metrics.running.inc();
                drop(state);
                let started = Instant::now();
                // A panic in a job must cost its context only: the thread and its permit go on.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut memory)));
                let took = started.elapsed();
                state = self.lock();
                state.running -= 1;
                self.metrics.running.dec();
                if took > Duration::from_millis(1) {
                    state.usual = (state.usual * 7 + took) / 8;
                }
            } else if state.closed {
                return;
            } else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Lets every other thread of the service go first on this core: they need it for microseconds, a
/// hash for tens of milliseconds.
fn give_way() {
    // On Linux a priority is a thread's; elsewhere it would be that of the whole process. Without
    // it hashes are as they were.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "the priority of the hashing threads cannot be lowered");
    }
}

impl State {
    /// The first job of the network whose turn it is.
    fn next(&mut self) -> Option<Job> {
        let network = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&network)?;
        let job = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&network);
        } else {
            self.turns.push_back(network);
        }
        self.waiting -= 1;
        job
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::domain::Failure;

    fn context(last: u8, timeout: Duration) -> RequestContext {
        let ip = std::net::IpAddr::from([192, 0, 2, last]);
        RequestContext {
            network: Some(ip.into()),
            deadline: Instant::now() + timeout,
            gone: CancellationToken::new(),
            claim: None,
        }
    }

    /// A pool of one thread that is held until the sender is dropped.
    async fn held(queue: usize) -> (Arc<HashPool>, std::sync::mpsc::Sender<()>) {
        let hash_pool =
            Arc::new(HashPool::start(HashPoolSize { permits: 1, queue }, Arc::default()).unwrap());
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let first = hash_pool.clone();
        tokio::spawn(async move {
            first.run(&context(1, Duration::from_secs(60)), move |_| held.recv().is_ok()).await
        });
        while hash_pool.depth() != (1, 0) {
            tokio::task::yield_now().await;
        }
        (hash_pool, hold)
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let (hash_pool, hold) = held(0).await;
        let refused = hash_pool.run(&context(2, Duration::from_secs(60)), |_| ()).await;
        assert!(matches!(refused, Err(Failure::Refused(Refusal::Busy { .. }))));
        drop(hold);
    }

    #[tokio::test]
    async fn who_can_not_wait_is_told_at_once() {
        let (hash_pool, _hold) = held(8).await;
        let refused = hash_pool.run(&context(2, Duration::from_millis(1)), |_| ()).await;
        assert!(matches!(refused, Err(Failure::Refused(Refusal::Busy { .. }))));
    }

    #[tokio::test]
    async fn who_has_gone_costs_no_hash() {
        let (hash_pool, hold) = held(8).await;
        let runs = Arc::new(AtomicUsize::new(0));
        let gone = context(2, Duration::from_secs(60));
        gone.gone.cancel();
        let counted = runs.clone();
        let waiting = hash_pool.run(&gone, move |_| counted.fetch_add(1, Ordering::SeqCst));
        drop(hold);
        assert!(waiting.await.is_err());
        assert_eq!(runs.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn networks_take_turns() {
        let (hash_pool, hold) = held(64).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for (network, count) in [(7, 5), (8, 1)] {
            for _ in 0..count {
                let (hash_pool, order, depth) =
                    (hash_pool.clone(), order.clone(), hash_pool.depth().1);
                let waiting = hash_pool.clone();
                tasks.spawn(async move {
                    hash_pool
                        .run(&context(network, Duration::from_secs(60)), move |_| {
                            order.lock().unwrap().push(network)
                        })
                        .await
                });
                while waiting.depth().1 == depth {
                    tokio::task::yield_now().await;
                }
            }
        }
        drop(hold);
        while tasks.join_next().await.is_some() {}
        assert_eq!(*order.lock().unwrap(), [7, 8, 7, 7, 7, 7]);
    }

    #[tokio::test]
    async fn a_panic_costs_its_caller_only() {
        let hash_pool =
            HashPool::start(HashPoolSize { permits: 1, queue: 4 }, Arc::default()).unwrap();
        let patient = context(1, Duration::from_secs(60));
        assert!(hash_pool.run(&patient, |_| panic!("on purpose")).await.is_err());
        assert_eq!(hash_pool.run(&patient, |_| 7).await.unwrap(), 7);
    }
}
