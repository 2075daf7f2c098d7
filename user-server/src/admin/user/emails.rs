//! The command `user emails`: the emails to an address, also to one that no account has. Prints no
//! code and no username.

use std::io::Write;

use serde_json::{Value, json};

use crate::admin::command::{CommandError, CommandResult};
use crate::admin::timestamps;
use crate::domain::{Email, EmailState, Purpose, Store, StoredEmail};

/// Maximum number of emails that are listed.
const LIMIT: u32 = 100;

/// Lists the emails to an address and to its variants with another `+suffix`. The exit code is 1 if
/// there is none.
pub(super) async fn list(store: &dyn Store, address: &str, json: bool) -> CommandResult {
    let email = Email::parse(address).map_err(|_| {
        CommandError::new(format!("invalid address \"{address}\": expected an email address"))
    })?;
    let emails = store.emails_to(&email, LIMIT).await?;
    let mut out = std::io::stdout().lock();
    for email in &emails {
        let line = if json { as_json(email).to_string() } else { as_text(email) };
        writeln!(out, "{line}")?;
    }
    let is_variant = |stored: &StoredEmail| {
        stored.recipient.as_ref().is_some_and(|to| !to.eq_ignore_ascii_case(email.mailbox()))
    };
    if !json && emails.iter().any(is_variant) {
        writeln!(
            std::io::stderr(),
            "Variants of the address with another +suffix are listed too: codes to them share one \
             limit."
        )?;
    }
    if emails.is_empty() && !json {
        return Err(CommandError::new(format!(
            "there is no email to \"{address}\" from the last 24 hours"
        ))
        .hint(
            "Check the spelling: no registration, password reset or change of email was requested \
             for this address. A request over a budget queues no email either; `user-server audit \
             list --kind rate_limited` lists refused requests.",
        ));
    }
    Ok(if emails.is_empty() { 1 } else { 0 })
}

fn as_text(email: &StoredEmail) -> String {
    let StoredEmail { id, kind, attempts, .. } = email;
    let queued = timestamps::format(email.created_at);
    let words = kind.replace('_', " ");
    let to = email.recipient.as_deref().map(|to| format!(" to {to}")).unwrap_or_default();
    let verification =
        email.verification_id.map(|id| format!(" (verification {id})")).unwrap_or_default();
    let tried = match attempts {
        0 => String::new(),
        1 => "1 attempt, ".to_owned(),
        count => format!("{count} attempts, "),
    };
    let state = match email.state {
        EmailState::Waiting => "waits: an address, with all of its +suffix variants, gets one a \
                                minute, 5 an hour, and 10 a day"
            .to_owned(),
        EmailState::Sending(until) => format!(
            "being sent, attempt {attempts}; if there is no result, the next attempt is at {}",
            timestamps::format(until)
        ),
        EmailState::Due(at) => {
            format!("{tried}next attempt at {}; see the log for {id}", timestamps::format(at))
        }
        EmailState::Accepted(at) => {
            format!("accepted by the mail server at {}", timestamps::format(at))
        }
        EmailState::GivenUp(at) => {
            format!("{tried}given up at {}; see the log for {id}", timestamps::format(at))
        }
        EmailState::NotNeeded(at) => {
            let reason = not_needed(kind);
            format!("{tried}not sent, at {}: {reason}", timestamps::format(at))
        }
    };
    format!("{queued}  {id}  {words}{to}{verification}: {state}")
}

/// Returns the possible reasons for not sending an email.
fn not_needed(kind: &str) -> &'static str {
    if kind == Purpose::PasswordReset.name() {
        "no account has the address, or the code is no longer valid"
    } else {
        "an account has the address, and its owner gets a notice instead, or the code is no longer \
         valid"
    }
}

fn as_json(email: &StoredEmail) -> Value {
    let (state, at) = match email.state {
        EmailState::Waiting => ("waiting", None),
        EmailState::Sending(until) => ("sending", Some(until)),
        EmailState::Due(at) => ("due", Some(at)),
        EmailState::Accepted(at) => ("accepted", Some(at)),
        EmailState::GivenUp(at) => ("given_up", Some(at)),
        EmailState::NotNeeded(at) => ("not_needed", Some(at)),
    };
    json!({
        "id": email.id.to_string(),
        "kind": email.kind,
        "verification_id": email.verification_id.map(|id| id.to_string()),
        "recipient": email.recipient,
        "created_at": timestamps::format(email.created_at),
        "attempts": email.attempts,
        "state": state,
        "at": at.map(timestamps::format),
    })
}
