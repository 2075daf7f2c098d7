//! The task that calls GetKeys and WatchRevocations.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::follower::Follower;
use crate::client::{Error, Pool, Source};
use crate::error_code::ErrorCode;
use crate::limits;
use crate::table::{GetKeys, Keys, Revocations, WatchRevocations};

/// Time after the waiting time of a WatchRevocations in which one of the nodes must answer.
const WATCH_TIMEOUT: Duration = Duration::from_secs(2);
/// Time after the waiting time for which a node that answers late is still not slow, in addition to
/// that of the pool. Another node answers from the start, which may be much.
const LATE: Duration = Duration::from_millis(100);
/// Time limit of GetKeys.
const KEYS_TIMEOUT: Duration = Duration::from_secs(5);
/// Shortest time between two calls of GetKeys because of tokens that do not fit the last answer.
const OUTDATED_INTERVAL: Duration = Duration::from_secs(10);
/// Shortest time between two calls of GetKeys because another node, or another run of it, is
/// followed.
const MOVED_INTERVAL: Duration = Duration::from_secs(1);
/// Shortest and longest wait after a failed call.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// Shortest time between two requests if the first brought nothing, so that a server that does not
/// wait is not asked in a busy loop.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

type Answer<R> = Pin<Box<dyn Future<Output = Result<(R, Source), Error>> + Send>>;

/// State that the task shares with the handles of a verifier.
#[derive(Default)]
pub(super) struct Progress {
    /// Notified after every answer.
    pub(super) changed: Notify,
    /// Errors of the last GetKeys and of the last WatchRevocations.
    errors: Mutex<[Option<String>; 2]>,
}

impl Progress {
    /// Returns the error of the last call for keys or revocations, if one of them failed.
    pub(super) fn last_error(&self) -> Option<String> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().next().cloned()
    }

    fn keys(&self, error: Option<String>) {
        let [keys, _] = &mut *self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *keys = error;
        self.changed.notify_waiters();
    }

    fn watch(&self, error: Option<String>) {
        let [_, watch] = &mut *self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *watch = error;
        self.changed.notify_waiters();
    }
}

/// The calls of one verifier: at most one GetKeys and one WatchRevocations at a time.
pub(super) struct Task {
    follower: Follower,
    pool: Pool,
    progress: Arc<Progress>,
    /// Time of the next GetKeys; `None` while one is in flight that was not yet answered.
    keys_due: Option<Instant>,
    /// Time of the last GetKeys.
    keys_asked: Instant,
    /// Source of the current keys.
    keys_from: Option<Source>,
    /// Time of the last GetKeys because of a token that does not fit the last answer; may be in the
    /// future.
    outdated_at: Option<Instant>,
    keys_failures: u32,
    watch_failures: u32,
    /// Source of the last revocations, unless a call has failed since. Its node is asked again.
    followed: Option<Source>,
    /// Wait before the next WatchRevocations.
    delay: Duration,
}

impl Task {
    pub(super) fn new(follower: Follower, pool: Pool, progress: Arc<Progress>) -> Self {
        Self {
            follower,
            pool,
            progress,
            keys_due: None,
            keys_asked: Instant::now(),
            keys_from: None,
            outdated_at: None,
            keys_failures: 0,
            watch_failures: 0,
            followed: None,
            delay: Duration::ZERO,
        }
    }

    /// Calls GetKeys and WatchRevocations until it is dropped.
    pub(super) async fn run(mut self) {
        let local = Arc::clone(&self.follower.local);
        let mut keys = Some(self.get_keys());
        let mut watch: Option<Answer<Revocations<'static>>> = None;
        let mut round = self.follower.round;
        loop {
            self.follower.expire(Instant::now());
            // The first entries need the lifetime that GetKeys states.
            if watch.is_none() && local.keys.are_loaded() {
                round = self.follower.round;
                watch = Some(self.watch());
            }
            let due = self.next_keys();
            tokio::select! {
                result = next(&mut watch) => {
                    watch = None;
                    self.revocations_answered(result, round);
                }
                result = next(&mut keys) => {
                    keys = None;
                    self.keys_answered(result);
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)),
                    if keys.is_none() && due.is_some() =>
                {
                    self.keys_due = None;
                    keys = Some(self.get_keys());
                }
                () = local.keys_outdated.notified(), if keys.is_none() => self.keys_are_outdated(),
            }
        }
    }

    fn revocations_answered(
        &mut self,
        result: Result<(Revocations<'static>, Source), Error>,
        round: u32,
    ) {
        let received = Instant::now();
        let error = match result {
            Ok((answer, source)) => {
                let applied =
                    self.follower.apply_revocations(answer, round, (source.sent, received));
                let took = received.saturating_duration_since(source.sent);
                let is_idle = !applied.brought_entries && took < MIN_INTERVAL;
                self.delay = if is_idle { MIN_INTERVAL } else { Duration::ZERO };
                self.watch_failures = 0;
                if applied.key_revoked {
                    self.keys_due = Some(received);
                }
                self.followed = Some(source);
                None
            }
            Err(error) => {
                // Nothing is wrong with a server that shuts down: the next attempt connects to
                // another one, or to the same one again.
                let is_drain = error.code() == Some(ErrorCode::SHUTTING_DOWN);
                let delay = backoff(&mut self.watch_failures);
                let is_first = is_drain && self.watch_failures == 1;
                self.followed = None;
                self.delay = if is_first { Duration::ZERO } else { delay };
                Some(error.to_string())
            }
        };
        self.progress.watch(error);
    }

    fn keys_answered(&mut self, result: Result<(Keys<'static>, Source), Error>) {
        let now = Instant::now();
        if result.as_ref().is_err_and(|error| error.code() == Some(ErrorCode::NOT_PERMITTED)) {
            self.follower.apply_not_permitted();
        }
        let result = result.map_err(|error| error.to_string()).and_then(|(answer, source)| {
            let applied = self.follower.apply_keys(&answer, (source.sent, now));
            self.keys_from = Some(source);
            applied.ok_or_else(|| "the reply to GetKeys contains no JWK Set".to_owned())
        });
        let wait = match &result {
            Ok(refresh_after) => {
                self.keys_failures = 0;
                *refresh_after
            }
            Err(_) => backoff(&mut self.keys_failures),
        };
        // A key that was revoked in the meantime has made the next call due.
        self.keys_due = Some(self.keys_due.map_or(now + wait, |due| due.min(now + wait)));
        self.progress.keys(result.err());
    }

    /// Returns the time of the next GetKeys. It is due at once if the last revocations came over
    /// another connection than the keys: another node, or the same one after a restart, may have
    /// other keys.
    fn next_keys(&self) -> Option<Instant> {
        let has_moved = match (&self.followed, &self.keys_from) {
            (Some(followed), Some(keys)) => !followed.is_same(keys),
            _ => false,
        };
        let moved_due = has_moved.then(|| self.keys_asked + MOVED_INTERVAL);
        self.keys_due.into_iter().chain(moved_due).min()
    }

    fn keys_are_outdated(&mut self) {
        let now = Instant::now();
        if self.outdated_at.is_some_and(|at| at > now) {
            return;
        }
        let due = self.outdated_at.map_or(now, |last| now.max(last + OUTDATED_INTERVAL));
        self.outdated_at = Some(due);
        self.keys_due = Some(self.keys_due.map_or(due, |other| other.min(due)));
    }

    /// Starts a GetKeys.
    fn get_keys(&mut self) -> Answer<Keys<'static>> {
        self.keys_asked = Instant::now();
        let (pool, followed) = (self.pool.clone(), self.followed.clone());
        Box::pin(async move {
            pool.long_poll(&GetKeys {}, Duration::ZERO, KEYS_TIMEOUT, followed.as_ref()).await
        })
    }

    /// Starts a WatchRevocations, after `self.delay`.
    fn watch(&mut self) -> Answer<Revocations<'static>> {
        let config = &self.follower.local.config;
        let wait = config.wait.min(Duration::from_millis(limits::MAX_WAIT_MS.into()));
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(limits::MAX_WAIT_MS);
        let cursor = self.follower.cursor.clone().into();
        let request = WatchRevocations { cursor, wait_ms };
        let last = self.followed.clone().or_else(|| self.keys_from.clone());
        let (pool, delay) = (self.pool.clone(), self.delay);
        Box::pin(async move {
            if !delay.is_zero() {
                sleep(delay).await;
            }
            pool.long_poll(&request, wait + LATE, wait + WATCH_TIMEOUT, last.as_ref()).await
        })
    }
}

/// Waits for the answer of a call, or forever if there is none.
async fn next<R>(call: &mut Option<Answer<R>>) -> Result<(R, Source), Error> {
    match call {
        Some(call) => call.await,
        None => std::future::pending().await,
    }
}

/// Returns the time to wait after a failed call, which doubles with every further failure.
fn backoff(failures: &mut u32) -> Duration {
    let delay = BACKOFF.0.saturating_mul(2_u32.saturating_pow(*failures)).min(BACKOFF.1);
    *failures = failures.saturating_add(1);
    delay
}
