//! Passwords: Argon2id behind a bounded pool of threads of its own, so that no hash ever holds up
//! the network; bcrypt for those that others have made.

mod bcrypt;
mod hash_pool;
mod measure;
mod pace;
mod phc;
mod policy;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::{Fault, Password, Refusal, RequestContext, UseCaseResult, hash_class};
pub use hash_pool::{HashPool, HashPoolSize};
pub use measure::{Measured, measure};
use pace::Pace;
pub use phc::HashCost;
pub use stored::{accept, is_usable};

/// How long a class of hash may wait for its turn to be measured.
const MEASURE_TIMEOUT: Duration = Duration::from_secs(30);

/// The password service.
#[derive(Clone)]
pub struct Passwords {
    hash_pool: Arc<HashPool>,
    cost: HashCost,
    /// What an unknown user's password is compared with.
    nobody: Arc<str>,
    pace: Arc<Pace>,
}

/// What comparing a password gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is the right one.
    pub right: bool,
    /// A stronger hash of the right one, where the stored hash is weaker than today's settings.
    pub stronger: Option<String>,
}

impl Passwords {
    /// Hashes of this cost, on this hash_pool.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new(hash_pool: Arc<HashPool>, cost: HashCost) -> Result<Self, Fault> {
        let nobody = phc::nobody(cost)?;
        let pace = Arc::new(Pace::new(hash_class(&nobody)));
        Ok(Self { hash_pool, cost, nobody: nobody.into(), pace })
    }

    /// Learns which classes of hashes are stored. One that is new is measured once, so that a
    /// refused login can be held to its time from then on.
    pub async fn learn(&self, classes: Vec<String>) {
        for class in self.pace.store(classes) {
            let Ok(hash) = stored::of_class(&class) else { continue };
            let context = RequestContext {
                network: None,
                deadline: Instant::now() + MEASURE_TIMEOUT,
                gone: CancellationToken::new(),
                claim: None,
            };
            // Where the hash pool has no room, it is measured when somebody logs in with it, or at
            // the next round.
            let _ = self.compare(Password::presented(b"nobody"), hash.into(), &context).await;
        }
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// `InvalidPassword` where it is too common, for which `words` are the words that are
    /// common to this user; `Busy` where the hash pool has no room in time.
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
                        reason: "it is one of the first that people try",
                    }
                    .into());
                }
                Ok(phc::hash(&password, cost, memory)?)
            })
            .await?
    }

    /// Compares a password with a stored hash; without one, with nobody's. Where it is not the
    /// right one, the answer comes when the slowest class of hash that is stored would have been
    /// compared, whichever it was.
    ///
    /// # Errors
    /// `Busy` where the hash pool has no room in time.
    pub async fn verify(
        &self,
        password: Option<Password>,
        stored: Option<&str>,
        context: &RequestContext,
    ) -> UseCaseResult<Verdict> {
        let known = stored.is_some() && password.is_some();
        let stored: Arc<str> = stored.map_or_else(|| self.nobody.clone(), Arc::from);
        let password = if known { password } else { Password::presented(b"nobody") };
        let (began, verdict) = self.compare(password, stored, context).await?;
        if known && verdict.right {
            return Ok(verdict);
        }
        if let Some(usual) = self.pace.slowest() {
            tokio::time::sleep_until(began + usual).await;
        }
        Ok(Verdict { right: false, stronger: None })
    }

    /// When the comparison began, and what it gave.
    async fn compare(
        &self,
        password: Option<Password>,
        stored: Arc<str>,
        context: &RequestContext,
    ) -> UseCaseResult<(Instant, Verdict)> {
        let (cost, pace) = (self.cost, self.pace.clone());
        self.hash_pool
            .run(context, move |memory| {
                let password = password.ok_or_else(|| Fault::internal("no password"))?;
                let began = Instant::now();
                let right = stored::verify(&password, &stored, memory)?;
                pace.note(hash_class(&stored), began.elapsed());
                let weaker = right && stored::is_weaker(&stored, cost);
                let stronger =
                    if weaker { Some(phc::hash(&password, cost, memory)?) } else { None };
                Ok((began, Verdict { right, stronger }))
            })
            .await?
    }
}
