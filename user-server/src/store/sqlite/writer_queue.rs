//! The queue of writers: bounded, and fair between the networks of end users. If it is full, the
//! network with the most waiting writers makes room for those with fewer.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::domain::{Fault, Requester};

/// Maximum number of writers that wait.
const MAX_WAITING: usize = 1024;

/// State that the writer lock protects, with the open transaction.
pub(super) trait LockedState: Default + Send + 'static {
    /// Returns true if writers have finished and wait for the commit.
    fn has_finished(&self) -> bool;

    /// Commits the open transaction, and reports the result to the writers that wait for it.
    fn commit_group(&mut self) -> impl Future<Output = ()> + Send;
}

/// Lock on the connection that writes, with the queue of those that wait for it.
pub(super) struct WriterQueue<S: LockedState>(Mutex<Writers<S>>);

struct Writers<S: LockedState> {
    /// State of the connection, or `None` while a writer has the lock.
    idle: Option<S>,
    waiting: HashMap<Requester, VecDeque<oneshot::Sender<WriterLock<S>>>>,
    /// Requesters with waiting writers, in the order in which the next writer of each has its turn.
    turns: VecDeque<Requester>,
    /// Number of waiting writers.
    count: usize,
}

/// The writer lock. Dropping it passes it on to the next writer, or commits the open transaction if
/// no writer waits.
pub(super) struct WriterLock<S: LockedState> {
    queue: Arc<WriterQueue<S>>,
    /// `None` after the lock was passed on.
    state: Option<S>,
}

impl<S: LockedState> WriterQueue<S> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Writers {
            idle: Some(S::default()),
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            count: 0,
        }))
    }

    /// Waits for the writer lock.
    ///
    /// # Errors
    /// [`Fault::Busy`] if too many writers wait.
    pub(super) async fn lock(
        self: &Arc<Self>,
        requester: Requester,
    ) -> Result<WriterLock<S>, Fault> {
        let lock = {
            let mut writers = self.writers();
            if let Some(state) = writers.idle.take() {
                return Ok(WriterLock { queue: self.clone(), state: Some(state) });
            }
            writers.enqueue(requester)?
        };
        lock.await.map_err(|_| busy())
    }

    /// Returns true if a writer waits for the lock.
    pub(super) fn has_waiting(&self) -> bool {
        self.writers().count > 0
    }

    pub(super) fn is_idle(&self) -> bool {
        self.writers().idle.is_some()
    }

    fn writers(&self) -> MutexGuard<'_, Writers<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits the open transaction, and then passes the lock on. A runtime that ends drops this
    /// future, and with it the connection, instead of another attempt to commit.
    async fn commit_alone(self: Arc<Self>, mut state: S) {
        state.commit_group().await;
        drop(WriterLock { queue: self, state: Some(state) });
    }

    /// Passes the lock on to the next writer. If none waits, commits the open transaction first.
    fn release(self: &Arc<Self>, mut state: S) {
        loop {
            let next = {
                let mut writers = self.writers();
                let next = writers.dequeue();
                if next.is_none() && !state.has_finished() {
                    writers.idle = Some(state);
                    return;
                }
                next
            };
            let Some(next) = next else {
                // Without a runtime, the process ends. Dropping the connection rolls back.
                if let Ok(runtime) = Handle::try_current() {
                    runtime.spawn(self.clone().commit_alone(state));
                }
                return;
            };
            let lock = WriterLock { queue: self.clone(), state: Some(state) };
            // Fails if the writer no longer waits.
            let Err(mut returned) = next.send(lock) else { return };
            let Some(unused) = returned.state.take() else { return };
            state = unused;
        }
    }
}

impl<S: LockedState> WriterLock<S> {
    pub(super) fn state(&mut self) -> Option<&mut S> {
        self.state.as_mut()
    }

    /// Commits the open transaction, and reports the result to the writers that wait for it.
    pub(super) async fn commit_group(mut self) {
        if let Some(state) = self.state() {
            state.commit_group().await;
        }
    }
}

impl<S: LockedState> Drop for WriterLock<S> {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            self.queue.release(state);
        }
    }
}

impl<S: LockedState> Writers<S> {
    fn enqueue(&mut self, requester: Requester) -> Result<oneshot::Receiver<WriterLock<S>>, Fault> {
        if self.count >= MAX_WAITING {
            self.forget_abandoned();
        }
        if self.count >= MAX_WAITING {
            self.make_room_for(requester)?;
        }
        let (sender, receiver) = oneshot::channel();
        let queue = self.waiting.entry(requester).or_default();
        if queue.is_empty() {
            self.turns.push_back(requester);
        }
        queue.push_back(sender);
        self.count += 1;
        Ok(receiver)
    }

    fn dequeue(&mut self) -> Option<oneshot::Sender<WriterLock<S>>> {
        let requester = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&requester)?;
        let next = queue.pop_front();
        self.count -= usize::from(next.is_some());
        if queue.is_empty() {
            self.waiting.remove(&requester);
        } else {
            self.turns.push_back(requester);
        }
        next
    }

    /// Removes the writers of requests that have ended.
    fn forget_abandoned(&mut self) {
        self.waiting.retain(|_, queue| {
            queue.retain(|sender| !sender.is_closed());
            !queue.is_empty()
        });
        self.turns.retain(|requester| self.waiting.contains_key(requester));
        self.count = self.waiting.values().map(VecDeque::len).sum();
    }

    /// Removes the newest writer of the requester that has the most, which is then busy. Fails if
    /// this would not make the queue fairer.
    fn make_room_for(&mut self, requester: Requester) -> Result<(), Fault> {
        let own = self.waiting.get(&requester).map_or(0, VecDeque::len);
        let longest = self.waiting.values_mut().max_by_key(|queue| queue.len());
        let queue = longest.filter(|queue| queue.len() > own + 1).ok_or_else(busy)?;
        queue.pop_back();
        self.count -= 1;
        Ok(())
    }
}

fn busy() -> Fault {
    Fault::Busy("too many requests wait to write to the database".to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// State without a transaction.
    #[derive(Default)]
    struct Nothing;

    impl LockedState for Nothing {
        fn has_finished(&self) -> bool {
            false
        }

        async fn commit_group(&mut self) {}
    }

    type Queue = Arc<WriterQueue<Nothing>>;
    type Waiting = Pin<Box<dyn Future<Output = Result<WriterLock<Nothing>, Fault>>>>;

    fn user(ip: &str) -> Requester {
        Requester::of(Some(ip.parse::<IpAddr>().unwrap().into()))
    }

    fn poll(waiting: &mut Waiting) -> Poll<Result<WriterLock<Nothing>, Fault>> {
        waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn lock(queue: &Queue, requester: Requester) -> Waiting {
        let queue = queue.clone();
        Box::pin(async move { queue.lock(requester).await })
    }

    /// Enters the queue as a writer that has to wait.
    fn wait(queue: &Queue, requester: Requester) -> Waiting {
        let mut waiting = lock(queue, requester);
        assert!(poll(&mut waiting).is_pending());
        waiting
    }

    fn is_busy(waiting: &mut Waiting) -> bool {
        matches!(poll(waiting), Poll::Ready(Err(Fault::Busy(_))))
    }

    async fn locked() -> (Queue, WriterLock<Nothing>) {
        let queue = Queue::new(WriterQueue::new());
        let lock = queue.lock(Requester::Service).await.unwrap();
        (queue, lock)
    }

    /// State with a transaction that is never committed.
    #[derive(Default)]
    struct Unfinished;

    impl LockedState for Unfinished {
        fn has_finished(&self) -> bool {
            true
        }

        async fn commit_group(&mut self) {
            std::future::pending().await
        }
    }

    #[test]
    fn a_transaction_that_is_open_when_the_runtime_ends_is_dropped() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let queue = Arc::new(WriterQueue::<Unfinished>::new());
        let lock = runtime.block_on(queue.lock(Requester::Service)).unwrap();
        let handle = runtime.handle().clone();
        runtime.shutdown_background();
        let _entered = handle.enter();
        drop(lock);
        assert!(!queue.is_idle());
    }

    #[tokio::test]
    async fn networks_take_turns() {
        let (queue, held) = locked().await;
        let mut flood: Vec<_> = (0..10).map(|_| wait(&queue, user("192.0.2.1"))).collect();
        let mut single = wait(&queue, user("192.0.2.2"));
        let mut service = wait(&queue, Requester::Service);
        drop(held);
        let Poll::Ready(Ok(first)) = poll(&mut flood[0]) else { panic!("the first in the queue") };
        assert!(poll(&mut single).is_pending(), "one writer at a time");
        drop(first);
        let Poll::Ready(Ok(second)) = poll(&mut single) else { panic!("the other network") };
        drop(second);
        let Poll::Ready(Ok(third)) = poll(&mut service) else { panic!("the service itself") };
        drop(third);
        assert!(poll(&mut flood[1]).is_ready() && queue.has_waiting());
    }

    #[tokio::test]
    async fn a_full_queue_makes_room_for_other_networks() {
        let (queue, held) = locked().await;
        let flooding = user("192.0.2.1");
        let mut flood: Vec<_> = (0..MAX_WAITING).map(|_| wait(&queue, flooding)).collect();
        assert!(is_busy(&mut lock(&queue, flooding)), "the queue is full");
        let mut other = wait(&queue, user("192.0.2.2"));
        assert!(poll(&mut other).is_pending());
        assert!(is_busy(flood.last_mut().unwrap()), "the newest makes room");
        let rest = &mut flood[..MAX_WAITING - 1];
        assert!(rest.iter_mut().all(|one| poll(one).is_pending()));
        assert_eq!(queue.writers().count, MAX_WAITING);
        // Requests that have ended make room without affecting others.
        flood.truncate(10);
        let more: Vec<_> = (0..100).map(|_| wait(&queue, flooding)).collect();
        assert_eq!(queue.writers().count, 111);
        drop((more, flood, held));
        assert!(poll(&mut other).is_ready(), "the lock passes over those that have gone");
        drop(other);
        assert!(!queue.has_waiting() && queue.is_idle() && queue.writers().waiting.is_empty());
    }

    #[tokio::test]
    async fn a_site_with_many_networks_has_one_turn() {
        let (queue, held) = locked().await;
        let mut site: Vec<_> =
            (0..9).map(|net| wait(&queue, user(&format!("2001:db8:1:{net:x}00::1")))).collect();
        let mut other = wait(&queue, user("2001:db8:2::1"));
        drop(held);
        drop(poll(&mut site[0]));
        assert!(poll(&mut other).is_ready());
    }
}
