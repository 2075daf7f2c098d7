//! The async runtime of a command. Ctrl-C ends a wait instead of the process, so that the terminal
//! is restored and the connection is closed.

use tokio::runtime::Builder;

use crate::failure::Failure;

/// A single-threaded async runtime in which Ctrl-C ends a wait.
pub(crate) struct Runtime(tokio::runtime::Runtime);

impl Runtime {
    pub(crate) fn new() -> Result<Self, Failure> {
        Builder::new_current_thread().enable_all().build().map(Self).map_err(|error| {
            Failure::usage(
                format!("cannot start the async runtime: {error}"),
                "Check the limits on open files and memory.",
            )
        })
    }

    /// Runs a future to completion.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] on Ctrl-C.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> Result<T, Failure> {
        self.0.block_on(async {
            tokio::select! {
                result = future => Ok(result),
                _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
            }
        })
    }

    /// Runs a blocking function, such as a read from stdin, on another thread and waits for its
    /// result.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] on Ctrl-C.
    pub(crate) fn run_blocking<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let result = self.run(async { tokio::task::spawn_blocking(function).await })?;
        result.map_err(|error| {
            Failure::usage(
                format!("internal error: {error}"),
                "This is a bug in user-cli; please report it.",
            )
        })
    }

    /// Prevents Ctrl-C from ending the process from now on, also while no future is running.
    pub(crate) fn catch_interrupts(&self) {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let _guard = self.0.enter();
            // Registering is enough. If it fails, Ctrl-C ends the process as before.
            let _ = signal(SignalKind::interrupt());
        }
    }

    /// Drops the runtime without waiting for blocking work, such as a name lookup.
    pub(crate) fn shut_down(self) {
        self.0.shutdown_background();
    }
}
