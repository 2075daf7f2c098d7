//! Counters of rate limits (budgets), and the port that adjusts them atomically.

use std::sync::Arc;
use std::time::Duration;

use super::{AuditRecord, Timestamp};

/// Usage counter of a budget. A counter that is not stored has all fields zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetCounter {
    /// Number of uses in the current period.
    pub count: u32,
    /// Start of the current period.
    pub since: Timestamp,
    /// Time before which no further use is allowed.
    pub blocked_until: Timestamp,
    /// Time at which the counter may be deleted.
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

/// Key of a counter, and the value to store.
pub type StoredCounter = ([u8; 32], BudgetCounter);

/// Kind of permission that the budgets gave for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// The operation is allowed.
    Full,
    /// The login attempt is allowed, and was charged to the extra budget of a network from which
    /// the account has logged in before.
    Reserve,
    /// The operation is allowed, and has used up the first of its budgets.
    Last,
    /// Only the first guess at a code is allowed, since the network has used up its budget. Any
    /// guess is allowed after this time.
    FirstGuess(Duration),
}

/// Function that changes counters and allows an operation, or refuses it with the time to wait. Its
/// changes to the counters are stored in either case.
pub type Decide = Arc<dyn Fn(&mut [BudgetCounter]) -> Result<Allowance, Duration> + Send + Sync>;

/// Keys of counters, and the function that decides about them. The function gets the counters in
/// the order of the keys. It may run more than once, because its transaction may be repeated.
#[derive(Clone)]
pub struct Adjustment {
    /// Keys of the counters, without duplicates.
    pub keys: Vec<[u8; 32]>,
    /// Values of the counters that were read before, or `None` to read them now. The counters are
    /// changed only if they still have these values; otherwise they are read again.
    pub read: Option<Vec<BudgetCounter>>,
    pub decide: Decide,
}

/// Decision about an adjustment.
#[derive(Debug, Clone)]
pub struct Adjusted {
    pub verdict: Result<Allowance, Duration>,
    /// Values of further counters afterwards, or `None` if they were not read.
    pub read: Option<Vec<BudgetCounter>>,
}

impl Adjustment {
    pub fn new(
        keys: impl Into<Vec<[u8; 32]>>,
        decide: impl Fn(&mut [BudgetCounter]) -> Result<Allowance, Duration> + Send + Sync + 'static,
    ) -> Self {
        Self { keys: keys.into(), read: None, decide: Arc::new(decide) }
    }

    /// Sets the values of the counters that were read before.
    #[must_use]
    pub fn after_reading(self, read: Option<Vec<BudgetCounter>>) -> Self {
        Self { read, ..self }
    }

    /// Creates an adjustment that reads no counter and always allows.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new([], |_| Ok(Allowance::Full))
    }
}

port! {
    ($)
    /// Counters of budgets, for the `throttle` module.
    BudgetCounters, budget_counters_port {
        /// Adjusts counters atomically, and returns the decision. If it is a refusal, `refusal` is
        /// recorded in the audit log.
        fn adjust(adjustment: Adjustment, refusal: Option<&AuditRecord>) -> Result<Allowance, Duration>;
        /// Like `adjust`, and also reads the counters with the keys `then` afterwards, if that
        /// costs nothing.
        fn adjust_and_read(adjustment: Adjustment, refusal: Option<&AuditRecord>, then: &[[u8; 32]]) -> Adjusted;
    }
}
