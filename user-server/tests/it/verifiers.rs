//! Verifiers of access tokens in front of live nodes: no token is valid for longer than the bound
//! after its session has ended, whatever fails meanwhile. A checker examines the recorded history
//! of revocations and verdicts.

mod faults;
mod fleet;
#[path = "../../../user-proto/tests/it/verifier/history.rs"]
mod history;
mod one_node;
mod settings;

use std::time::Duration;

/// Bound in normal operation.
const NORMAL: Duration = Duration::from_secs(1);
/// Bound while nodes stop, start and hang.
const WORST: Duration = Duration::from_secs(2);
/// Bound while no node knows more: the age limit of a verifier.
const AGE_LIMIT: Duration = Duration::from_secs(5);

/// Setting of the nodes.
const EDDSA: (&str, &str) = ("TOKEN_SIGNING", "EdDSA");
