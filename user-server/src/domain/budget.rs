//! Counters of budgets, and the port that adjusts them atomically.

use std::sync::Arc;
use std::time::Duration;

use super::{AuditRecord, Timestamp};

/// Counter of a budget. One that is not stored has all fields zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetCounter {
    /// The number of uses.
    pub count: u32,
    /// The start of the period that is counted.
    pub since: Timestamp,
    /// The time before which no further use is allowed.
    pub blocked_until: Timestamp,
    /// The time at which the counter may be deleted.
    pub expires_at: Timestamp,
}

impl BudgetCounter {
    pub const ZERO: Self = Self {
        count: 0,
        since: Timestamp(0),
        blocked_until: Timestamp(0),
        expires_at: Timestamp(0),
    };
}

/// Result of a decision that allows an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// The operation is allowed.
    Full,
    /// The attempt is allowed, and was charged to the reserve of a known network.
    Reserve,
    /// The attempt is allowed, and is the last one of its budget.
    Last,
    /// Only the first guess at a code is allowed, since the network has used up its budget; another
    /// is possible after this time.
    FirstGuess(Duration),
}

/// Decision about counters: changes them and allows an operation, or refuses it with the time to
/// wait. Changes that it makes to the counters are stored in either case.
pub type Decide = Arc<dyn Fn(&mut [BudgetCounter]) -> Result<Allowance, Duration> + Send + Sync>;

/// Keys of counters, and the decision about them, which gets the counters in the order of the keys.
/// It can be repeated, because its transaction can.
#[derive(Clone)]
pub struct Adjustment {
    /// The keys, without duplicates.
    pub keys: Vec<[u8; 32]>,
    pub decide: Decide,
}

impl Adjustment {
    pub fn new(
        keys: impl Into<Vec<[u8; 32]>>,
        decide: impl Fn(&mut [BudgetCounter]) -> Result<Allowance, Duration> + Send + Sync + 'static,
    ) -> Self {
        Self { keys: keys.into(), decide: Arc::new(decide) }
    }

    /// Returns an adjustment that changes nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new([], |_| Ok(Allowance::Full))
    }
}

port! {
    ($)
    /// Counters of budgets, for the throttle.
    BudgetCounters, budget_counters_port {
        /// Adjusts counters as if no other request did at the same time. Returns the decision;
        /// where it is a refusal, `refusal` is recorded.
        fn adjust(adjustment: Adjustment, refusal: Option<&AuditRecord>) -> Result<Allowance, Duration>;
    }
}
