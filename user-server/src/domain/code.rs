//! One-time codes: their purposes, guesses at them, and the ports that charge for guesses, resend
//! codes, and derive them.

use std::time::Duration;

use uuid::Uuid;

use super::{Adjustment, Change, Timestamp};

/// Purpose of a one-time code. A code cannot be used for another purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    Registration,
    EmailChange,
    PasswordReset,
}

impl Purpose {
    pub const ALL: [Self; 3] = [Self::Registration, Self::EmailChange, Self::PasswordReset];

    /// Returns the name of this purpose in the database and in the derivation of codes, which must
    /// never change.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::EmailChange => "email_change",
            Self::PasswordReset => "password_reset",
        }
    }

    /// Reports whether codes of this purpose are sent to the current address of an account, rather
    /// than to a new address that is to be verified.
    #[must_use]
    pub fn is_for_an_account(self) -> bool {
        matches!(self, Self::PasswordReset)
    }

    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }
}

/// Guess at a one-time code that was already counted against the limits of wrong guesses.
#[derive(Debug, Clone)]
pub struct Guess {
    pub verification_id: Uuid,
    pub purpose: Purpose,
    /// Sequence number of the current code of the verification: a resend may replace the code.
    pub generation: u32,
    /// Name of the server key that the code is derived from.
    pub kid: String,
    /// Set if no code can be correct, because the address cannot be used (for a registration or
    /// email change it belongs to an account, for a reset it belongs to none), or because no email
    /// with the code has been sent yet.
    pub dead: bool,
    /// Set if the code has expired or was voided. Only a client that has the correct code may learn
    /// this, because it depends on when the email was sent.
    pub expired: bool,
    /// Account that an email change or a reset belongs to, or `None` for a registration or a reset
    /// without an account.
    pub user_id: Option<Uuid>,
    /// Keys of the counters that the guess was charged to. A correct guess is refunded.
    pub charged: Vec<[u8; 32]>,
    /// Account that the code of a registration creates, `None` for other codes.
    pub registrant: Option<Registrant>,
}

/// Account that a registration asks for.
#[derive(Debug, Clone)]
pub struct Registrant {
    /// Canonical form of the requested username.
    pub username_key: String,
    /// Canonical form of the email address.
    pub email_key: String,
    /// Class of the password hash.
    pub hash_class: String,
}

/// Result of [`Codes::charge_guess`].
#[derive(Debug, Clone)]
pub enum GuessCharge {
    Charged(Guess),
    /// The code was used, or has had too many wrong guesses.
    Spent,
    /// There is no code with this verification id, purpose and user.
    Unknown,
    /// A budget for wrong codes is exhausted. Another guess is possible after this time.
    TooMany(Duration),
}

/// Rules for sending a code again. Their result depends only on earlier requests for the
/// verification, never on the fate of its emails, because clients see the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResendPolicy {
    /// Minimum time between two requests for one verification.
    pub pause: Duration,
    /// Maximum number of resends of one verification.
    pub max_resends: u32,
    /// Lifetime of a verification.
    pub life: Duration,
    /// Lifetime of a code. A resend later than this after the last request creates a new code.
    pub code_life: Duration,
    /// Number of wrong guesses after which a resend creates a new code.
    pub max_guesses: u32,
    /// Time for which a network counts as known to an account after a login from it.
    pub known_for: Duration,
}

/// Result of [`Codes::resend`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResendResult {
    Queued,
    /// The last request was too recent, or there were too many. Another is possible after this
    /// time.
    TooSoon(Duration),
    /// There is no verification with this id.
    Unknown,
}

port! {
    ($)
    /// One-time codes, for the `otp` module.
    Codes, codes_port {
        /// Counts one guess at a code before it is compared, up to `max_guesses`, and adjusts
        /// further counters in the same transaction. If `user_id` is given, only codes of that user
        /// are found.
        fn charge_guess(verification_id: Uuid, purpose: Purpose, user_id: Option<Uuid>, max_guesses: u32, charge: Adjustment, now: Timestamp) -> GuessCharge;
        /// Returns the refusal if a guess would be refused before it is compared, or `None` if it
        /// would be counted. Writes nothing.
        fn refused_guess(verification_id: Uuid, purpose: Purpose, user_id: Option<Uuid>, max_guesses: u32) -> Option<GuessCharge>;
        /// Refunds a correct guess after the operation that needed the code failed.
        fn refund_guess(guess: &Guess) -> ();
        /// Queues the email of a verification again. `client` is the keyed hash of the requesting
        /// network. `kids` names the usable server keys, the signing key first; a code that was
        /// derived from any other key is replaced by one of the signing key.
        fn resend(verification_id: Uuid, client: &str, policy: &ResendPolicy, kids: &[&str], change: Change) -> ResendResult;
        /// Returns the refusal if a resend would be refused now, or `None` if it may succeed.
        /// Writes nothing.
        fn refused_resend(verification_id: Uuid, policy: &ResendPolicy, now: Timestamp) -> Option<ResendResult>;
    }
}

/// Derivation of one-time codes from server keys, for the worker that sends emails.
pub trait CodeGenerator: Send + Sync {
    /// Returns the code as it appears in the email, or `None` if this node does not have the server
    /// key `kid`.
    fn code(
        &self,
        verification_id: Uuid,
        purpose: Purpose,
        generation: u32,
        kid: &str,
    ) -> Option<String>;
    /// Returns the lifetime of a code, counted from the last attempt to send its email.
    fn life(&self) -> Duration;
}
