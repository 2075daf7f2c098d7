//! The table of budgets: the rate limit of each kind of operation, per network, user or session.

use std::time::Duration;

use uuid::Uuid;

use crate::domain::ClientNetwork;
use crate::keys::Pseudonyms;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Factor by which the limit of a network is multiplied for all requests without a known network
/// together. Trusted peers send such requests if they do not state the end user's address.
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

            /// Returns the name of this budget in the keys of its counters, which must never
            /// change.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$budget => $name,)* }
            }

            /// Returns the limit for each network, user or session.
            #[must_use]
            pub fn limit(self) -> Limit {
                match self { $(Self::$budget => Limit { uses: $uses, window: $window },)* }
            }
        }
    };
}

budgets! {
    /// Registrations from a network.
    Registrations "registrations" 20 HOUR
    /// Requests for password resets from a network.
    PasswordResets "resets" 20 HOUR
    /// Requests from a network to send a code again.
    Resends "resends" 60 HOUR
    /// Requests from a network to change an email address.
    EmailChangesFrom "email changes from" 20 HOUR
    /// Requests of a user to change the email address.
    EmailChanges "email changes" 5 DAY
    /// Password changes of a user.
    PasswordChanges "password changes" 10 DAY
    /// Username changes of a user.
    UsernameChanges "username changes" 5 DAY
    /// Sessions that a user opens.
    Logins "opened sessions" 100 HOUR
    /// Repeats of the last refresh of a session under an idempotency key, each of which is stored.
    RepeatedRefreshes "repeated refreshes" 60 HOUR
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
    /// Failed logins from a network, with any login identifier.
    FailedLoginsFrom "failures" 100 HOUR
}

/// Maximum number of operations within a time window, which begins with the first operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub uses: u32,
    pub window: Duration,
}

/// Network, user or session that an operation is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payer {
    /// Network of the client, or `None` if a trusted peer did not state it.
    Network(Option<ClientNetwork>),
    User(Uuid),
    Session(Uuid),
}

/// Key and limit of a counter that an operation is charged to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) key: [u8; 32],
    pub(super) limit: Limit,
}

/// Returns the counters that an operation is charged to: one for each prefix length of an IPv6
/// network, otherwise one.
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::keys::Key;

    #[test]
    fn a_wider_network_and_all_unnamed_ones_together_have_a_multiple_of_the_limit() {
        let pseudonyms = Pseudonyms::new(&Key::new(&[7; 32]).unwrap()).unwrap();
        let uses = |payer| -> Vec<u32> {
            let slots = slots(&pseudonyms, Budget::Registrations, payer);
            assert!(slots.iter().all(|slot| slot.limit.window == HOUR));
            slots.iter().map(|slot| slot.limit.uses).collect()
        };
        let network = |ip: &str| {
            let ip: IpAddr = ip.parse().unwrap();
            Payer::Network(Some(ip.into()))
        };
        assert_eq!(uses(network("2001:db8::1")), [20, 4 * 20, 16 * 20]);
        assert_eq!(uses(network("192.0.2.1")), [20]);
        assert_eq!(uses(Payer::Network(None)), [20 * 20]);
        assert_eq!(uses(Payer::User(Uuid::nil())), [20]);
    }
}
