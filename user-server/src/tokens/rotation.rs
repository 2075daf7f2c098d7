//! Rotation of refresh tokens: what presenting a token does to its session. The decision is made
//! here; the store only advances the counter of the plain case.

use std::time::Duration;

use uuid::Uuid;

use crate::domain::{
    AuditEvent, AuditKind, Change, ChangeContext, EndedSessions, Fault, IdempotencyKeys,
    RecordedOutcome, RefreshLimit, SessionRecord, SessionRefresh, Sessions, Timestamp,
};

/// The time for which the previous refresh token may be presented again: a reply was lost, or two
/// tabs refresh at once.
const GRACE: Duration = Duration::from_secs(30);

/// Result of [`rotate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// The token was the current one. The session has advanced to its successor.
    Advanced(SessionRecord),
    /// The token was the previous one, presented again in time. Its successor is the same.
    Repeated(SessionRecord),
    /// The token was an older one, or the previous one too late: it was copied. The session has
    /// ended.
    Stolen(EndedSessions),
    /// The token was not issued yet: it is from a database that was restored to an earlier time.
    NotIssued,
    /// The session was refreshed too often; it can be refreshed after this time.
    TooMany(Duration),
    /// The session had ended.
    Gone,
}

/// Refreshes of one session within an hour. A repeat of the last one is not counted.
const LIMIT: RefreshLimit = RefreshLimit { uses: 60, window: Duration::from_secs(3600) };

/// Presents the refresh token of a session with this counter, and sets the key of its successor.
/// Where the session advances, `event` is recorded.
///
/// # Errors
/// If the store fails.
pub async fn rotate(
    sessions: &dyn Sessions,
    claims: &dyn IdempotencyKeys,
    (session_id, counter): (Uuid, u32),
    kid: &str,
    event: AuditEvent,
    context: ChangeContext,
) -> Result<Rotation, Fault> {
    let at = context.at;
    let change = Change::new(context.clone(), event, RecordedOutcome::at(at));
    match sessions.refresh(session_id, counter, kid, LIMIT, change).await? {
        SessionRefresh::Advanced(session) => return Ok(Rotation::Advanced(session)),
        SessionRefresh::TooMany(wait) => return Ok(Rotation::TooMany(wait)),
        SessionRefresh::Unchanged => {}
    }
    let Some(session) = sessions.session(session_id).await? else { return Ok(Rotation::Gone) };
    match judge(&session, counter, at) {
        Superseded::Repeated => {
            if let Some(claim) = context.claim {
                let outcome = RecordedOutcome::at(at).user(session.user_id);
                claims.complete_key(claim, &outcome.session(session.clone())).await?;
            }
            Ok(Rotation::Repeated(session))
        }
        Superseded::Stolen => Ok(Rotation::Stolen(end_stolen(sessions, &session, context).await?)),
        Superseded::NotIssued => Ok(Rotation::NotIssued),
    }
}

/// Ends a session of which a superseded refresh token was presented.
///
/// # Errors
/// If the store fails.
pub(super) async fn end_stolen(
    sessions: &dyn Sessions,
    session: &SessionRecord,
    context: ChangeContext,
) -> Result<EndedSessions, Fault> {
    let event = AuditEvent::of(AuditKind::ReuseDetected, session.user_id).session(session.id);
    let outcome = RecordedOutcome::at(context.at);
    // The request is refused, so it completes no idempotency key.
    let context = ChangeContext { claim: None, ..context };
    sessions.end_session(session.id, Change::new(context, event, outcome)).await
}

/// Verdict about a refresh token that is not the current one of its session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Superseded {
    Repeated,
    Stolen,
    NotIssued,
}

/// Judges a token with this counter, which is not the session's current one.
pub(super) fn judge(session: &SessionRecord, counter: u32, now: Timestamp) -> Superseded {
    match session.counter.checked_sub(counter) {
        None | Some(0) => Superseded::NotIssued,
        Some(1) if now.since(session.rotated_at) <= GRACE => Superseded::Repeated,
        Some(_) => Superseded::Stolen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_previous_token_may_be_repeated_and_only_in_time() {
        let now = Timestamp(1_800_000_000_000);
        let session = SessionRecord {
            id: Uuid::from_bytes([7; 16]),
            user_id: Uuid::from_bytes([8; 16]),
            counter: 7,
            created_at: now,
            rotated_at: now,
            kid: String::new(),
        };
        assert_eq!(judge(&session, 6, now), Superseded::Repeated);
        assert_eq!(judge(&session, 6, now.plus(GRACE)), Superseded::Repeated);
        let late = now.plus(GRACE + Duration::from_millis(1));
        assert_eq!(judge(&session, 6, late), Superseded::Stolen);
        assert_eq!(judge(&session, 5, now), Superseded::Stolen);
        assert_eq!(judge(&session, 0, now), Superseded::Stolen);
        // Equal only at the last counter, after which no further token is issued.
        assert_eq!(judge(&session, 7, now), Superseded::NotIssued);
        assert_eq!(judge(&session, 8, now), Superseded::NotIssued);
    }
}
