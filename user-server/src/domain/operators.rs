//! Accounts as operators manage them: listing, import, export, and disabling.

use uuid::Uuid;

use super::{Change, Email, EndedSessions, NoticeRequest, Timestamp, Username};

/// Account as operators see it, without its password hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    pub id: Uuid,
    /// Username as the user wrote it.
    pub username: String,
    /// Canonical form of the username, by which usernames are compared.
    pub username_key: String,
    /// Email address as the user wrote it.
    pub email: String,
    /// Canonical form of the email address, by which addresses are compared.
    pub email_key: String,
    /// Time at which the account became active.
    pub created_at: Timestamp,
    /// Time at which an operator disabled the account, or `None` if logins are allowed.
    pub disabled_at: Option<Timestamp>,
    /// Algorithm and cost of the password hash, or `None` if an early version stored the account.
    pub hash_class: Option<String>,
    /// Number of open sessions.
    pub sessions: i64,
}

/// Email as operators see it, without code and username.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEmail {
    /// Id of the email, which log lines about it contain.
    pub id: Uuid,
    /// Name of its purpose or of its notice.
    pub kind: String,
    /// Id of the verification that its code completes, or `None` for a notice.
    pub verification_id: Option<Uuid>,
    /// Address that it was last sent to, or that the code was requested for. `None` if it was never
    /// sent and the verification of its code is gone.
    pub recipient: Option<String>,
    pub created_at: Timestamp,
    /// Number of attempts to send it.
    pub attempts: i64,
    pub state: EmailState,
}

/// State of an email.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailState {
    /// It waits for its turn: an address gets one code a minute, five an hour, and ten a day.
    Waiting,
    /// A worker is sending it, until this time at the latest; then another one sends it again.
    Sending(Timestamp),
    /// An attempt has failed, and the next one is at this time. Later attempts at a notice are not
    /// recognised as [`Self::Sending`].
    Due(Timestamp),
    /// The mail server has accepted it.
    Accepted(Timestamp),
    /// The mail server has refused it permanently, or its time was over.
    GivenUp(Timestamp),
    /// It was not needed: an account has the new address of a registration or a change, no account
    /// has the address of a reset, or the code is no longer valid.
    NotNeeded(Timestamp),
}

/// User to import from another service.
pub struct NewUser {
    /// Id in the other service, which becomes the id of the account.
    pub id: Uuid,
    pub username: Username,
    pub email: Email,
    /// Password hash of a supported algorithm, as a PHC or crypt string.
    pub password_hash: String,
    /// Time at which the account was created in the other service.
    pub created_at: Timestamp,
    /// Time at which an operator disabled the account, or `None` if logins are allowed.
    pub disabled_at: Option<Timestamp>,
}

/// User to export to another service, including the password hash.
pub struct StoredUser {
    pub id: Uuid,
    pub username: String,
    pub email: String,
    pub password_hash: String,
    /// Time at which the account became active.
    pub created_at: Timestamp,
    /// Time at which an operator disabled the account, or `None` if logins are allowed.
    pub disabled_at: Option<Timestamp>,
}

/// Result of the import of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    Added,
    /// The user was imported before, with the same id, username and email address.
    AlreadyThere,
    /// The id belongs to a user with another username or email address.
    IdTaken,
    UsernameTaken,
    EmailTaken,
}

/// Result of [`Operators::set_email`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailSetResult {
    Set,
    /// Another account has the email address. Nothing changed.
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
        /// Returns at most `limit` accounts with canonical usernames after `username_key`, in that
        /// order.
        fn accounts_after(username_key: &str, limit: u32) -> Vec<AccountSummary>;
        /// Returns at most `limit` accounts with a canonical username or email address that begins
        /// with `prefix`, in the order of canonical usernames.
        fn accounts_like(prefix: &str, limit: u32) -> Vec<AccountSummary>;
        /// Returns the newest emails, at most `limit`, to an address and to its variants with
        /// another `+suffix`, as far as the database still has them, oldest first.
        fn emails_to(email: &Email, limit: u32) -> Vec<StoredEmail>;
        /// Creates an account. Changes nothing if its id, username or email address is taken.
        fn create_account(user: &NewUser, change: Change) -> Imported;
        /// Sets the email address of an account, voids the account's open codes, and queues
        /// `notice` to the old address.
        fn set_email(id: Uuid, email: &Email, notice: NoticeRequest<'_>, change: Change) -> EmailSetResult;
        /// Disables an account: refuses logins, ends all of its sessions and voids its open codes.
        /// Returns the ended sessions, or `None` if there is no such account.
        fn disable(id: Uuid, change: Change) -> Option<EndedSessions>;
        /// Enables a disabled account. Returns `false` if there is no such account.
        fn enable(id: Uuid, change: Change) -> bool;
        /// Adds the users with unused ids, usernames and email addresses. Returns the result for
        /// each user, in the order of `users`. With `dry_run`, the transaction is rolled back.
        fn import(users: &[NewUser], dry_run: bool) -> Vec<Imported>;
        /// Returns at most `limit` users with ids greater than `after`, in the order of ids.
        fn export(after: Uuid, limit: u32) -> Vec<StoredUser>;
        /// Ends all sessions of all users, including those that were opened after the backup, and
        /// voids all open codes, after a backup was restored. Returns the number of deleted
        /// sessions. Can be repeated after a failure.
        fn forget_sessions(change: Change) -> u64;
        /// Returns the time of the latest login or refresh of an open session until this time, or
        /// 1970 if there is none.
        fn latest_session(until: Timestamp) -> Timestamp;
    }
}
