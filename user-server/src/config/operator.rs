//! The name of the operator who runs a command, for the audit log.

use crate::process::user_name;

/// Returns the name of the operator: who called sudo, the login name, or the name of the user that
/// runs the process, which exists without a login shell too.
#[must_use]
pub fn operator_name() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let own = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(user_name);
    match variable("SUDO_USER").filter(|caller| *caller != own) {
        Some(caller) => format!("{caller} (as {own})"),
        None => own,
    }
}
