//! Locks that make the login attempts of one network at one login wait for each other on this node.
//! An attempt is charged as a failure before its password is checked, so without them, correct
//! logins in parallel would be refused for the charges of each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::domain::Refusal;

/// The largest number of attempts that wait for the same lock.
const MAX_WAITING: usize = 128;
/// The time after which a client may try again if there are more.
const RETRY_AFTER: Duration = Duration::from_secs(1);

type LockKey = [u8; 32];
type Lock = Arc<tokio::sync::Mutex<()>>;

/// The locks that are held or waited for.
#[derive(Default)]
pub(super) struct AttemptLocks(Arc<Mutex<HashMap<LockKey, (Lock, usize)>>>);

/// A held lock, which is released when this is dropped.
#[derive(Debug)]
pub(super) struct AttemptLock {
    _held: OwnedMutexGuard<()>,
    _user: LockUser,
}

/// An attempt that holds a lock or waits for it.
#[derive(Debug)]
struct LockUser {
    locks: Arc<Mutex<HashMap<LockKey, (Lock, usize)>>>,
    key: LockKey,
}

impl AttemptLocks {
    /// Waits for the lock of `key`.
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
