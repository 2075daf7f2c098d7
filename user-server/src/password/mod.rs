//! Password hashing: Argon2id on a bounded pool of separate threads, so that hashing never blocks
//! network I/O. Bcrypt is supported for imported hashes.

mod bcrypt;
mod default_engine;
mod hash_memory;
mod hash_pool;
mod measure;
mod phc;
mod policy;
#[cfg(any(test, feature = "argon2-rust"))]
mod second_engine;
mod stored;
mod timings;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::{Fault, Password, Refusal, RequestContext, UseCaseResult, hash_class};
pub use hash_memory::HashMemory;
pub use hash_pool::{HashPool, HashPoolSize};
pub use measure::{Measured, measure};
pub use phc::HashCost;
pub use stored::{accept, is_usable};
use timings::HashTimings;

/// Timeout of the hash by which the duration of a hash class is measured, including its time in the
/// queue.
const MEASURE_TIMEOUT: Duration = Duration::from_secs(30);

/// Service that hashes and verifies passwords.
#[derive(Clone)]
pub struct Passwords {
    hash_pool: Arc<HashPool>,
    cost: HashCost,
    /// Hash that matches no password. The password of an unknown user is compared with it, so that
    /// the reply takes equally long.
    decoy: Arc<str>,
    timings: Arc<HashTimings>,
}

/// Result of [`Passwords::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordVerdict {
    pub correct: bool,
    /// New hash of the correct password with the configured cost if the stored hash is weaker,
    /// otherwise `None`.
    pub stronger: Option<String>,
}

/// Hashes a new password on the current thread, for a command outside of the server. Returns the
/// PHC string. `words` are easily guessed words, such as the username.
///
/// # Errors
/// `InvalidPassword` if the password is too common or too easy to guess.
pub fn hash_new(password: &Password, words: &[String], cost: HashCost) -> UseCaseResult<String> {
    if policy::is_common(password, words) {
        let reason = "it is too common or too easy to guess";
        return Err(Refusal::InvalidPassword { field: "password", reason }.into());
    }
    Ok(phc::hash(password, cost, &mut HashMemory::new())?)
}

/// Returns a random PHC string that matches no known password, for an account without a password.
///
/// # Errors
/// If the system provides no random bytes.
pub fn unusable(cost: HashCost) -> Result<String, Fault> {
    phc::decoy(cost)
}

impl Passwords {
    /// Creates the password service. New hashes have the cost `cost`, and all hashes are computed
    /// in `hash_pool`.
    ///
    /// # Errors
    /// If the system provides no random bytes.
    pub fn new(hash_pool: Arc<HashPool>, cost: HashCost) -> Result<Self, Fault> {
        let decoy = phc::decoy(cost)?;
        let timings = Arc::new(HashTimings::new(hash_class(&decoy)));
        Ok(Self { hash_pool, cost, decoy: decoy.into(), timings })
    }

    /// Sets the hash classes (algorithm and cost) that occur in the database, and measures the
    /// duration of those that have not been measured yet, so that a refused login can be padded to
    /// the slowest.
    pub async fn learn(&self, classes: Vec<String>) {
        for class in self.timings.set_stored(classes) {
            let Ok(hash) = stored::of_class(&class) else { continue };
            let context = RequestContext {
                network: None,
                deadline: Instant::now() + MEASURE_TIMEOUT,
                gone: CancellationToken::new(),
                claim: None,
            };
            // If the pool is busy, the class is measured at the next login with such a hash, or
            // when the classes are set again.
            let _ = self.compare(Password::presented(b"nobody"), hash.into(), &context).await;
        }
    }

    /// Hashes a new password and returns the PHC string. `words` are easily guessed words, such as
    /// the username. `field` names the field of the request for an error.
    ///
    /// # Errors
    /// `InvalidPassword` if the password is too common or too easy to guess; those of
    /// [`HashPool::run`].
    pub async fn hash(
        &self,
        password: Password,
        field: &'static str,
        words: Vec<String>,
        context: &RequestContext,
    ) -> UseCaseResult<String> {
        let cost = self.cost;
        self.hash_pool
            .run(context, move |memory| {
                if policy::is_common(&password, &words) {
                    return Err(Refusal::InvalidPassword {
                        field,
                        reason: "it is too common or too easy to guess",
                    }
                    .into());
                }
                Ok(phc::hash(&password, cost, memory)?)
            })
            .await?
    }

    /// Compares a password with a stored hash. If there is no password or no hash, compares with a
    /// decoy, which fails. If the password is not correct, returns only after the time that the
    /// slowest stored hash class takes, so that the duration does not reveal whether the account
    /// exists.
    ///
    /// # Errors
    /// Those of [`HashPool::run`].
    pub async fn verify(
        &self,
        password: Option<Password>,
        stored: Option<&str>,
        context: &RequestContext,
    ) -> UseCaseResult<PasswordVerdict> {
        let known = stored.is_some() && password.is_some();
        let stored: Arc<str> = stored.map_or_else(|| self.decoy.clone(), Arc::from);
        let password = if known { password } else { Password::presented(b"nobody") };
        let (began, verdict) = self.compare(password, stored, context).await?;
        if known && verdict.correct {
            return Ok(verdict);
        }
        if let Some(slowest) = self.timings.slowest() {
            tokio::time::sleep_until(began + slowest).await;
        }
        Ok(PasswordVerdict { correct: false, stronger: None })
    }

    /// Compares a password with a stored hash in the hash pool. Returns the time at which the
    /// comparison started, and the verdict.
    async fn compare(
        &self,
        password: Option<Password>,
        stored: Arc<str>,
        context: &RequestContext,
    ) -> UseCaseResult<(Instant, PasswordVerdict)> {
        let (cost, timings) = (self.cost, self.timings.clone());
        self.hash_pool
            .run(context, move |memory| {
                let password = password.ok_or_else(|| Fault::internal("no password"))?;
                let began = Instant::now();
                let correct = stored::verify(&password, &stored, memory)?;
                timings.record(hash_class(&stored), began.elapsed());
                let weaker = correct && stored::is_weaker(&stored, cost);
                let stronger =
                    if weaker { Some(phc::hash(&password, cost, memory)?) } else { None };
                Ok((began, PasswordVerdict { correct, stronger }))
            })
            .await?
    }
}
