//! The account of an access token: from the cache if it has a current record, otherwise from SQL. A
//! cached record is used only if its version is not below that of the last change that this node
//! has read, so every node sees a change within a second, even if the cache fails.

use uuid::Uuid;

use super::{Tokens, Verified};
use crate::domain::{
    CacheLookup, EndedSessions, Profile, Refusal, Timestamp, UseCaseResult, UserRecord,
};

impl Tokens {
    /// Returns the account profile of a verified access token.
    ///
    /// # Errors
    /// `SessionRevoked` if the session has ended.
    pub async fn owner(&self, token: &Verified) -> UseCaseResult<Profile> {
        let Verified { session_id, user_id, .. } = *token;
        if token.stale.is_some() {
            // Without a recent read of the change log, a cached record may be outdated.
            return self.stored_owner(session_id).await;
        }
        let now = self.clock.now();
        let min_version = self.revocations.min_version(user_id);
        match self.cache.look_up(session_id, user_id, min_version, now).await {
            CacheLookup::Known(profile) => Ok(profile),
            CacheLookup::Unknown(leases) => {
                let profile = self.stored_owner(session_id).await?;
                self.cache.fill(session_id, &profile, leases, now).await;
                Ok(profile)
            }
        }
    }

    async fn stored_owner(&self, session_id: Uuid) -> UseCaseResult<Profile> {
        let user = self.sessions.session_owner(session_id).await?.ok_or(Refusal::SessionRevoked)?;
        Ok(user.into())
    }

    /// Makes sessions that have ended in the database known to all nodes: adds them to the
    /// revocations of this node, removes them from the cache, and notifies the other nodes.
    pub async fn publish_ended(&self, ended: &EndedSessions, now: Timestamp) {
        if ended.subjects.is_empty() {
            return;
        }
        self.revocations.add_ended(ended, now);
        let ids = ended.ids();
        tokio::join!(self.cache.forget(&ids), self.wakeups.notify());
    }

    /// Makes a change of an account in the database, and the sessions that it ended, known to all
    /// nodes, like [`Tokens::publish_ended`].
    pub async fn publish_update(&self, user: &UserRecord, ended: &EndedSessions, now: Timestamp) {
        self.revocations.add_update(user.id, user.version, now);
        self.revocations.add_ended(ended, now);
        let subjects = [ended.ids(), vec![user.id]].concat();
        let notify = async {
            if !ended.subjects.is_empty() {
                self.wakeups.notify().await;
            }
        };
        tokio::join!(self.cache.forget(&subjects), notify);
    }
}
