//! Stored functions, and transactions of one statement. The name of a function ends with its
//! version. A function never changes: a later version of the service creates another one, and drops
//! this one a release later.

use super::sql::calls::Function;
use super::{Pools, Tx};
use crate::domain::{Fault, LoginKey, UserKey};

/// Returns the statement that calls a stored function with one argument.
pub(super) fn function(function: Function) -> Option<&'static str> {
    Some(match function {
        Function::AdjustCounters => "SELECT adjust_counters_v1($1::jsonb)::text",
        Function::RecordEvent => "SELECT record_event_v1($1::jsonb)::text",
        Function::OpenSession => "SELECT open_session_v2($1::jsonb)::text",
        Function::ChargeGuess => "SELECT charge_guess_v1($1::jsonb)::text",
        Function::RefundGuess => "SELECT refund_guess_v1($1::jsonb)::text",
        Function::ResendCode => "SELECT resend_code_v1($1::jsonb)::text",
        Function::Activate => "SELECT activate_v1($1::jsonb)::text",
        Function::RequestCode => "SELECT request_code_v2($1::jsonb)::text",
        Function::RefreshSession => "SELECT refresh_session_v2($1::jsonb)::text",
        Function::RevokeSession => "SELECT revoke_session_v1($1::jsonb)::text",
        Function::EndSession => "SELECT end_session_v1($1::jsonb)::text",
        Function::EndAllSessions => "SELECT end_all_sessions_v1($1::jsonb)::text",
        Function::UpdateUser => "SELECT update_user_v1($1::jsonb)::text",
        Function::ConfirmEmail => "SELECT confirm_email_v1($1::jsonb)::text",
        Function::ResetPassword => "SELECT reset_password_v1($1::jsonb)::text",
        Function::DeleteUser => "SELECT delete_user_v1($1::jsonb)::text",
    })
}

/// Builds the statement of a lookup, with the column by which the user is found. `$2` is the
/// username that may be taken, and `$3` the list of keys of counters.
macro_rules! lookup {
    ($user:literal) => {
        concat!(
            "SELECT (SELECT to_jsonb(users.*) FROM users WHERE ",
            $user,
            " = $1)::text, EXISTS (SELECT 1 FROM users WHERE username_key = $2), \
             read_counters_v1($3::jsonb)::text"
        )
    };
}

/// Returns the statement that reads a verification, and counters.
pub(super) fn lookup_verification() -> Option<&'static str> {
    Some(
        "SELECT (SELECT to_jsonb(verifications.*) FROM verifications WHERE id = $1)::text, \
         read_counters_v1($2::jsonb)::text",
    )
}

/// Returns the statement that reads a user, and counters.
pub(super) fn lookup(user: Option<&UserKey<'_>>) -> Option<&'static str> {
    Some(match user {
        None | Some(UserKey::Id(_)) => lookup!("id"),
        Some(UserKey::Login(LoginKey::Username(_))) => lookup!("username_key"),
        Some(UserKey::Login(LoginKey::Email(_))) => lookup!("email_key"),
    })
}

impl Pools {
    /// Returns a connection for statements that may write, each of which is a transaction. Behind a
    /// pooler without prepared statements they run in one transaction, since the parse and execute
    /// messages of a statement could otherwise reach different sessions.
    pub(super) async fn single(&self) -> Result<Tx, Fault> {
        self.check_commits().await?;
        self.read().await
    }
}

/// Creates the counters with these keys that do not exist, and locks all of them in the order of
/// their keys until the transaction ends.
pub(super) async fn lock_counters(tx: &mut Tx, keys: &[[u8; 32]]) -> Result<(), Fault> {
    let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
    tx.run_with(
        "INSERT INTO counters AS stored (key, count, since, blocked_until, expires_at)
         SELECT key, 0, 0, 0, 0 FROM unnest($1::bytea[]) AS key ORDER BY key
         ON CONFLICT (key) DO UPDATE SET count = stored.count",
        keys,
    )
    .await
}

/// Appends sessions to the revocation log.
pub(super) async fn revoke_sessions(
    tx: &mut Tx,
    entries: &[(uuid::Uuid, i64)],
) -> Result<(), Fault> {
    let (ids, times): (Vec<_>, Vec<_>) = entries.iter().copied().unzip();
    let insert = sqlx::query(
        "INSERT INTO revocations (subject, at, kind)
         SELECT id, at, 1 FROM unnest($1::uuid[], $2::bigint[]) AS entry (id, at)",
    );
    tx.run(insert.bind(ids).bind(times)).await.map(drop)
}
