//! Rotation of refresh tokens, with detection of reuse: the current token is replaced by a
//! successor, and an older token ends the session.

use std::time::Duration;

use uuid::Uuid;

use crate::domain::{
    AuditEvent, AuditKind, CLOCK_SKEW, Change, ChangeContext, EndedSessions, Fault,
    RecordedOutcome, RefreshLimit, SessionRecord, SessionRefresh, Sessions, Timestamp,
};

/// Time after a refresh for which the previous refresh token is still accepted, because the reply
/// may have been lost, or two browser tabs may refresh at once.
const GRACE: Duration = Duration::from_secs(30);

/// Effect of a presented refresh token on its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// The current token was presented. The session now has its successor.
    Advanced(SessionRecord),
    /// The previous token was presented again soon after the refresh. The session is unchanged, so
    /// the same successor is issued again.
    Repeated(SessionRecord),
    /// An older token was presented, or the previous one too late, so a token was probably stolen.
    /// The session was ended.
    Stolen(EndedSessions),
    /// The token has a higher counter than the session, so it was issued before the database was
    /// restored from an older backup.
    NotIssued,
    /// The session was refreshed too often. It can be refreshed after this time.
    TooMany(Duration),
    /// The session had already ended.
    Gone,
}

/// Maximum number of refreshes of one session within an hour. Repeats with the previous token are
/// not counted.
const LIMIT: RefreshLimit = RefreshLimit { uses: 60, window: Duration::from_secs(3600) };

/// Decides about a presented refresh token, given as its session id and counter, and refreshes or
/// ends the session. `kid` names the server key for the successor of the token. `event` is recorded
/// if the session is refreshed.
///
/// # Errors
/// If the store fails.
pub async fn rotate(
    sessions: &dyn Sessions,
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
        Superseded::Repeated => Ok(Rotation::Repeated(session)),
        Superseded::Stolen => Ok(Rotation::Stolen(end_stolen(sessions, &session, context).await?)),
        Superseded::NotIssued => Ok(Rotation::NotIssued),
    }
}

/// Ends a session after a superseded refresh token was presented, and records
/// [`AuditKind::ReuseDetected`].
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

/// Verdict about a refresh token that is not the current token of its session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Superseded {
    Repeated,
    Stolen,
    NotIssued,
}

/// Judges a refresh token with a counter other than the session's current one.
pub(super) fn judge(session: &SessionRecord, counter: u32, now: Timestamp) -> Superseded {
    match session.counter.checked_sub(counter) {
        None | Some(0) => Superseded::NotIssued,
        // A refresh in the future took place before the clock was set back, at an unknown time.
        Some(1)
            if now.since(session.rotated_at) <= GRACE
                && session.rotated_at <= now.plus(CLOCK_SKEW) =>
        {
            Superseded::Repeated
        }
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
        for (ahead, verdict) in [(0, Superseded::Repeated), (1, Superseded::Stolen)] {
            let before = now.minus(CLOCK_SKEW + Duration::from_millis(ahead));
            assert_eq!(judge(&session, 6, before), verdict, "set back by {ahead} ms too much");
        }
        let late = now.plus(GRACE + Duration::from_millis(1));
        assert_eq!(judge(&session, 6, late), Superseded::Stolen);
        assert_eq!(judge(&session, 5, now), Superseded::Stolen);
        assert_eq!(judge(&session, 0, now), Superseded::Stolen);
        // Equal only at the last counter, after which no further token is issued.
        assert_eq!(judge(&session, 7, now), Superseded::NotIssued);
        assert_eq!(judge(&session, 8, now), Superseded::NotIssued);
    }
}
