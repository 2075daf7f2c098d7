//! Slots of requests in flight, with a limit that the server can change while they are in use.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// A semaphore with an adjustable number of permits.
pub(super) struct Slots {
    /// One permit for each request that may still be sent. Closed when the connection accepts no
    /// more requests.
    semaphore: Semaphore,
    limit: Mutex<Limit>,
}

#[derive(Clone, Copy)]
struct Limit {
    max: u32,
    /// Number of slots that are withheld when they are released, because the limit was lowered
    /// while they were in use.
    debt: u32,
}

impl Slots {
    pub(super) fn new(max: u32) -> Self {
        Self { semaphore: Semaphore::new(max as usize), limit: Mutex::new(Limit { max, debt: 0 }) }
    }

    /// Returns a free slot, or `None` if there is none at the moment.
    pub(super) fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.semaphore.try_acquire().ok()
    }

    /// Waits for a free slot. Returns `None` after [`Slots::close`].
    pub(super) async fn acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.semaphore.acquire().await.ok()
    }

    /// Frees a slot. The permit that [`Slots::acquire`] returned for it must have been forgotten.
    pub(super) fn release(&self) {
        let mut limit = self.lock();
        match limit.debt.checked_sub(1) {
            Some(less) => limit.debt = less,
            None => self.semaphore.add_permits(1),
        }
    }

    /// Sets the limit to `max`. Slots in use beyond a lower limit are withheld once they are
    /// released.
    pub(super) fn set_max(&self, max: u32) {
        let mut limit = self.lock();
        let before = std::mem::replace(&mut limit.max, max);
        if max > before {
            let more = max - before;
            let repaid = more.min(limit.debt);
            limit.debt -= repaid;
            self.semaphore.add_permits((more - repaid) as usize);
        } else {
            let fewer = before - max;
            let forgotten =
                u32::try_from(self.semaphore.forget_permits(fewer as usize)).unwrap_or(fewer);
            limit.debt += fewer.saturating_sub(forgotten);
        }
    }

    /// Returns the current limit.
    pub(super) fn max(&self) -> u32 {
        self.lock().max
    }

    /// Makes every wait for a slot return `None`.
    pub(super) fn close(&self) {
        self.semaphore.close();
    }

    fn lock(&self) -> MutexGuard<'_, Limit> {
        // No code that holds the lock can leave the limit inconsistent.
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn free_and_debt(&self) -> (usize, u32) {
        (self.semaphore.available_permits(), self.lock().debt)
    }

    #[cfg(test)]
    pub(super) fn take(&self, count: u32) {
        self.semaphore.try_acquire_many(count).map(|permits| permits.forget()).unwrap_or_default();
    }
}
