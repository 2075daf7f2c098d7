//! Arguments and results of the stored functions, each of which makes a whole change in one round
//! trip. A function makes the change in the plain case only. In any other case it stores nothing,
//! and the port method makes the change by separate statements, as it does on a database without
//! such functions, and finds out what is different.
//!
//! Each has one argument, an object in JSON, and returns an object; some return null if there is
//! nothing to change. A function that refuses fails with the error US001. Bytes are written in the
//! hexadecimal form of PostgreSQL.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::SqlStore;
use super::json::{self, hex, id};
use super::mail_queue::RANK_STEP;
use crate::domain::{
    AuditEvent, BudgetCounter, Change, ChangeContext, DeviceName, Email, EndedSessions, Fault,
    Guess, NewSession, NoticeRequest, Origin, PendingLimit, StoredCounter, Subject, Timestamp,
};

/// Result of a function that ends sessions.
#[derive(Deserialize)]
pub(super) struct Ended {
    #[serde(deserialize_with = "json::uuids")]
    ended: Vec<Uuid>,
    issued_until: i64,
}

impl From<Ended> for EndedSessions {
    fn from(Ended { ended, issued_until }: Ended) -> Self {
        Self {
            issued_until: Timestamp(issued_until),
            sessions: u32::try_from(ended.len()).unwrap_or(u32::MAX),
            subjects: ended.into_iter().map(Subject::Session).collect(),
        }
    }
}

/// Result of a function without one.
#[derive(Deserialize)]
pub(super) struct Nothing {}

impl SqlStore {
    /// Calls a stored function, if this database has them. Returns `None` if the change was not
    /// made, and must be made by separate statements.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        function: Function,
        arguments: impl FnOnce() -> Value,
    ) -> Result<Option<T>, Fault> {
        let Some(statement) = super::super::function(function) else { return Ok(None) };
        let mut tx = self.pools.single().await?;
        let call = sqlx::query_as(statement).bind(arguments().to_string());
        let result: Option<(Option<String>,)> = tx.call(call).await?;
        let Some((result,)) = result else { return tx.undo_call().await.map(|()| None) };
        tx.finish().await?;
        let Some(result) = result else { return Ok(None) };
        serde_json::from_str(&result).map(Some).map_err(|error| {
            Fault::Internal(format!("{function:?} returned an invalid result: {error}"))
        })
    }
}

/// Returns true if this database has stored functions.
pub(super) fn exist() -> bool {
    super::super::function(Function::AdjustCounters).is_some()
}

/// Stored function that makes a change.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Function {
    AdjustCounters,
    RecordEvent,
    OpenSession,
    ChargeGuess,
    RefundGuess,
    ResendCode,
    Activate,
    RequestCode,
    RefreshSession,
    EndSession,
    EndAllSessions,
    RevokeSession,
    UpdateUser,
    ConfirmEmail,
    ResetPassword,
    DeleteUser,
}

/// Returns a list of counters to store, with the values from which they were decided.
pub(super) fn counters(
    keys: &[[u8; 32]],
    before: &[BudgetCounter],
    after: &[BudgetCounter],
) -> Value {
    let counter = |((key, was), new): ((&[u8; 32], &BudgetCounter), &BudgetCounter)| {
        let mut value = counter(key, new);
        let old = json!({
            "was_count": was.count, "was_since": was.since.0,
            "was_blocked_until": was.blocked_until.0, "was_expires_at": was.expires_at.0,
            "is_stored": *was != BudgetCounter::ZERO, "is_changed": was != new,
        });
        if let (Value::Object(value), Value::Object(old)) = (&mut value, old) {
            value.extend(old);
        }
        value
    };
    keys.iter().zip(before).zip(after).map(counter).collect()
}

/// Returns a list of counters to store whatever their values are.
pub(super) fn stored(counters: &[StoredCounter]) -> Value {
    counters.iter().map(|(key, new)| counter(key, new)).collect()
}

/// Returns a counter to store.
fn counter(key: &[u8; 32], counter: &BudgetCounter) -> Value {
    json!({
        "key": hex(key), "count": counter.count, "since": counter.since.0,
        "blocked_until": counter.blocked_until.0, "expires_at": counter.expires_at.0,
    })
}

/// Returns the audit event of a change, and the outcome that completes its idempotency claim.
pub(super) fn change(change: &Change) -> Value {
    let mut value = json!({ "event": event(change.context(), change.event()) });
    let Some(claim) = change.context().claim else { return value };
    let outcome = change.outcome();
    let session = outcome.session.as_ref();
    value["outcome"] = json!({
        "key": id(claim.key), "holder": id(claim.holder), "at": outcome.at.0,
        "expires_at": outcome.at.plus(super::idempotency::RETENTION).0,
        "user_id": id(outcome.user_id), "verification_id": id(outcome.verification_id),
        "session_id": id(session.map(|session| session.id)),
        "session_kid": session.map(|session| &session.kid),
        "session_created_at": session.map(|session| session.created_at.0),
        "session_rotated_at": session.map(|session| session.rotated_at.0),
        "number": session.map_or(outcome.sessions_ended, |session| session.counter),
    });
    value
}

/// Returns an audit event.
pub(super) fn event(context: &ChangeContext, event: &AuditEvent) -> Value {
    let (network, operator) = match &context.origin {
        Origin::Client(network) => (network.map(|network| network.to_string()), None),
        Origin::Operator(name) => (None, Some(name)),
    };
    let salt = network.as_ref().map(|_| hex(Uuid::new_v4().as_bytes()));
    json!({
        "id": id(Uuid::now_v7()), "at": context.at.0, "kind": event.kind.name(),
        "user_id": id(event.user_id), "session_id": id(event.session_id),
        "subject": event.subject.as_deref().map(hex), "detail": event.detail,
        "operator": operator, "network": network, "salt": salt,
        "dedup": event.dedup.as_ref().map(|key| hex(key)),
    })
}

/// Returns a new session.
pub(super) fn session(session: &NewSession) -> Value {
    json!({
        "id": id(session.id), "kid": session.kid, "network": session.network,
        "device": session.device.as_ref().map(DeviceName::as_str), "client": session.client,
    })
}

/// Sets the columns of a verification that depend on its email address.
pub(super) fn set_email(verification: &mut Value, email: &Email) {
    verification["email"] = json!(email.shown());
    verification["email_key"] = json!(email.key());
    verification["mailbox"] = json!(email.mailbox());
    verification["budget_key"] = json!(email.budget_key());
}

/// Returns the use of a code that was guessed correctly.
pub(super) fn guess(guess: &Guess) -> Value {
    json!({
        "verification_id": id(guess.verification_id), "generation": guess.generation,
        "charged": guess.charged.iter().map(|key| hex(key)).collect::<Vec<_>>(),
    })
}

/// Returns the use of a code, and the notice that is queued with it.
pub(super) fn guess_and_notice(
    guess: &Guess,
    NoticeRequest { notice, client }: NoticeRequest<'_>,
    of: &Change,
) -> Value {
    let mut call = self::guess(guess);
    let notice = json!({
        "client": client, "rank_step": RANK_STEP, "notice": notice.name(),
        "email_id": id(Uuid::now_v7()), "at": of.at().0, "change": change(of),
    });
    if let (Value::Object(call), Value::Object(notice)) = (&mut call, notice) {
        call.extend(notice);
    }
    call
}

/// Returns the request of an email with a code, for a verification with these columns.
pub(super) fn request_code(
    mut verification: Value,
    email: &Email,
    client: &str,
    limit: PendingLimit,
    of: &Change,
) -> Value {
    let at = of.at();
    set_email(&mut verification, email);
    json!({
        "verification": verification, "client": client, "email_id": id(Uuid::now_v7()),
        "rank_step": RANK_STEP, "max_pending": limit.max, "at": at.0,
        "pending_since": at.minus(limit.life).0, "change": change(of),
    })
}
