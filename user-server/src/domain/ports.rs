//! What the services need of the outside. A method is one transaction, named for its use case; an
//! adapter implements it for one database or one way to send mail.

mod idempotency;
mod operators;

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::audit::{Chain, Entry, Filter, Note, Sealing, Step, Unsealed};
use super::mail::{Claim, Mail, SendError};
use super::records::{
    Activation, Cached, Changed, Charge, Counter, EmailChange, Ended, Guess, Invariant, KeyUse,
    Leases, LoginKey, NewSession, Profile, Purpose, Registration, Resend, ResetDone, ResetRequest,
    RetiredKey, Revocation, Rotation, UserChange, UserRecord, UserVersion,
};
use super::{Act, Fault, Timestamp, Username};
pub use idempotency::IdempotencyKeys;
pub use operators::Operators;

/// Accounts, for the user service.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Whether an active account has this name.
    async fn username_taken(&self, username_key: &str) -> Result<bool, Fault>;
    /// The account of this login.
    async fn user_by_login(&self, login: LoginKey<'_>) -> Result<Option<UserRecord>, Fault>;
    /// The account of this id.
    async fn user(&self, id: Uuid) -> Result<Option<UserRecord>, Fault>;
    /// Writes a pending registration and its mail; a dead one where the address is an account's.
    async fn register(&self, registration: &Registration, act: &Act) -> Result<(), Fault>;
    /// Spends a registration's code for an account and its first session.
    async fn activate(
        &self,
        guess: &Guess,
        username: Option<&Username>,
        user_id: Uuid,
        session: &NewSession,
        act: &Act,
    ) -> Result<Activation, Fault>;
    /// Opens a session for a password proved under these credentials, stores its stronger hash
    /// where one is given, and settles what the attempt was charged. `None` where the password has
    /// changed or the account is gone, and then only the charge is settled; the sessions that had
    /// to make room otherwise.
    async fn open_session(
        &self,
        user: &UserRecord,
        session: &NewSession,
        stronger_hash: Option<&str>,
        charge: Adjustment,
        act: &Act,
    ) -> Result<Option<Ended>, Fault>;
    /// Changes an account. A new password ends every other session, and voids every open code but
    /// the new address's.
    async fn change_user(&self, change: &UserChange, act: &Act) -> Result<Changed, Fault>;
    /// Spends an address change's code: the new address counts, the old one is told, every open
    /// code is void.
    async fn confirm_email(&self, guess: &Guess, act: &Act) -> Result<EmailChange, Fault>;
    /// Writes a password reset and its mail; a dead one where the address is nobody's.
    async fn request_reset(&self, request: &ResetRequest, act: &Act) -> Result<(), Fault>;
    /// Whose password this code resets, while it is unspent.
    async fn reset_owner(&self, guess: &Guess) -> Result<Option<UserRecord>, Fault>;
    /// Spends a reset's code: the new password counts, every session ends, every open code is void.
    async fn reset_password(
        &self,
        guess: &Guess,
        password_hash: &str,
        act: &Act,
    ) -> Result<Option<ResetDone>, Fault>;
    /// Erases an account whose password was proved under these credentials, with all that belongs
    /// to it.
    async fn delete_user(&self, user: &UserRecord, act: &Act) -> Result<Option<Ended>, Fault>;
}

/// Codes, for the OTP service.
#[async_trait]
pub trait Codes: Send + Sync {
    /// Pays for one guess at a code; `user_id` restricts it to codes of that user.
    async fn charge_guess(
        &self,
        verification_id: Uuid,
        purpose: Purpose,
        user_id: Option<Uuid>,
        most: u32,
        now: Timestamp,
    ) -> Result<Charge, Fault>;
    /// Gives a guess back that was right and led to nothing.
    async fn refund_guess(&self, guess: &Guess) -> Result<(), Fault>;
    /// Queues the verification's mail once more. `kids` are the keys that are good, the signing one
    /// first; a code of another key becomes one of that.
    async fn resend(
        &self,
        verification_id: Uuid,
        client: &str,
        after: Duration,
        kids: &[&str],
        act: &Act,
    ) -> Result<Resend, Fault>;
}

/// Sessions and what ended, for the token service.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Uses the refresh token of this number.
    async fn rotate(
        &self,
        session_id: Uuid,
        counter: u32,
        grace: Duration,
        kid: &str,
        act: &Act,
    ) -> Result<Rotation, Fault>;
    /// Whose session this is, where it has not ended.
    async fn session_user(&self, session_id: Uuid) -> Result<Option<Uuid>, Fault>;
    /// The account whose session this is, where it has not ended.
    async fn session_owner(&self, session_id: Uuid) -> Result<Option<UserRecord>, Fault>;
    /// Ends one session.
    async fn end_session(&self, session_id: Uuid, act: &Act) -> Result<Ended, Fault>;
    /// Ends every session of a user, and voids every open code.
    async fn end_all_sessions(&self, user_id: Uuid, act: &Act) -> Result<Ended, Fault>;
    /// The log's entries that are not older than `since`.
    async fn revocations(&self, since: Timestamp) -> Result<Vec<Revocation>, Fault>;
    /// The accounts that were changed since.
    async fn changes(&self, since: Timestamp) -> Result<Vec<UserVersion>, Fault>;
}

/// The session and user of a token, kept near; and the bell that wakes the readers of the
/// revocation log. SQL is the truth, so nothing here can fail: what can't be asked knows nothing.
#[async_trait]
pub trait Cache: Send + Sync {
    /// What is known of a session and its user. A user's record of a version below `least` is old.
    async fn look_up(&self, session_id: Uuid, user_id: Uuid, least: i64, now: Timestamp) -> Cached;
    /// Fills in what was read after the leases were given, where they still stand.
    async fn fill(&self, session_id: Uuid, profile: &Profile, leases: Leases, now: Timestamp);
    /// Ends what is kept of these sessions and users, and every lease for it.
    async fn forget(&self, subjects: &[Uuid]);
    /// Tells all nodes that the revocation log has grown.
    async fn wake(&self);
    /// Waits until some node has said so.
    async fn woken(&self);
}

/// Budgets, for the throttle.
#[async_trait]
pub trait Counters: Send + Sync {
    /// Adjusts counters exactly as if nobody else did at the time: a note for the caller, or how
    /// long to wait. Where it refuses, nothing changes, and `refusal` is noted where there is one.
    async fn adjust(
        &self,
        adjustment: Adjustment,
        refusal: Option<&Note>,
    ) -> Result<Result<u8, Duration>, Fault>;
}

/// Looks at counters, and changes them or refuses to: a note for the caller, or how long to wait.
pub type Decide = Box<dyn FnOnce(&mut [Counter]) -> Result<u8, Duration> + Send>;

/// Counters by their keys, and what is done with them in the order of the keys.
pub struct Adjustment {
    /// The keys; none twice.
    pub keys: Vec<[u8; 32]>,
    /// What is done with them.
    pub decide: Decide,
}

impl Adjustment {
    /// Of these keys.
    pub fn new(
        keys: impl Into<Vec<[u8; 32]>>,
        decide: impl FnOnce(&mut [Counter]) -> Result<u8, Duration> + Send + 'static,
    ) -> Self {
        Self { keys: keys.into(), decide: Box::new(decide) }
    }

    /// Of none.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new([], |_| Ok(0))
    }
}

/// What the outbox may do to one address, for one purpose.
#[derive(Debug, Clone, Copy)]
pub struct MailBudget {
    /// Between two mails.
    pub pause: Duration,
    /// Mails within an hour.
    pub per_hour: u32,
    /// Mails within a day.
    pub per_day: u32,
    /// Between two notices that an account exists.
    pub notice_pause: Duration,
    /// How long a mail may wait before it is dropped.
    pub patience: Duration,
    /// How long a code lives from the claim of its mail.
    pub code_life: Duration,
    /// The wrong guesses that end a code.
    pub guesses: u32,
    /// How long a worker may hold a mail.
    pub lease: Duration,
}

/// Mails to send, for the outbox's worker.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Takes the next mail that is due, and makes its code valid from now.
    async fn claim(&self, budget: &MailBudget, now: Timestamp) -> Result<Claim, Fault>;
    /// Notes that a mail is done with: sent, or given up.
    async fn settle(&self, id: Uuid, now: Timestamp) -> Result<(), Fault>;
    /// Gives a mail back, for another try later.
    async fn retry_at(&self, id: Uuid, at: Timestamp) -> Result<(), Fault>;
}

/// Who did what. Every change writes its own row; here is what happens without one, and what
/// becomes of the rows.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Writes an event down that changed nothing else.
    async fn record(&self, note: &Note) -> Result<(), Fault>;
    /// Lets `link` put the oldest rows that are not in the chain at its end, as the only worker for
    /// as long as the lease.
    async fn seal(
        &self,
        worker: Uuid,
        lease: Duration,
        most: u32,
        link: Link,
        now: Timestamp,
    ) -> Result<Sealing, Fault>;
    /// The rows that are not in the chain yet.
    async fn unsealed(&self) -> Result<Unsealed, Fault>;
    /// Takes at most so many rows from before that time off the chain's beginning, and lets `link`
    /// vouch for what is left; how many.
    async fn prune(&self, before: Timestamp, most: u32, link: Link) -> Result<u64, Fault>;
    /// The two ends of the chain.
    async fn chain(&self) -> Result<Chain, Fault>;
    /// The next rows of the chain.
    async fn chained_after(&self, seq: i64, most: u32) -> Result<Vec<Entry>, Fault>;
    /// The newest rows of a filter, the oldest of them first.
    async fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, Fault>;
}

/// What moves the ends of the chain on and vouches for them, giving each row its place; or it will
/// not.
pub type Link = Box<dyn FnMut(&mut Chain, Step<'_>) -> bool + Send>;

/// What keeps the store small.
#[async_trait]
pub trait Housekeeping: Send + Sync {
    /// Erases what is past its retention; how many rows.
    async fn sweep(&self, retention: &Retention, now: Timestamp) -> Result<u64, Fault>;
    /// What the stored hashes cost to compute, as their texts say, each kind once. Cheap however
    /// many there are.
    async fn hash_classes(&self) -> Result<Vec<String>, Fault>;
    /// Whether the store answers.
    async fn ping(&self) -> Result<(), Fault>;
    /// The time by the database's clock, which all nodes share; `None` where there is one node and
    /// one clock.
    async fn server_time(&self) -> Result<Option<Timestamp>, Fault>;
    /// Finishes what is under way and closes.
    async fn close(&self);
}

/// What an operator watches.
#[async_trait]
pub trait Vitals: Send + Sync {
    /// How many mails are on their way. Cheap enough to be asked every few seconds.
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, Fault>;
    /// How much the pools are used.
    fn pools(&self) -> Vec<PoolUse>;
}

/// Mails that have not gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Those that may go, or are tried again.
    pub unsent: i64,
    /// Those whose turn is still to come.
    pub waiting: i64,
    /// Since when the oldest of those that may go could have gone.
    pub oldest: Option<Timestamp>,
}

/// A pool of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// Which one.
    pub name: &'static str,
    /// Connections that are open.
    pub open: u32,
    /// Of them, those that nobody uses.
    pub idle: u32,
    /// The most that may be open.
    pub most: u32,
}

/// How long rows stay.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Pending, dead and expired verifications.
    pub verifications: Duration,
    /// Mails: no shorter than a day and a code's life, in which they count against an address's
    /// budget.
    pub mails: Duration,
    /// Entries of the revocation log: no shorter than an access token lives.
    pub revocations: Duration,
    /// A session without a refresh.
    pub session_idle: Duration,
    /// A session in all.
    pub session_life: Duration,
}

/// What looks for rows that can't be.
#[async_trait]
pub trait Inspection: Send + Sync {
    /// Looks at every row as of one moment, beside whoever writes, and changes nothing. Rows are
    /// read in pages, so that a large store costs time and no memory.
    async fn inspect(&self, bounds: &Bounds, now: Timestamp) -> Result<Vec<Invariant>, Fault>;
}

/// What stored values may be.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// The budget of mails.
    pub budget: MailBudget,
    /// Whether a stored password hash can be used.
    pub is_hash: fn(&str) -> bool,
}

/// Keys that are retired, and what hangs on each.
#[async_trait]
pub trait KeyRecords: Send + Sync {
    /// Ends a key for good; whether it was not ended before.
    async fn retire_key(&self, kid: &str, act: &Act) -> Result<bool, Fault>;
    /// Every key that was ended, in that order.
    async fn retired_keys(&self) -> Result<Vec<RetiredKey>, Fault>;
    /// What hangs on each key. It counts rows: for an operator, and not for a request.
    async fn key_uses(&self) -> Result<Vec<KeyUse>, Fault>;
}

/// A database.
pub trait Store:
    Accounts
    + Codes
    + Sessions
    + Counters
    + Outbox
    + Audit
    + Housekeeping
    + Vitals
    + Inspection
    + Operators
    + KeyRecords
    + IdempotencyKeys
{
}
impl<
    T: Accounts
        + Codes
        + Sessions
        + Counters
        + Outbox
        + Audit
        + Housekeeping
        + Vitals
        + Inspection
        + Operators
        + KeyRecords
        + IdempotencyKeys,
> Store for T
{
}

/// Who makes the code of a mail.
pub trait CodeSource: Send + Sync {
    /// The code as a person reads it, or `None` where the key is not known here.
    fn code(
        &self,
        verification_id: Uuid,
        purpose: Purpose,
        generation: u32,
        kid: &str,
    ) -> Option<String>;
    /// How long it is good from now.
    fn life(&self) -> Duration;
}

/// A way to send mail.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends one mail; once it returns well, the mail will not be lost here.
    async fn send(&self, mail: &Mail) -> Result<(), SendError>;
}
