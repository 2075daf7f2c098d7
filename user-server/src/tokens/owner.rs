//! Whose a token is: from the cache where that knows, else from SQL. What the cache says counts
//! only as far as the log of changes confirms it, so a change is seen everywhere within the second
//! that is promised for ended sessions, whatever becomes of the cache.

use uuid::Uuid;

use super::{Tokens, Verified};
use crate::domain::{
    CacheLookup, EndedSessions, Profile, Refusal, Timestamp, UseCaseResult, UserRecord,
};

impl Tokens {
    /// The account of a good access token.
    ///
    /// # Errors
    /// `SessionRevoked` where the session has ended since.
    pub async fn owner(&self, token: &Verified) -> UseCaseResult<Profile> {
        let Verified { session_id, user_id, .. } = *token;
        if token.stale.is_some() {
            // Without news nobody can say whether a record is old.
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

    /// Knows at once of sessions that were ended in SQL, and tells the other nodes.
    pub async fn publish_ended(&self, ended: &EndedSessions, now: Timestamp) {
        if ended.subjects.is_empty() {
            return;
        }
        self.revocations.add_ended(ended, now);
        tokio::join!(self.cache.forget(&ended.subjects), self.wakeups.notify());
    }

    /// The same of a user who was changed in SQL, and of the sessions that the change ended.
    pub async fn publish_update(&self, user: &UserRecord, ended: &EndedSessions, now: Timestamp) {
        self.revocations.add_update(user.id, user.version, now);
        self.revocations.add_ended(ended, now);
        let subjects = [ended.subjects.as_slice(), &[user.id]].concat();
        let notify = async {
            if !ended.subjects.is_empty() {
                self.wakeups.notify().await;
            }
        };
        tokio::join!(self.cache.forget(&subjects), notify);
    }
}
