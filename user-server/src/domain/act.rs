//! The circumstances of a change: when it is made, and by whom.

use super::records::KeyClaim;
use super::{ClientNetwork, Timestamp};

/// Who changes something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub origin: Origin,
    /// The idempotency key that it completes.
    pub claim: Option<KeyClaim>,
}

/// Where a change comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A client of the service; from its network, where that is known.
    Client(Option<ClientNetwork>),
    /// An operator of this name, by a command.
    Operator(String),
}

/// A change by a client of whom nothing is known.
impl From<Timestamp> for Act {
    fn from(at: Timestamp) -> Self {
        Self { at, origin: Origin::Client(None), claim: None }
    }
}
