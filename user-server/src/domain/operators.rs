//! Accounts from the operators' view: listing, import, export, and disabling.

use uuid::Uuid;

use super::{Change, Email, EndedSessions, NoticeRequest, Timestamp, Username};

/// An account without its password hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    pub id: Uuid,
    /// The username as its owner writes it.
    pub username: String,
    /// The username in the form that is compared.
    pub username_key: String,
    /// The email address as its owner writes it.
    pub email: String,
    /// The email address in the form that is compared.
    pub email_key: String,
    /// The time at which the account became active.
    pub created_at: Timestamp,
    /// The time since which logins are refused.
    pub disabled_at: Option<Timestamp>,
    /// The algorithm and cost of the password hash.
    pub hash_class: Option<String>,
    /// The number of open sessions.
    pub sessions: i64,
}

/// A user to import from another service.
pub struct NewUser {
    /// The id in the other service, which is kept.
    pub id: Uuid,
    pub username: Username,
    pub email: Email,
    /// A password hash of a supported algorithm.
    pub password_hash: String,
    /// The time at which the account was created in the other service.
    pub created_at: Timestamp,
    /// The time since which logins are refused.
    pub disabled_at: Option<Timestamp>,
}

/// A user with everything that another service needs to take it over.
pub struct StoredUser {
    pub id: Uuid,
    pub username: String,
    pub email: String,
    pub password_hash: String,
    /// The time at which the account became active.
    pub created_at: Timestamp,
    /// The time since which logins are refused.
    pub disabled_at: Option<Timestamp>,
}

/// Result of the import of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    Added,
    /// The user was imported before, with the same id, username and address.
    AlreadyThere,
    /// The id belongs to a user with another username or address.
    IdTaken,
    UsernameTaken,
    EmailTaken,
}

/// Result of setting an email address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailSetResult {
    Set,
    /// Another account has the address.
    Taken,
    /// There is no such account.
    Gone,
}

port! {
    ($)
    /// Accounts, for the operators' commands.
    Operators, operators_port {
        /// Finds an account by its id.
        fn account(id: Uuid) -> Option<AccountSummary>;
        /// Returns at most `limit` accounts with username keys after `username_key`, in order.
        fn accounts_after(username_key: &str, limit: u32) -> Vec<AccountSummary>;
        /// Returns at most `limit` accounts with a username key or an email key that begins with
        /// `prefix`, by username key.
        fn accounts_like(prefix: &str, limit: u32) -> Vec<AccountSummary>;
        /// Creates an account. Changes nothing where its id, username or address is taken.
        fn create_account(user: &NewUser, change: Change) -> Imported;
        /// Sets the email address of an account, voids every open code, and queues `notice` to the
        /// old address.
        fn set_email(id: Uuid, email: &Email, notice: NoticeRequest<'_>, change: Change) -> EmailSetResult;
        /// Disables an account: refuses its logins, ends every session and voids every open code.
        /// Returns `None` where there is no such account.
        fn disable(id: Uuid, change: Change) -> Option<EndedSessions>;
        /// Enables a disabled account. Returns false where there is no such account.
        fn enable(id: Uuid, change: Change) -> bool;
        /// Adds the users with an unused id, username and address. Returns the result of each,
        /// in order. With `dry_run`, the transaction is rolled back.
        fn import(users: &[NewUser], dry_run: bool) -> Vec<Imported>;
        /// Returns at most `limit` users with ids after `after`, in order, with their hashes.
        fn export(after: Uuid, limit: u32) -> Vec<StoredUser>;
        /// Ends every session and voids every open code after a backup was restored, including
        /// sessions that were opened after the backup. Returns the number of stored sessions. Safe
        /// to repeat after a failure.
        fn forget_sessions(change: Change) -> u64;
    }
}
