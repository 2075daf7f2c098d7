//! Passwords: Argon2id on a bounded pool of separate threads, so that hashing never blocks network
//! I/O; bcrypt for imported hashes.

mod bcrypt;
mod hash_pool;
mod measure;
mod phc;
mod policy;
mod stored;
mod timings;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::{Fault, Password, Refusal, RequestContext, UseCaseResult, hash_class};
pub use hash_pool::{HashPool, HashPoolSize};
pub use measure::{Measured, measure};
pub use phc::HashCost;
pub use stored::{accept, is_usable};
use timings::HashTimings;

/// Deadline of the hash by which a class of hashes is measured, including its time in the queue.
const MEASURE_TIMEOUT: Duration = Duration::from_secs(30);

/// The password service.
#[derive(Clone)]
pub struct Passwords {
    hash_pool: Arc<HashPool>,
    cost: HashCost,
    /// A hash that matches no password, with which the password of an unknown user is compared.
    decoy: Arc<str>,
    timings: Arc<HashTimings>,
}

/// Result of [`Passwords::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordVerdict {
    pub correct: bool,
    /// A hash of the correct password with the configured cost, if the stored hash is weaker.
    pub stronger: Option<String>,
}

/// Hashes a new password on this thread, outside of a server. `words` are words of the user, that
/// the password must not be built from.
///
/// # Errors
/// `InvalidPassword` if the password is too common.
pub fn hash_new(password: &Password, words: &[String], cost: HashCost) -> UseCaseResult<String> {
    if policy::is_common(password, words) {
        let reason = "it is too common or too easy to guess";
        return Err(Refusal::InvalidPassword { field: "password", reason }.into());
    }
    Ok(phc::hash(password, cost, &mut Vec::new())?)
}

/// Returns a hash that no known password has.
///
/// # Errors
/// If the system provides no random bytes.
pub fn unusable(cost: HashCost) -> Result<String, Fault> {
    phc::decoy(cost)
}

impl Passwords {
    /// Creates the password service, which computes hashes of this cost on this pool.
    ///
    /// # Errors
    /// If the system provides no random bytes.
    pub fn new(hash_pool: Arc<HashPool>, cost: HashCost) -> Result<Self, Fault> {
        let decoy = phc::decoy(cost)?;
        let timings = Arc::new(HashTimings::new(hash_class(&decoy)));
        Ok(Self { hash_pool, cost, decoy: decoy.into(), timings })
    }

    /// Sets the classes of hashes (algorithm and cost) that are stored, and measures those that
    /// have not been measured yet, so that a refused login can be padded to the slowest of them.
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

    /// Hashes a new password. `words` are words of the user, such as the username, that the
    /// password must not be built from.
    ///
    /// # Errors
    /// `InvalidPassword` if the password is too common; those of [`HashPool::run`].
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

    /// Compares a password with a stored hash, or with a decoy if there is no password or no hash.
    /// If the password is not correct, returns only after the time that a comparison with the
    /// slowest stored class of hashes takes, so that the time reveals nothing.
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

    /// Compares a password with a stored hash. Returns the start time and the verdict.
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
