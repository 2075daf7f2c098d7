//! Locks that serialise, on this node, the login attempts from one network with one login
//! identifier, and the password attempts of one session. An attempt is counted as a failure before
//! its password is verified, so without the locks, correct parallel attempts would be refused
//! because of each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::domain::Refusal;

/// Maximum number of attempts that wait for the same lock.
const MAX_WAITING: usize = 128;
/// Time after which a client should retry if too many attempts wait for the same lock.
const RETRY_AFTER: Duration = Duration::from_secs(1);

type LockKey = [u8; 32];
type Lock = Arc<tokio::sync::Mutex<()>>;

/// Locks that are in use or waited for, by key. The number counts the attempts that use or wait for
/// the lock.
#[derive(Default)]
pub(super) struct AttemptLocks(Arc<Mutex<HashMap<LockKey, (Lock, usize)>>>);

/// Guard of a lock, which is released when the guard is dropped.
#[derive(Debug)]
pub(super) struct AttemptLock {
    _held: OwnedMutexGuard<()>,
    _user: LockUser,
}

/// Attempt that is counted as using a lock or waiting for it, until it is dropped.
#[derive(Debug)]
struct LockUser {
    locks: Arc<Mutex<HashMap<LockKey, (Lock, usize)>>>,
    key: LockKey,
}

impl AttemptLocks {
    /// Waits for the lock with the key `key`.
    ///
    /// # Errors
    /// [`Refusal::Busy`] if too many attempts wait for it, or the deadline passes.
    pub(super) async fn lock(
        &self,
        key: LockKey,
        deadline: Instant,
    ) -> Result<AttemptLock, Refusal> {
        let busy = Refusal::Busy { retry_after: RETRY_AFTER };
        let lock = {
            let mut locks = locked(&self.0);
            let (lock, users) = locks.entry(key).or_default();
            if *users > MAX_WAITING {
                return Err(busy);
            }
            *users += 1;
            lock.clone()
        };
        let user = LockUser { locks: self.0.clone(), key };
        let held = tokio::time::timeout_at(deadline, lock.lock_owned()).await.map_err(|_| busy)?;
        Ok(AttemptLock { _held: held, _user: user })
    }
}

impl Drop for LockUser {
    fn drop(&mut self) {
        let mut locks = locked(&self.locks);
        if let Some((_, users)) = locks.get_mut(&self.key) {
            *users -= 1;
            if *users == 0 {
                locks.remove(&self.key);
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn attempts_with_one_key_wait_for_each_other() {
        let locks = AttemptLocks::default();
        let first = locks.lock([1; 32], soon()).await.unwrap();
        assert!(locks.lock([2; 32], soon()).await.is_ok(), "another key");
        let passed = Instant::now();
        assert!(matches!(locks.lock([1; 32], passed).await, Err(Refusal::Busy { .. })));
        drop(first);
        assert!(locks.lock([1; 32], soon()).await.is_ok());
        assert!(locked(&locks.0).is_empty(), "released locks take no memory");
    }

    #[tokio::test]
    async fn the_number_of_waiting_attempts_is_bounded() {
        let locks = Arc::new(AttemptLocks::default());
        let first = locks.lock([1; 32], soon()).await.unwrap();
        let attempts = (0..1000).map(|_| {
            let locks = locks.clone();
            tokio::spawn(async move { locks.lock([1; 32], soon()).await.is_ok() })
        });
        let attempts: Vec<_> = attempts.collect();
        // All of them reach their wait.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        drop(first);
        let mut allowed = 0;
        for attempt in attempts {
            allowed += usize::from(attempt.await.unwrap());
        }
        assert_eq!(allowed, MAX_WAITING);
    }
}
