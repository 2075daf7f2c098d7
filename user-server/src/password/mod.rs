//! Passwords: Argon2id behind a bounded lane of threads of its own, so that no hash ever holds up the network.

mod lane;
mod phc;
mod policy;

use std::sync::Arc;

use crate::domain::{Caller, Fault, Outcome, Password, Refusal};
pub use lane::{Lane, LaneSize};
pub use phc::{HashCost, is_usable};

/// The password service.
#[derive(Clone)]
pub struct Passwords {
    lane: Arc<Lane>,
    cost: HashCost,
    /// What an unknown user's password is compared with.
    nobody: Arc<str>,
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
    /// Hashes of this cost, on this lane.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new(lane: Arc<Lane>, cost: HashCost) -> Result<Self, Fault> {
        let nobody = phc::nobody(cost)?.into();
        Ok(Self { lane, cost, nobody })
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// `InvalidPassword` where it is too common, for which `context` gives the words that are common to this user;
    /// `Busy` where the lane has no room in time.
    pub async fn hash(
        &self,
        password: Password,
        field: &'static str,
        context: Vec<String>,
        caller: &Caller,
    ) -> Outcome<String> {
        let cost = self.cost;
        self.lane
            .run(caller, move |memory| {
                if policy::is_common(&password, &context) {
                    return Err(
                        Refusal::InvalidPassword { field, reason: "it is one of the first that people try" }.into()
                    );
                }
                Ok(phc::hash(&password, cost, memory)?)
            })
            .await?
    }

    /// Compares a password with a stored hash; without one, with nobody's, which takes as long.
    ///
    /// # Errors
    /// `Busy` where the lane has no room in time.
    pub async fn verify(&self, password: Option<Password>, stored: Option<&str>, caller: &Caller) -> Outcome<Verdict> {
        let cost = self.cost;
        let known = stored.is_some() && password.is_some();
        let stored: Arc<str> = stored.map_or_else(|| self.nobody.clone(), Arc::from);
        self.lane
            .run(caller, move |memory| {
                let password = password
                    .or_else(|| Password::presented(b"nobody"))
                    .ok_or_else(|| Fault::internal("no password"))?;
                let right = phc::verify(&password, &stored, memory)? && known;
                let stronger = if right && phc::is_weaker(&stored, cost) {
                    Some(phc::hash(&password, cost, memory)?)
                } else {
                    None
                };
                Ok(Verdict { right, stronger })
            })
            .await?
    }
}
