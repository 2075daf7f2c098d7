//! Whose a token is: from the cache where that knows, else from SQL. What the cache says counts
//! only as far as the log of changes confirms it, so a change is seen everywhere within the second
//! that is promised for ended sessions, whatever becomes of the cache.

use uuid::Uuid;

use super::{Tokens, Verified};
use crate::domain::records::{Cached, Ended, Profile, UserRecord};
use crate::domain::{Outcome, Refusal, Timestamp};

impl Tokens {
    /// The account of a good access token.
    ///
    /// # Errors
    /// `SessionRevoked` where the session has ended since.
    pub async fn owner(&self, token: &Verified) -> Outcome<Profile> {
        let Verified { session_id, user_id, .. } = *token;
        if token.stale.is_some() {
            // Without news nobody can say whether a record is old.
            return self.stored_owner(session_id).await;
        }
        let now = self.clock.now();
        let least = self.ended.least_version(user_id);
        match self.cache.look_up(session_id, user_id, least, now).await {
            Cached::Known(profile) => Ok(profile),
            Cached::Unknown(leases) => {
                let profile = self.stored_owner(session_id).await?;
                self.cache.fill(session_id, &profile, leases, now).await;
                Ok(profile)
            }
        }
    }

    async fn stored_owner(&self, session_id: Uuid) -> Outcome<Profile> {
        let user = self.sessions.session_owner(session_id).await?.ok_or(Refusal::SessionRevoked)?;
        Ok(user.into())
    }

    /// Knows at once of sessions that were ended in SQL, and tells the other nodes.
    pub async fn note_ended(&self, ended: &Ended, now: Timestamp) {
        if ended.subjects.is_empty() {
            return;
        }
        self.ended.note(ended, now);
        tokio::join!(self.cache.forget(&ended.subjects), self.cache.wake());
    }

    /// The same of a user who was changed in SQL, and of the sessions that the change ended.
    pub async fn note_changed(&self, user: &UserRecord, ended: &Ended, now: Timestamp) {
        self.ended.note_change(user.id, user.version, now);
        self.ended.note(ended, now);
        let subjects = [ended.subjects.as_slice(), &[user.id]].concat();
        let wake = async {
            if !ended.subjects.is_empty() {
                self.cache.wake().await;
            }
        };
        tokio::join!(self.cache.forget(&subjects), wake);
    }
}
