//! The combination of all storage ports, which a database implements.

use super::{
    Accounts, AuditTrail, BudgetCounters, Codes, ConnectionPools, Housekeeping, IdempotencyKeys,
    Inspection, KeyRecords, Operators, Outbox, OutboxDepth, RevocationLog, Sessions,
};

macro_rules! store {
    ($first:ident $(+ $port:ident)*) => {
        /// A database that implements every port of storage.
        pub trait Store: $first $(+ $port)* {}
        impl<T: $first $(+ $port)*> Store for T {}
    };
}

store! {
    Accounts + Codes + Sessions + RevocationLog + BudgetCounters + Outbox + OutboxDepth
    + AuditTrail + Housekeeping + Inspection + Operators + KeyRecords + IdempotencyKeys
    + ConnectionPools
}
