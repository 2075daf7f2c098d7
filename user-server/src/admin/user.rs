//! The command `user`: shows, lists, finds, creates, disables, enables, unlocks and deletes
//! accounts. It reads no password hash and no token.

mod account;
mod emails;

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use account::{CreateArgs, SetEmailArgs};

use super::command::{CommandError, CommandResult};
use super::operator::Operator;
use super::{database, timestamps};
use crate::config::Config;
use crate::domain::{
    AccountSummary, AuditEvent, AuditKind, Change, Clock, Email, Fault, LoginKey, Notice,
    NoticeRequest, SharedClock, Store, SystemClock, Username,
};
use crate::keys::Pseudonyms;
use crate::throttle::Throttle;

/// Maximum number of attempts to delete an account, if requests change it at the same time.
const MAX_ATTEMPTS: u32 = 5;

#[derive(clap::Args)]
pub struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
    /// Print one JSON object per line
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    operator: Operator,
}

#[derive(clap::Subcommand)]
enum UserCommand {
    /// Show an account
    Show(AccountArg),
    /// List accounts by username
    List {
        /// List only accounts after this username
        #[arg(long, value_name = "USERNAME")]
        after: Option<String>,
        /// Maximum number of accounts
        #[arg(long, value_name = "N", default_value_t = 100,
              value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// List accounts with a username or an email address that begins with a text
    Find {
        /// First letters of a username or an email address, at least two
        text: String,
        /// Maximum number of accounts
        #[arg(long, value_name = "N", default_value_t = 100,
              value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// List the emails to an address from the last 24 hours, also to one that no account has, and
    /// to its variants with another +suffix
    Emails {
        /// Email address
        address: String,
    },
    /// List the open sessions of an account
    Sessions(AccountArg),
    /// Create an active account
    Create(CreateArgs),
    /// Set the email address of an account without a code; an email notifies the old address
    SetEmail(SetEmailArgs),
    /// Send the owner of an account a code that sets a new password
    SendReset(AccountArg),
    /// End every session of an account and invalidate its open codes
    EndSessions(AccountArg),
    /// Refuse logins to an account, end its sessions and invalidate its open codes
    Disable(AccountArg),
    /// Allow logins to an account that was disabled
    Enable(AccountArg),
    /// Forget the failed logins of an account, which ends a lockout
    Unlock(AccountArg),
    /// Delete an account and end its sessions; an email notifies its owner
    Delete {
        #[command(flatten)]
        account: AccountArg,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

#[derive(clap::Args)]
struct AccountArg {
    /// Username, email address or id of the account
    #[arg(value_name = "LOGIN|ID")]
    login: String,
}

/// Runs `user-server user`.
///
/// # Errors
/// If there is no such account, or the store cannot be used.
pub async fn user(config: &Config, args: UserArgs) -> CommandResult {
    let store = database::open(config).await?;
    let result = execute(config, &store, args).await;
    store.close().await;
    result
}

async fn execute(config: &Config, shared: &Arc<dyn Store>, args: UserArgs) -> CommandResult {
    let (store, json) = (&**shared, args.json);
    let operator = &args.operator;
    match args.command {
        UserCommand::List { after, limit } => {
            return list(store, after.as_deref(), limit, json).await;
        }
        UserCommand::Find { text, limit } => return find_like(store, &text, limit, json).await,
        UserCommand::Emails { address } => return emails::list(store, &address, json).await,
        UserCommand::Sessions(argument) => {
            return account::sessions(store, &argument.login, json).await;
        }
        UserCommand::Create(args) => {
            return account::create(config, store, operator, &args, json).await;
        }
        UserCommand::SetEmail(args) => {
            return account::set_email(store, operator, &args, json).await;
        }
        UserCommand::SendReset(argument) => {
            return account::send_reset(config, store, operator, &argument.login, json).await;
        }
        UserCommand::Show(argument) => {
            let account = find(store, &argument.login).await?;
            print(if json { as_json(&account).to_string() } else { as_text(&account) })?;
        }
        UserCommand::EndSessions(argument) => {
            let account = find(store, &argument.login).await?;
            let event = AuditEvent::of(AuditKind::LoggedOut, account.id).detail("all sessions");
            let change = change(operator, store, event).await?;
            let ended = store.end_all_sessions(account.id, change).await?;
            report(json, &account, "ended the sessions of", Some(ended.sessions))?;
        }
        UserCommand::Disable(argument) => {
            let account = find(store, &argument.login).await?;
            if account.disabled_at.is_some() && account.sessions == 0 {
                report(json, &account, "already disabled:", None)?;
                return Ok(0);
            }
            let event = AuditEvent::of(AuditKind::Disabled, account.id);
            let change = change(operator, store, event).await?;
            let ended = store.disable(account.id, change).await?.ok_or_else(gone)?;
            report(json, &account, "disabled", Some(ended.sessions))?;
        }
        UserCommand::Enable(argument) => {
            let account = find(store, &argument.login).await?;
            if account.disabled_at.is_none() {
                report(json, &account, "already enabled:", None)?;
                return Ok(0);
            }
            let event = AuditEvent::of(AuditKind::Enabled, account.id);
            if !store.enable(account.id, change(operator, store, event).await?).await? {
                return Err(gone());
            }
            report(json, &account, "enabled", None)?;
        }
        UserCommand::Unlock(argument) => {
            let account = find(store, &argument.login).await?;
            unlock(config, shared, &account).await?;
            operator.record(store, AuditEvent::of(AuditKind::Unlocked, account.id)).await?;
            report(json, &account, "unlocked", None)?;
        }
        UserCommand::Delete { account, yes } => {
            let account = find(store, &account.login).await?;
            if !yes && !confirmed(&account)? {
                return Err(CommandError::new("the account was not deleted: not confirmed"));
            }
            let sessions = delete(store, account.id, operator).await?;
            report(json, &account, "deleted", Some(sessions))?;
        }
    }
    Ok(0)
}

/// Returns a change that an operator makes now.
async fn change(
    operator: &Operator,
    store: &dyn Store,
    event: AuditEvent,
) -> Result<Change, Fault> {
    Ok(operator.change(database::now(store).await?, event))
}

fn gone() -> CommandError {
    CommandError::new("the account was deleted in the meantime")
}

/// Finds an account by its id, email address or username.
pub(super) async fn find(store: &dyn Store, login: &str) -> Result<AccountSummary, CommandError> {
    let invalid = |expected: &str| {
        CommandError::new(format!("invalid login \"{login}\": expected {expected}"))
    };
    let id = if let Ok(id) = Uuid::try_parse(login) {
        Some(id)
    } else {
        let user = if login.contains('@') {
            let email = Email::parse(login).map_err(|_| invalid("an email address"))?;
            store.user_by_login(LoginKey::Email(email.key())).await?
        } else {
            let name = Username::parse(login)
                .map_err(|_| invalid("a username, an email address or an id"))?;
            store.user_by_login(LoginKey::Username(name.key())).await?
        };
        user.map(|user| user.id)
    };
    let account = match id {
        Some(id) => store.account(id).await?,
        None => None,
    };
    account.ok_or_else(|| {
        CommandError::new(format!("no account has the login or id \"{login}\""))
            .hint("Run `user-server user list` to list the accounts.")
    })
}

async fn list(store: &dyn Store, after: Option<&str>, limit: u32, json: bool) -> CommandResult {
    let after = match after {
        Some(text) => {
            let invalid = |_| CommandError::new(format!("invalid username \"{text}\" for --after"));
            Username::parse(text).map_err(invalid)?.key().to_owned()
        }
        None => String::new(),
    };
    let accounts = store.accounts_after(&after, limit).await?;
    print_lines(&accounts, json)?;
    let mut out = std::io::stdout().lock();
    if let Some(last) = accounts.last().filter(|_| !json && accounts.len() == limit as usize) {
        writeln!(out, "there may be more; to list them, pass --after {}", last.username)?;
    }
    Ok(0)
}

/// Lists the accounts with a username or an email address that begins with a text. The exit code is
/// 1 if there is none.
async fn find_like(store: &dyn Store, text: &str, limit: u32, json: bool) -> CommandResult {
    // The keys are in lower case, and so short a text would match half of the accounts.
    let prefix: String = text.trim().to_lowercase();
    if prefix.chars().count() < 2 {
        return Err(CommandError::new(format!(
            "invalid text \"{text}\": expected at least two letters"
        )));
    }
    let accounts = store.accounts_like(&prefix, limit).await?;
    print_lines(&accounts, json)?;
    if accounts.len() == limit as usize && !json {
        writeln!(std::io::stderr(), "there may be more; to list them, raise --limit")?;
    }
    if accounts.is_empty() && !json {
        return Err(CommandError::new(format!(
            "no account has a username or an email address that begins with \"{prefix}\""
        ))
        .hint(
            "A registration without its code is not an account yet; `user-server user emails \
             ADDRESS` lists its emails.",
        ));
    }
    Ok(if accounts.is_empty() { 1 } else { 0 })
}

/// Prints one line per account.
fn print_lines(accounts: &[AccountSummary], json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for account in accounts {
        if json {
            writeln!(out, "{}", as_json(account))?;
        } else {
            let state = if account.disabled_at.is_some() { "disabled" } else { "active" };
            let AccountSummary { id, username, email, sessions, .. } = account;
            let plural = if *sessions == 1 { " " } else { "s" };
            writeln!(out, "{id}  {state:<8}  {sessions:>3} session{plural}  {username}  {email}")?;
        }
    }
    Ok(())
}

/// Forgets the failed logins with the username and with the email address, which are counted
/// separately, and the wrong current passwords in requests of the account.
async fn unlock(
    config: &Config,
    store: &Arc<dyn Store>,
    account: &AccountSummary,
) -> Result<(), CommandError> {
    let keys = database::keys(config, &**store).await?;
    let pseudonyms = Pseudonyms::new(keys.configured())
        .ok_or_else(|| CommandError::new("cannot derive a subkey"))?;
    let clock = SharedClock::new(Arc::new(SystemClock));
    clock.correct(database::now(&**store).await?, SystemClock.now(), std::time::Duration::ZERO);
    let throttle = Throttle::new(store.clone(), Arc::new(clock), pseudonyms);
    throttle.clear(&account.username_key, &account.email_key, account.id).await?;
    Ok(())
}

/// Deletes an account in the same way as a request of its owner, but without the password. Returns
/// the number of sessions that have ended.
async fn delete(store: &dyn Store, id: Uuid, operator: &Operator) -> Result<u32, CommandError> {
    for _ in 0..MAX_ATTEMPTS {
        let user = store.user(id).await?.ok_or_else(gone)?;
        let change = change(operator, store, AuditEvent::of(AuditKind::Deleted, id)).await?;
        let notice = NoticeRequest { notice: Notice::Deleted, client: "" };
        if let Some(ended) = store.delete_user(&user, notice, change).await? {
            return Ok(ended.sessions);
        }
    }
    Err(CommandError::new("the account is being changed at the same time").hint("Try again."))
}

/// Asks the operator to confirm the deletion of an account.
fn confirmed(account: &AccountSummary) -> Result<bool, CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::new("cannot ask for confirmation: stdin is not a terminal")
            .hint("Pass --yes to delete the account without confirmation."));
    }
    let mut out = std::io::stderr();
    write!(out, "Delete {} ({})? Type the username to confirm: ", account.username, account.email)?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == account.username)
}

fn report(
    json: bool,
    account: &AccountSummary,
    action: &str,
    sessions: Option<u32>,
) -> std::io::Result<()> {
    if json {
        return print(
            json!({
                "id": account.id.to_string(),
                "done": action.trim_end_matches(':'),
                "sessions_ended": sessions,
            })
            .to_string(),
        );
    }
    let ended = sessions.map_or_else(String::new, |count| {
        format!("; {count} session{} ended", if count == 1 { "" } else { "s" })
    });
    print(format!("{action} {} ({}){ended}", account.username, account.id))
}

fn print(text: String) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}

fn as_json(account: &AccountSummary) -> Value {
    json!({
        "id": account.id.to_string(),
        "username": account.username,
        "email": account.email,
        "created_at": timestamps::format(account.created_at),
        "disabled_at": account.disabled_at.map(timestamps::format),
        "hash": account.hash_class,
        "sessions": account.sessions,
    })
}

fn as_text(account: &AccountSummary) -> String {
    let disabled = account
        .disabled_at
        .map_or_else(|| "no".to_owned(), |at| format!("since {}", timestamps::format(at)));
    format!(
        "id        {}\n\
         username  {}\n\
         email     {}\n\
         created   {}\n\
         disabled  {disabled}\n\
         hash      {}\n\
         sessions  {}",
        account.id,
        account.username,
        account.email,
        timestamps::format(account.created_at),
        account.hash_class.as_deref().unwrap_or("unknown"),
        account.sessions,
    )
}
