//! What the operators' commands need of the store: to look at accounts, to end what has to end, and
//! to move users in and out.

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::records::{Account, Ended, Imported, NewUser, StoredUser};
use crate::domain::{Act, Fault};

/// Accounts, for the operators.
#[async_trait]
pub trait Operators: Send + Sync {
    /// What an operator sees of an account.
    async fn account(&self, id: Uuid) -> Result<Option<Account>, Fault>;
    /// The accounts whose username's key comes after this one, in its order.
    async fn accounts_after(&self, username_key: &str, most: u32) -> Result<Vec<Account>, Fault>;
    /// Lets nobody log in any more, ends every session and voids every open code. `None` where
    /// there is no account.
    async fn disable(&self, id: Uuid, act: &Act) -> Result<Option<Ended>, Fault>;
    /// Lets its owner log in again; whether there is such an account.
    async fn enable(&self, id: Uuid, act: &Act) -> Result<bool, Fault>;
    /// Adds these users where neither id nor name nor address is somebody's; what became of each,
    /// in their order. With `rehearse`, nothing stays.
    async fn import(&self, users: &[NewUser], rehearse: bool) -> Result<Vec<Imported>, Fault>;
    /// The users whose ids come after this one, in the order of ids, with their hashes.
    async fn export(&self, after: Uuid, most: u32) -> Result<Vec<StoredUser>, Fault>;
    /// Ends every session, those too that this database knows nothing of, and voids every open
    /// code: what has to happen when it was put back to an earlier time. How many sessions it knew.
    /// It may be repeated where it failed.
    async fn forget_sessions(&self, act: &Act) -> Result<u64, Fault>;
}
