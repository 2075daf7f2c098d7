//! Who runs a command, for the audit.

use crate::domain::{Act, Origin, Timestamp};

/// The longest name that is written down, in characters.
const LONGEST: usize = 64;

/// Who does it.
#[derive(clap::Args)]
pub struct Operator {
    /// Who does it, for the audit
    #[arg(long = "operator", global = true, value_name = "NAME", env = "USER", default_value = "unnamed")]
    #[arg(hide_env_values = true)]
    name: String,
}

impl Operator {
    /// An act of this operator.
    pub(super) fn act(&self, at: Timestamp) -> Act {
        Act { at, origin: Origin::Operator(self.name.chars().take(LONGEST).collect()), claim: None }
    }
}
