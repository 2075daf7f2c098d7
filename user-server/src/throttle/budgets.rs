//! The table of budgets: the limit of each operation, and what it is counted by.

use std::time::Duration;

use uuid::Uuid;

use crate::domain::ClientNetwork;
use crate::keys::Pseudonyms;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The multiple of a limit that all requests of trusted peers share which name no end user.
pub(super) const UNNAMED: u32 = 20;

/// Declares the budgets with their names in storage, their limits and their windows.
macro_rules! budgets {
    ($($(#[$doc:meta])* $budget:ident $name:literal $uses:literal $window:ident)*) => {
        /// A budget for one kind of operation, counted for each [`Payer`] of it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Budget { $($(#[$doc])* $budget,)* }

        impl Budget {
            /// All budgets.
            pub const ALL: &[Self] = &[$(Self::$budget),*];

            /// Returns the name in storage, which must never change.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$budget => $name,)* }
            }

            /// Returns the limit of one payer.
            #[must_use]
            pub fn limit(self) -> Limit {
                match self { $(Self::$budget => Limit { uses: $uses, window: $window },)* }
            }
        }
    };
}

budgets! {
    /// Registrations of a network.
    Registrations "registrations" 20 HOUR
    /// Requested password resets of a network.
    PasswordResets "resets" 20 HOUR
    /// Codes that a network requests again.
    Resends "resends" 60 HOUR
    /// Requested changes of email address from a network.
    EmailChangesFrom "email changes from" 20 HOUR
    /// Requested changes of the email address of a user.
    EmailChanges "email changes" 5 DAY
    /// Changes of the password of a user.
    PasswordChanges "password changes" 10 DAY
    /// Changes of the username of a user.
    UsernameChanges "username changes" 5 DAY
    /// Sessions that a user opens.
    Logins "opened sessions" 100 HOUR
    /// Sessions that a user ends one by one.
    EndedSessions "ended sessions" 200 DAY
    /// Wrong current passwords in a session.
    WrongPasswordsOfSession "wrong passwords of session" 10 DAY
    /// Wrong current passwords of a user.
    WrongPasswords "wrong passwords" 50 DAY
    /// Wrong six-digit codes from a network.
    WrongCodesFrom "wrong codes from" 50 DAY
    /// Wrong six-digit codes of a user.
    WrongCodes "wrong codes" 50 DAY
    /// Failed logins from a network, at all logins together.
    FailedLoginsFrom "failures" 100 HOUR
}

/// The largest number of operations within a window, which begins with the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub uses: u32,
    pub window: Duration,
}

/// The network, user or session that an operation is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payer {
    /// The network of a request, or `None` where a trusted peer named none.
    Network(Option<ClientNetwork>),
    User(Uuid),
    Session(Uuid),
}

/// A counter that an operation is charged to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) key: [u8; 32],
    pub(super) limit: Limit,
}

/// Returns the counters that an operation is charged to: one, or several for an IPv6 network.
pub(super) fn slots(pseudonyms: &Pseudonyms, budget: Budget, payer: Payer) -> Vec<Slot> {
    let scopes = match payer {
        Payer::Network(Some(network)) => network.scopes(),
        Payer::Network(None) => vec![("unnamed".to_owned(), UNNAMED)],
        Payer::User(id) | Payer::Session(id) => vec![(id.to_string(), 1)],
    };
    let limit = budget.limit();
    let slot = |(payer, factor): (String, u32)| Slot {
        key: pseudonyms.of(budget.name(), &[&payer]),
        limit: Limit { uses: limit.uses * factor, window: limit.window },
    };
    scopes.into_iter().map(slot).collect()
}
