//! The transaction of a change. Its commit records the audit event and completes the idempotency
//! claim, so no port method can forget either.

use std::ops::{Deref, DerefMut};

use uuid::Uuid;

use super::tx::Tx;
use super::{SqlStore, audit, idempotency};
use crate::domain::{Change, Fault, Timestamp};

/// Transaction that makes one change, and records its audit event on commit.
pub(super) struct ChangeTx {
    tx: Tx,
    /// Time, audit event and outcome of the change. The port method adds values that are known only
    /// within the transaction.
    pub(super) change: Change,
}

impl SqlStore {
    /// Begins a transaction that makes the change `change`.
    pub(super) async fn begin(&self, change: Change) -> Result<ChangeTx, Fault> {
        Ok(ChangeTx { tx: self.pools.write().await?, change })
    }
}

impl ChangeTx {
    pub(super) fn at(&self) -> Timestamp {
        self.change.at()
    }

    /// Records the audit event, completes the idempotency claim, and commits.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        self.record().await?;
        self.tx.commit().await
    }

    /// Records the audit event, completes the idempotency claim, erases the personal data in all
    /// audit entries of a deleted account, and commits.
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

    /// Commits the transaction without the audit event and the idempotency claim, for an attempt
    /// that was refused but has a cost, such as a used code. Returns `value`.
    pub(super) async fn give_up<T>(self, value: T) -> Result<T, Fault> {
        self.tx.commit().await.map(|()| value)
    }

    /// Rolls back the transaction and returns `value`.
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
