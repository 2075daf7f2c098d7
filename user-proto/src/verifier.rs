//! Checks access tokens without a call for each token, and still notices a revocation within a
//! second.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use user_proto::client::PoolConfig;
//! use user_proto::verifier::{Verifier, VerifierConfig, VerifyError};
//!
//! let nodes = ["127.0.0.1:3001".to_owned()];
//! let verifier = Verifier::connect(&nodes, PoolConfig::default(), VerifierConfig::default())?;
//! match verifier.verify("eyJ0eXAi").await {
//!     Ok(verified) => println!("{}", verified.user_id),
//!     Err(VerifyError::Unavailable) => println!("answer 503"),
//!     Err(error) => println!("answer 401: {error}"),
//! }
//! # Ok(()) }
//! ```
//!
//! A [`Verifier`] follows the revocations of the service in a task, as section 10 of PROTOCOL.md
//! describes. While its keys and revocations are complete and not older than
//! [`VerifierConfig::age_limit`], it checks tokens in memory. Otherwise, and with a service that
//! signs tokens with HS256, the same call asks the service. If that fails too, or the service's own
//! knowledge is older than the limit, the result is [`VerifyError::Unavailable`], never `Invalid`,
//! and never a valid token. With HS256, the service alone decides how old its knowledge may be
//! (STALE_LIMIT).
//!
//! # Clocks
//!
//! The age of the revocations is measured by the monotonic clock of the operating system. On Linux,
//! that clock does not count the time for which the machine is suspended: after that, the verifier
//! takes its revocations for younger than they are, until the next answer arrives or the age limit
//! has passed. It counts the time for which the process is stopped. Tokens expire by the time of
//! the service, which its answers contain; the wall clock of this machine is not used.

mod ask;
mod cache;
mod config;
mod counters;
mod ed25519;
mod follower;
mod hash;
mod keys;
mod local;
mod revocations;
mod task;
mod time;
mod token;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::client::{Error, Pool, PoolConfig};
use crate::table::Common;
use follower::Follower;
use local::Local;
use task::{Progress, Task};

pub use config::VerifierConfig;
pub use verdict::{NotVerified, Status, Verified, VerifyError};

/// Checks access tokens in memory. Cloning it is cheap, and clones share everything. The task that
/// follows the service ends with the last clone.
#[derive(Clone)]
pub struct Verifier {
    inner: Arc<Inner>,
}

struct Inner {
    local: Arc<Local>,
    pool: Pool,
    /// `true` if the pool belongs to this verifier.
    owns_pool: bool,
    asking: Semaphore,
    progress: Arc<Progress>,
    task: AbortHandle,
}

impl Verifier {
    /// Creates a verifier with connections of its own to the nodes at `addrs` (`host:port` each).
    /// Must be called in a tokio runtime.
    ///
    /// # Errors
    /// [`Error::PlaintextRefused`] if a connection would cross a network in plaintext and
    /// [`Config::allow_plaintext`](crate::client::Config::allow_plaintext) is not set: whoever can
    /// replace the keys can forge tokens.
    pub fn connect(
        addrs: &[String],
        pool: PoolConfig,
        config: VerifierConfig,
    ) -> Result<Self, Error> {
        Self::start(Pool::start(addrs, pool), true, config)
    }

    /// Creates a verifier that uses the connections of `pool`. A server answers one watch per
    /// connection, so a pool should have one verifier at most. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// See [`connect`](Self::connect).
    pub fn with_pool(pool: Pool, config: VerifierConfig) -> Result<Self, Error> {
        Self::start(pool, false, config)
    }

    fn start(pool: Pool, owns_pool: bool, config: VerifierConfig) -> Result<Self, Error> {
        if pool.refuses_secrets() {
            return Err(Error::PlaintextRefused);
        }
        let asking = Semaphore::new(config.max_asking.clamp(1, Semaphore::MAX_PERMITS));
        let local = Arc::new(Local::new(config));
        let progress = Arc::new(Progress::default());
        let follower = Follower::new(Arc::clone(&local));
        let task = Task::new(follower, pool.clone(), Arc::clone(&progress));
        let task = tokio::spawn(task.run()).abort_handle();
        let inner = Inner { local, pool, owns_pool, asking, progress, task };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Checks a token: in memory if possible, otherwise by asking the service.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub async fn verify(&self, token: impl AsRef<[u8]>) -> Result<Verified, VerifyError> {
        self.verify_with(token, Common::default()).await.map_err(|error| error.reason)
    }

    /// Checks a token like [`verify`](Self::verify). If the service is asked, it gets the address
    /// of the end user, the trace and the deadline of `common`. The deadline is
    /// [`VerifierConfig::ask_timeout`] at most.
    ///
    /// # Errors
    /// See [`VerifyError`]. [`NotVerified`] also contains the error of the service.
    pub async fn verify_with(
        &self,
        token: impl AsRef<[u8]>,
        common: Common<'_>,
    ) -> Result<Verified, NotVerified> {
        let token = token.as_ref();
        match self.inner.local.check(token) {
            Ok(verdict) => verdict.map_err(NotVerified::from),
            Err(_) => self.inner.ask(token, common).await,
        }
    }

    /// Checks a token in memory. Returns `None` if the service must be asked, with
    /// [`verify`](Self::verify) or [`ask`](Self::ask). Never waits; allocates nothing for a token
    /// that is in the cache.
    #[must_use]
    pub fn verify_local(&self, token: impl AsRef<[u8]>) -> Option<Result<Verified, VerifyError>> {
        self.inner.local.check(token.as_ref()).ok()
    }

    /// Asks the service about a token for which [`verify_local`](Self::verify_local) has no
    /// verdict. A token that it accepts is refused all the same if this verifier knows better: the
    /// node that answers may not know a revocation yet.
    ///
    /// # Errors
    /// See [`verify_with`](Self::verify_with).
    pub async fn ask(
        &self,
        token: impl AsRef<[u8]>,
        common: Common<'_>,
    ) -> Result<Verified, NotVerified> {
        self.inner.ask(token.as_ref(), common).await
    }

    /// Returns the public keys of the service as a JWK Set (RFC 7517) in JSON, without a call.
    /// Returns `None` while they are not known, or while the revocations are over the age limit, so
    /// that a key may have been retired.
    #[must_use]
    pub fn jwks(&self) -> Option<Arc<str>> {
        self.inner.local.published_keys()
    }

    /// Returns `true` if tokens are checked in memory.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.inner.local.is_ready()
    }

    /// Waits until the keys and all revocations have arrived, or `limit` has passed. Returns `true`
    /// in the first case. A service that signs tokens with HS256 has no public keys, so the
    /// verifier is not [`ready`](Self::ready) even then.
    pub async fn wait_until_complete(&self, limit: Duration) -> bool {
        let complete = async {
            loop {
                let changed = self.inner.progress.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.inner.local.is_complete() {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(limit, complete).await.is_ok()
    }

    /// Returns the state and the counters.
    #[must_use]
    pub fn status(&self) -> Status {
        let local = &self.inner.local;
        Status {
            ready: local.is_ready(),
            age: local.age(),
            keys: local.keys.current().len(),
            revocations: local.revocations.len(),
            cached_tokens: local.cache.len(),
            last_error: self.inner.progress.last_error(),
            ..local.counters.status()
        }
    }

    /// Ends the task of the verifier, and closes the connections that it has made itself. Further
    /// checks have the result `Unavailable` once the revocations are over the age limit.
    pub async fn close(&self) {
        self.inner.task.abort();
        if self.inner.owns_pool {
            self.inner.pool.close().await;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("status", &self.status()).finish_non_exhaustive()
    }
}
