//! The commands that create an account, set its email address, send it a reset code, and list its
//! sessions.

use std::io::{Read, Write};

use serde_json::json;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::super::command::{CommandError, CommandResult};
use super::super::operator::Operator;
use super::super::{database, timestamps};
use super::{AccountArg, find, print};
use crate::config::Config;
use crate::domain::{
    AuditEvent, AuditKind, Email, EmailSetResult, Imported, NewUser, Notice, NoticeRequest,
    Password, PendingLimit, PendingResult, Refusal, ResetRequest, Store, Username,
};
use crate::{outbox, password};

/// Maximum number of bytes that are read as a password, more than any that is allowed.
const MAX_INPUT: u64 = 4096;
/// Maximum number of sessions that are listed.
const MAX_SESSIONS: u32 = 1000;
/// The requester of a reset code, among which the email queue is fair.
const CLIENT: &str = "operator";

#[derive(clap::Args)]
pub(super) struct CreateArgs {
    /// Username of 3 to 32 characters, without `@`
    username: String,
    /// Email address, which counts as verified
    email: String,
    /// Read the password from standard input; without it, only a password reset opens the account
    #[arg(long)]
    password_stdin: bool,
}

#[derive(clap::Args)]
pub(super) struct SetEmailArgs {
    #[command(flatten)]
    pub(super) account: AccountArg,
    /// New email address, which counts as verified
    email: String,
}

/// Creates an active account.
pub(super) async fn create(
    config: &Config,
    store: &dyn Store,
    operator: &Operator,
    args: &CreateArgs,
    json: bool,
) -> CommandResult {
    let username = Username::choose(&args.username).map_err(invalid)?;
    let email = Email::parse(&args.email).map_err(invalid)?;
    let now = database::now(store).await?;
    let password_hash = match args.password_stdin {
        true => {
            let text = read_password()?;
            let password =
                Password::chosen(text.trim_end_matches(['\r', '\n']).as_bytes(), "password")
                    .map_err(invalid)?;
            let words = [username.shown().to_owned(), email.shown().to_owned()];
            password::hash_new(&password, &words, config.hash_cost).map_err(|error| {
                CommandError::new(error.to_string())
                    .hint("Choose a longer or less common password.")
            })?
        }
        // Nobody knows a password with this hash.
        false => password::unusable(config.hash_cost)?,
    };
    let id = Uuid::now_v7();
    let user = NewUser { id, username, email, password_hash, created_at: now, disabled_at: None };
    let event = AuditEvent::of(AuditKind::Created, id);
    match store.create_account(&user, operator.change(now, event)).await? {
        Imported::Added => {}
        Imported::UsernameTaken => return Err(taken("username", user.username.shown())),
        Imported::EmailTaken => return Err(taken("email address", user.email.shown())),
        Imported::AlreadyThere | Imported::IdTaken => {
            return Err(
                CommandError::new("the random id of the account is taken").hint("Try again.")
            );
        }
    }
    let (name, address) = (user.username.shown(), user.email.shown());
    print(match json {
        true => json!({ "id": id.to_string(), "username": name, "email": address }).to_string(),
        false if args.password_stdin => format!("created {name} ({id})"),
        false => format!(
            "created {name} ({id}) without a password; to let the owner choose one, run: \
             user-server user send-reset {id}"
        ),
    })?;
    Ok(0)
}

/// Sets the email address of an account, and notifies the old one.
pub(super) async fn set_email(
    store: &dyn Store,
    operator: &Operator,
    args: &SetEmailArgs,
    json: bool,
) -> CommandResult {
    let account = find(store, &args.account.login).await?;
    let email = Email::parse(&args.email).map_err(invalid)?;
    if email.shown() == account.email {
        print(match json {
            true => json!({ "id": account.id.to_string(), "email": account.email }).to_string(),
            false => format!(
                "the email address of {} is already {}; nothing was changed",
                account.username, account.email
            ),
        })?;
        return Ok(0);
    }
    let now = database::now(store).await?;
    let event = AuditEvent::of(AuditKind::EmailSet, account.id);
    let change = operator.change(now, event);
    let notice = NoticeRequest { notice: Notice::EmailChanged, client: "" };
    match store.set_email(account.id, &email, notice, change).await? {
        EmailSetResult::Set => {}
        EmailSetResult::Taken => return Err(taken("email address", email.shown())),
        EmailSetResult::Gone => return Err(super::gone()),
    }
    let (id, address) = (account.id, email.shown());
    print(match json {
        true => json!({ "id": id.to_string(), "email": address }).to_string(),
        false => format!(
            "the address of {} ({id}) is now {address}; an email notifies {}",
            account.username, account.email
        ),
    })?;
    Ok(0)
}

/// Queues an email with a reset code. The running server sends it.
pub(super) async fn send_reset(
    config: &Config,
    store: &dyn Store,
    operator: &Operator,
    login: &str,
    json: bool,
) -> CommandResult {
    let account = find(store, login).await?;
    let email = Email::parse(&account.email).map_err(invalid)?;
    let keys = database::keys(config, store).await?;
    for key in store.retired_keys().await? {
        keys.retire(&key.kid);
    }
    let kid = keys.signing().map(|key| key.kid.clone()).ok_or_else(|| {
        CommandError::new("every key is retired").hint("Run `user-server keys new`.")
    })?;
    let verification_id = Uuid::new_v4();
    let request = ResetRequest {
        verification_id,
        email,
        client: CLIENT.to_owned(),
        kid,
        known_for: outbox::KNOWN_FOR,
        // The limit protects against clients.
        limit: PendingLimit { max: u32::MAX, ..outbox::pending_limit(config.code_life, true) },
    };
    let now = database::now(store).await?;
    let event =
        AuditEvent::of(AuditKind::ResetRequested, account.id).subject(verification_id.as_bytes());
    let stored = store.request_reset(&request, operator.change(now, event)).await?;
    if stored != PendingResult::Stored {
        return Err(CommandError::new("too many resets are pending").hint("Try again later."));
    }
    print(match json {
        true => json!({
            "id": account.id.to_string(),
            "verification_id": verification_id.to_string(),
        })
        .to_string(),
        false => format!(
            "an email with a code goes to {}, within the budget of that address; the owner enters \
             it with the verification id {verification_id}",
            account.email
        ),
    })?;
    Ok(0)
}

/// Lists the open sessions of an account.
pub(super) async fn sessions(store: &dyn Store, login: &str, json: bool) -> CommandResult {
    let account = find(store, login).await?;
    let mut out = std::io::stdout().lock();
    let sessions = store.sessions_of(account.id, MAX_SESSIONS).await?;
    if sessions.is_empty() && !json {
        writeln!(std::io::stderr(), "{} has no open session", account.username)?;
    }
    for session in sessions {
        let (created, used) =
            (timestamps::format(session.created_at), timestamps::format(session.last_used_at));
        if json {
            let line = json!({
                "id": session.id.to_string(),
                "created_at": created,
                "last_used_at": used,
                "device": session.device,
                "network": session.network,
            });
            writeln!(out, "{line}")?;
        } else {
            let device = session.device.as_deref().map(escaped).unwrap_or_default();
            let network = session.network.as_deref().unwrap_or("unknown network");
            let id = session.id;
            let line = format!("{id}  created {created}  used {used}  {network}  {device}");
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    Ok(0)
}

/// Returns a text that a client has chosen without characters that control a terminal.
fn escaped(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

fn read_password() -> Result<Zeroizing<String>, CommandError> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin().take(MAX_INPUT).read_to_string(&mut text)?;
    Ok(text)
}

fn invalid(refusal: Refusal) -> CommandError {
    CommandError::new(refusal.to_string())
}

fn taken(what: &str, value: &str) -> CommandError {
    CommandError::new(format!("another account has the {what} {value}"))
}
