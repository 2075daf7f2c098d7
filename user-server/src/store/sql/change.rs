//! The transaction of a change. Committing it records the audit event and completes the
//! idempotency claim, so no port method can forget either.

use std::ops::{Deref, DerefMut};

use uuid::Uuid;

use super::tx::Tx;
use super::{SqlStore, audit, idempotency};
use crate::domain::{Change, Fault, Timestamp};

/// A transaction that makes one change.
pub(super) struct ChangeTx {
    tx: Tx,
    /// The change; the port method adds the values that only the transaction knows.
    pub(super) change: Change,
}

impl SqlStore {
    /// Begins the transaction of a change.
    pub(super) async fn begin(&self, change: Change) -> Result<ChangeTx, Fault> {
        Ok(ChangeTx { tx: self.pools.write().await?, change })
    }
}

impl ChangeTx {
    pub(super) fn at(&self) -> Timestamp {
        self.change.at()
    }

    /// Records the event, completes the claim, and commits.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        self.record().await?;
        self.tx.commit().await
    }

    /// Does the same, and erases what is personal in the audit entries of a deleted account, the
    /// entry of this change included.
    pub(super) async fn commit_erasing(mut self, user_id: Uuid) -> Result<(), Fault> {
        self.record().await?;
        audit::erase(&mut self.tx, user_id).await?;
        self.tx.commit().await
    }

    async fn record(&mut self) -> Result<(), Fault> {
        audit::record(&mut self.tx, self.change.context(), self.change.event()).await?;
        match self.change.context().claim {
            Some(claim) => idempotency::complete(&mut self.tx, claim, self.change.outcome()).await,
            None => Ok(()),
        }
    }

    /// Commits what the attempt costs, such as a spent code, and gives up the change itself.
    pub(super) async fn give_up<T>(self, value: T) -> Result<T, Fault> {
        self.tx.commit().await.map(|()| value)
    }

    /// Rolls back and returns `value`.
    pub(super) async fn undo<T>(self, value: T) -> Result<T, Fault> {
        self.tx.undo(value).await
    }
}

impl Deref for ChangeTx {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for ChangeTx {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}
