//! Ctrl-C during a load test: the first one ends the run early, so that its results are printed,
//! and the second one ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Exit code of shells for a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Flag that is set once the load test has been interrupted. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<Shared>);

#[derive(Default)]
struct Shared {
    requested: AtomicBool,
    notify: Notify,
}

impl Interrupt {
    /// Returns a flag that Ctrl-C sets from now on.
    pub(crate) fn on_ctrl_c() -> Self {
        let interrupt = Self::default();
        let flag = interrupt.clone();
        // The runtime of the command is not running while the threads of a run are.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                if tokio::signal::ctrl_c().await.is_ok() {
                    flag.set();
                }
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(INTERRUPTED);
                }
            });
        });
        interrupt
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.requested.load(Ordering::SeqCst)
    }

    /// Waits until the flag is set.
    pub(crate) async fn wait(&self) {
        let notified = self.0.notify.notified();
        tokio::pin!(notified);
        // Registered before the flag is read, so that no notification is lost in between.
        notified.as_mut().enable();
        if !self.is_set() {
            notified.await;
        }
    }

    fn set(&self) {
        self.0.requested.store(true, Ordering::SeqCst);
        self.0.notify.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_waiter_is_notified_before_and_after_the_flag_is_set() {
        let interrupt = Interrupt::default();
        assert!(!interrupt.is_set());
        let waiting = tokio::spawn({
            let interrupt = interrupt.clone();
            async move { interrupt.wait().await }
        });
        tokio::task::yield_now().await;
        interrupt.set();
        waiting.await.unwrap();
        interrupt.wait().await;
        assert!(interrupt.is_set());
    }
}
