//! Who runs a command, for the audit.

use super::place;
use crate::domain::audit::{Event, Kind, Note};
use crate::domain::ports::Store;
use crate::domain::{Act, Fault, Origin, Timestamp};

/// The longest name that is written down, in characters.
const LONGEST: usize = 64;

/// Who does it.
#[derive(clap::Args)]
pub struct Operator {
    /// Who does it, for the audit
    #[arg(
        long = "operator",
        global = true,
        value_name = "NAME",
        env = "USER",
        default_value = "unnamed"
    )]
    #[arg(hide_env_values = true)]
    name: String,
}

impl Operator {
    /// An act of this operator.
    pub(super) fn act(&self, at: Timestamp) -> Act {
        Act { at, origin: Origin::Operator(self.name.chars().take(LONGEST).collect()), claim: None }
    }

    /// Writes into the audit that they do this now, where no other row is changed with it.
    pub(super) async fn note(
        &self,
        store: &dyn Store,
        kind: Kind,
        detail: &str,
    ) -> Result<(), Fault> {
        let act = self.act(place::now(store).await?);
        store.record(&Note { act, event: Event::new(kind).detail(detail) }).await
    }
}
