//! One-time codes: their purposes, guesses at them, and the ports that charge for guesses, resend
//! codes, and derive them.

use std::time::Duration;

use uuid::Uuid;

use super::{Adjustment, Change, Timestamp};

/// The purpose of a code. A code verifies only its own purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    Registration,
    EmailChange,
    PasswordReset,
}

impl Purpose {
    pub const ALL: [Self; 3] = [Self::Registration, Self::EmailChange, Self::PasswordReset];

    /// Returns the name in storage and in the derivation of codes, which must never change.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::EmailChange => "email_change",
            Self::PasswordReset => "password_reset",
        }
    }

    /// Reports whether its codes go to the address of an account, not to one that is to become it.
    #[must_use]
    pub fn is_for_an_account(self) -> bool {
        matches!(self, Self::PasswordReset)
    }

    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }
}

/// A guess at a code that was charged for.
#[derive(Debug, Clone)]
pub struct Guess {
    pub verification_id: Uuid,
    pub purpose: Purpose,
    /// The number of the verification's current code.
    pub generation: u32,
    /// The name of the key that the code is derived from.
    pub kid: String,
    /// Set where no code is correct: the address belongs to another account or to none, or no
    /// email has been claimed yet.
    pub dead: bool,
    /// Set where the code can no longer be used. Only a client that has the correct code may learn
    /// it, because it depends on when the email was sent.
    pub expired: bool,
    /// The account that an email change or a reset belongs to.
    pub user_id: Option<Uuid>,
    /// The keys of the counters that the guess was charged to. It is refunded when the code is
    /// spent, since it was not wrong.
    pub charged: Vec<[u8; 32]>,
}

/// Result of [`Codes::charge_guess`].
#[derive(Debug, Clone)]
pub enum GuessCharge {
    Charged(Guess),
    /// The code is used, or out of guesses.
    Spent,
    /// There is no such code.
    Unknown,
    /// A budget for wrong codes is exhausted; another guess is possible after this time.
    TooMany(Duration),
}

/// The rules of resends. All that they decide depends on the requests for a verification only,
/// never on what happened to its emails, because clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResendPolicy {
    /// The time between two requests.
    pub pause: Duration,
    /// The largest number of resends of one verification.
    pub max_resends: u32,
    /// The lifetime of a verification.
    pub life: Duration,
    /// The lifetime of a code; a resend later than this after the last request creates a new one.
    pub code_life: Duration,
    /// The number of wrong guesses after which a resend creates a new code.
    pub max_guesses: u32,
    /// The time for which a network that opened a session of an account is known to it.
    pub known_for: Duration,
}

/// Result of [`Codes::resend`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResendResult {
    Queued,
    /// The last request was too recent, or there were too many; another is possible after this
    /// time.
    TooSoon(Duration),
    /// There is no such verification.
    Unknown,
}

port! {
    ($)
    /// Codes, for the OTP service.
    Codes, codes_port {
        /// Charges for one guess at a code, of at most `max_guesses`, and makes an adjustment of
        /// further counters with it. `user_id` restricts it to codes of that user.
        fn charge_guess(verification_id: Uuid, purpose: Purpose, user_id: Option<Uuid>, max_guesses: u32, charge: Adjustment, now: Timestamp) -> GuessCharge;
        /// Refunds a correct guess after its use failed.
        fn refund_guess(guess: &Guess) -> ();
        /// Queues the email of a verification again. `kids` names the usable keys, the signing key
        /// first; a code of any other key is replaced by one of the signing key.
        fn resend(verification_id: Uuid, client: &str, policy: &ResendPolicy, kids: &[&str], change: Change) -> ResendResult;
        /// Returns the result of a resend that would be refused, or `None` if it may succeed.
        /// Writes nothing.
        fn refused_resend(verification_id: Uuid, policy: &ResendPolicy, now: Timestamp) -> Option<ResendResult>;
    }
}

/// The derivation of codes, for the worker that sends them.
pub trait CodeGenerator: Send + Sync {
    /// Returns the code as it appears in the email, or `None` if this node does not have the key.
    fn code(
        &self,
        verification_id: Uuid,
        purpose: Purpose,
        generation: u32,
        kid: &str,
    ) -> Option<String>;
    /// Returns the lifetime of a code, from when its email is first claimed.
    fn life(&self) -> Duration;
}
