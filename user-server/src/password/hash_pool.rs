//! The hash pool: threads that compute password hashes, each with memory that it reuses, and a
//! short queue that is fair between networks. A request that cannot be served before its deadline
//! is refused at once. For a request that was abandoned while it waited, no hash is computed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::hash_memory::HashMemory;
use crate::domain::{ClientNetwork, Fault, Refusal, RequestContext, UseCaseResult};
use crate::metrics::{HashMetrics, HashRefusal};

/// Niceness of the hashing threads. If another process uses a core fully, about a tenth of the core
/// remains for hashing.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Number of threads and length of the queue of a hash pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashPoolSize {
    /// Number of threads: the maximum number of hashes that are computed at once. Each uses its own
    /// memory, so the pool uses at most this many times the memory of one hash.
    pub permits: usize,
    /// Maximum number of hashes that wait in the queue.
    pub queue: usize,
}

/// Pool of threads that compute password hashes.
pub struct HashPool {
    inner: Arc<PoolInner>,
    metrics: Arc<HashMetrics>,
}

type Job = Box<dyn FnOnce(&mut HashMemory) + Send>;

struct PoolInner {
    size: HashPoolSize,
    metrics: Arc<HashMetrics>,
    state: Mutex<PoolState>,
    work: Condvar,
}

#[derive(Default)]
struct PoolState {
    /// Waiting jobs of each network. `None` stands for all unknown networks.
    queues: HashMap<Option<ClientNetwork>, VecDeque<Job>>,
    /// Networks with waiting jobs, in the order in which the next job of each is run.
    fairness_queue: VecDeque<Option<ClientNetwork>>,
    waiting: usize,
    running: usize,
    /// Moving average of the duration of one hash.
    average: Duration,
    closed: bool,
}

impl HashPool {
    /// Starts the threads of the pool.
    ///
    /// # Errors
    /// If the operating system cannot start a thread.
    pub fn start(size: HashPoolSize, metrics: Arc<HashMetrics>) -> Result<Self, Fault> {
        let state = PoolState { average: Duration::from_millis(30), ..PoolState::default() };
        metrics.threads.set(i64::try_from(size.permits.max(1)).unwrap_or(i64::MAX));
        metrics.queue.set(i64::try_from(size.queue).unwrap_or(i64::MAX));
        let inner = Arc::new(PoolInner {
            size,
            metrics: metrics.clone(),
            state: Mutex::new(state),
            work: Condvar::new(),
        });
        for number in 0..size.permits.max(1) {
            let inner = inner.clone();
            std::thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || inner.serve())
                .map_err(|error| {
                    Fault::Internal(format!("cannot start a hashing thread: {error}"))
                })?;
        }
        Ok(Self { inner, metrics })
    }

    /// Runs `job` on a thread of the pool, with the memory that the thread reuses, and returns its
    /// result.
    ///
    /// # Errors
    /// `Busy` if the queue is full or the job would probably not finish before the deadline;
    /// `DeadlineExceeded` if the deadline passed or the client disconnected while the job waited.
    pub async fn run<R: Send + 'static>(
        &self,
        context: &RequestContext,
        job: impl FnOnce(&mut HashMemory) -> R + Send + 'static,
    ) -> UseCaseResult<R> {
        let (sender, result) = oneshot::channel();
        let (deadline, gone) = (context.deadline, context.gone.clone());
        let (metrics, queued) = (self.metrics.clone(), Instant::now());
        let job: Job = Box::new(move |memory| {
            let began = Instant::now();
            if sender.is_closed() || gone.is_cancelled() || began >= deadline {
                return metrics.refuse(HashRefusal::ClientGone);
            }
            metrics.wait.observe((began - queued).as_secs_f64());
            let result = job(memory);
            metrics.duration.observe(began.elapsed().as_secs_f64());
            let _ = sender.send(result);
        });
        self.inner.admit(context, job)?;
        // A job that was dropped without being run was abandoned or past its deadline.
        result.await.map_err(|_| Refusal::DeadlineExceeded.into())
    }

    /// Returns the number of hashes that are being computed, and the number that wait.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        let state = self.inner.lock();
        (state.running, state.waiting)
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.inner.lock().closed = true;
        self.inner.work.notify_all();
    }
}

impl PoolInner {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        // The state is consistent after every statement, so a poisoned lock can be used.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job, or refuses it with [`Refusal::Busy`] and the estimated waiting time.
    fn admit(&self, context: &RequestContext, job: Job) -> Result<(), Refusal> {
        let mut state = self.lock();
        let permits = u32::try_from(self.size.permits.max(1)).unwrap_or(u32::MAX);
        let ahead = u32::try_from(state.waiting + state.running).unwrap_or(u32::MAX);
        let until_done = state.average * (ahead / permits + 1);
        let full = state.waiting + state.running >= self.size.permits + self.size.queue;
        if full || Instant::now() + until_done > context.deadline {
            self.metrics.refuse(if full { HashRefusal::QueueFull } else { HashRefusal::TooLate });
            return Err(Refusal::Busy { retry_after: until_done.max(Duration::from_millis(10)) });
        }
        let network = context.network;
        let queue = state.queues.entry(network).or_default();
        queue.push_back(job);
        if queue.len() == 1 {
            state.fairness_queue.push_back(network);
        }
        state.waiting += 1;
        self.metrics.waiting.inc();
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    fn serve(&self) {
        lower_priority();
        let mut memory = HashMemory::new();
        let mut state = self.lock();
        loop {
            if let Some(job) = state.next_job() {
                state.running += 1;
                self.metrics.waiting.dec();
                self.metrics.running.inc();
                drop(state);
                let started = Instant::now();
                // A panic in a job must not end the thread, which serves other requests as well.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut memory)));
                let took = started.elapsed();
                state = self.lock();
                state.running -= 1;
                self.metrics.running.dec();
                if took > Duration::from_millis(1) {
                    state.average = (state.average * 7 + took) / 8;
                }
            } else if state.closed {
                return;
            } else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Lowers the scheduling priority of the current thread below the other threads of the service:
/// they need a core for microseconds, a hash for tens of milliseconds.
fn lower_priority() {
    // On Linux the priority applies to the thread; elsewhere it would apply to the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "cannot lower the priority of the hashing threads");
    }
}

impl PoolState {
    /// Removes and returns the first job of the next network, or `None` if no job waits.
    fn next_job(&mut self) -> Option<Job> {
        let network = self.fairness_queue.pop_front()?;
        let queue = self.queues.get_mut(&network)?;
        let job = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&network);
        } else {
            self.fairness_queue.push_back(network);
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

    /// Creates a pool of one thread, which is busy until the sender is dropped.
    async fn busy_pool(queue: usize) -> (Arc<HashPool>, std::sync::mpsc::Sender<()>) {
        let hash_pool =
            Arc::new(HashPool::start(HashPoolSize { permits: 1, queue }, Arc::default()).unwrap());
        let (release, released) = std::sync::mpsc::channel::<()>();
        let first = hash_pool.clone();
        tokio::spawn(async move {
            first.run(&context(1, Duration::from_secs(60)), move |_| released.recv().is_ok()).await
        });
        while hash_pool.depth() != (1, 0) {
            tokio::task::yield_now().await;
        }
        (hash_pool, release)
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let (hash_pool, release) = busy_pool(0).await;
        let refused = hash_pool.run(&context(2, Duration::from_secs(60)), |_| ()).await;
        assert!(matches!(refused, Err(Failure::Refused(Refusal::Busy { .. }))));
        drop(release);
    }

    #[tokio::test]
    async fn a_request_with_too_short_a_deadline_is_refused_at_once() {
        let (hash_pool, _release) = busy_pool(8).await;
        let refused = hash_pool.run(&context(2, Duration::from_millis(1)), |_| ()).await;
        assert!(matches!(refused, Err(Failure::Refused(Refusal::Busy { .. }))));
    }

    #[tokio::test]
    async fn an_abandoned_request_is_not_hashed() {
        let (hash_pool, release) = busy_pool(8).await;
        let runs = Arc::new(AtomicUsize::new(0));
        let gone = context(2, Duration::from_secs(60));
        gone.gone.cancel();
        let counted = runs.clone();
        let waiting = hash_pool.run(&gone, move |_| counted.fetch_add(1, Ordering::SeqCst));
        drop(release);
        assert!(waiting.await.is_err());
        assert_eq!(runs.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn networks_are_served_alternately() {
        let (hash_pool, release) = busy_pool(64).await;
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
        drop(release);
        while tasks.join_next().await.is_some() {}
        assert_eq!(*order.lock().unwrap(), [7, 8, 7, 7, 7, 7]);
    }

    #[tokio::test]
    async fn a_panic_in_a_job_fails_only_its_request() {
        let hash_pool =
            HashPool::start(HashPoolSize { permits: 1, queue: 4 }, Arc::default()).unwrap();
        let context = context(1, Duration::from_secs(60));
        assert!(hash_pool.run(&context, |_| panic!("on purpose")).await.is_err());
        assert_eq!(hash_pool.run(&context, |_| 7).await.unwrap(), 7);
    }
}
