//! One account, or a list of them, for the operators: looked at, closed, opened, erased. It sees no
//! hash and no token.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::operator::Operator;
use super::{Done, database, instant};
use crate::config::Config;
use crate::domain::{
    AccountSummary, AuditEvent, AuditKind, AuditRecord, Change, Clock, Email, Fault, LoginKey,
    Notice, SharedClock, Store, SystemClock, Username,
};
use crate::keys::Pseudonyms;
use crate::throttle::Throttle;

/// How often a deletion looks again at an account that was changed meanwhile.
const TRIES: u32 = 5;

/// Which account, and what to do.
#[derive(clap::Args)]
pub struct UserArgs {
    #[command(subcommand)]
    action: Action,
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    operator: Operator,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Show an account
    Show(Who),
    /// List accounts in the order of their names
    List {
        /// Begin after this username
        #[arg(long, value_name = "USERNAME")]
        after: Option<String>,
        /// The most to list
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// End every session of an account and void its open codes
    EndSessions(Who),
    /// Let nobody log in to an account, and end its sessions
    Disable(Who),
    /// Let the owner log in again
    Enable(Who),
    /// Forget the failed logins of an account, so that its owner need not wait
    Unlock(Who),
    /// Erase an account and end its sessions; its owner gets a mail that says so
    Delete {
        #[command(flatten)]
        who: Who,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(clap::Args)]
struct Who {
    /// A username, an e-mail address or an id
    #[arg(value_name = "LOGIN|ID")]
    login: String,
}

/// Runs `user-server user`.
///
/// # Errors
/// Where there is no such account, or the store can't be used.
pub async fn user(config: &Config, args: UserArgs) -> Done {
    let store = database::open(config).await?;
    let done = change(config, &store, args).await;
    store.close().await;
    done
}

async fn change(config: &Config, shared: &Arc<dyn Store>, args: UserArgs) -> Done {
    let (store, json) = (&**shared, args.json);
    let operator = &args.operator;
    match args.action {
        Action::List { after, limit } => return list(store, after.as_deref(), limit, json).await,
        Action::Show(who) => {
            let account = find(store, &who.login).await?;
            say(if json { as_json(&account).to_string() } else { as_text(&account) })?;
        }
        Action::EndSessions(who) => {
            let account = find(store, &who.login).await?;
            let ended = {
                let event = AuditEvent::of(AuditKind::LoggedOut, account.id).detail("all sessions");
                let change = by(operator, store, event).await?;
                store.end_all_sessions(account.id, change).await?
            };
            report(json, &account, "ended the sessions of", Some(ended.sessions))?;
        }
        Action::Disable(who) => {
            let account = find(store, &who.login).await?;
            let ended = {
                let event = AuditEvent::of(AuditKind::Disabled, account.id);
                let change = by(operator, store, event).await?;
                store.disable(account.id, change).await?.ok_or(GONE)?
            };
            report(json, &account, "disabled", Some(ended.sessions))?;
        }
        Action::Enable(who) => {
            let account = find(store, &who.login).await?;
            let event = AuditEvent::of(AuditKind::Enabled, account.id);
            if !store.enable(account.id, by(operator, store, event).await?).await? {
                return Err(GONE.into());
            }
            report(json, &account, "enabled", None)?;
        }
        Action::Unlock(who) => {
            let account = find(store, &who.login).await?;
            unlock(config, shared, &account).await?;
            let event = AuditEvent::of(AuditKind::Unlocked, account.id);
            let context = operator.at(database::now(store).await?);
            store.record(&AuditRecord { context, event }).await?;
            report(json, &account, "unlocked", None)?;
        }
        Action::Delete { who, yes } => {
            let account = find(store, &who.login).await?;
            if !yes && !confirmed(&account)? {
                return Err("nothing was erased".into());
            }
            let sessions = delete(store, account.id, operator).await?;
            report(json, &account, "erased", Some(sessions))?;
        }
    }
    Ok(0)
}

/// Returns a change that an operator makes now.
async fn by(operator: &Operator, store: &dyn Store, event: AuditEvent) -> Result<Change, Fault> {
    Ok(operator.change(database::now(store).await?, event))
}

const GONE: &str = "the account was erased meanwhile";

/// The account of an id, an address or a name.
async fn find(
    store: &dyn Store,
    login: &str,
) -> Result<AccountSummary, Box<dyn std::error::Error>> {
    let id = if let Ok(id) = Uuid::try_parse(login) {
        Some(id)
    } else {
        let user = if login.contains('@') {
            let email = Email::parse(login).map_err(|_| format!("{login} is no address"))?;
            store.user_by_login(LoginKey::Email(email.key())).await?
        } else {
            let name = Username::parse(login).map_err(|_| format!("{login} is no username"))?;
            store.user_by_login(LoginKey::Username(name.key())).await?
        };
        user.map(|user| user.id)
    };
    let account = match id {
        Some(id) => store.account(id).await?,
        None => None,
    };
    account.ok_or_else(|| {
        format!("no account has the login or id {login}; look with: user-server user list").into()
    })
}

async fn list(store: &dyn Store, after: Option<&str>, limit: u32, json: bool) -> Done {
    let after = match after {
        Some(text) => {
            Username::parse(text).map_err(|_| format!("{text} is no username"))?.key().to_owned()
        }
        None => String::new(),
    };
    let accounts = store.accounts_after(&after, limit).await?;
    let mut out = std::io::stdout().lock();
    for account in &accounts {
        if json {
            writeln!(out, "{}", as_json(account))?;
        } else {
            let state = if account.disabled_at.is_some() { "disabled" } else { "active" };
            let AccountSummary { id, username, email, sessions, .. } = account;
            writeln!(out, "{id}  {state:<8}  {sessions:>3} sessions  {username}  {email}")?;
        }
    }
    if let Some(last) = accounts.last().filter(|_| !json && accounts.len() == limit as usize) {
        writeln!(out, "there may be more: --after {}", last.username)?;
    }
    Ok(0)
}

/// Under its name and under its address, since failures are counted by what was typed.
async fn unlock(
    config: &Config,
    store: &Arc<dyn Store>,
    account: &AccountSummary,
) -> Result<(), Box<dyn std::error::Error>> {
    let keys = config.keys()?;
    let pseudonyms = Pseudonyms::new(keys.first()).ok_or("a subkey can not be derived")?;
    let clock = SharedClock::new(Arc::new(SystemClock));
    clock.set(database::now(&**store).await?, SystemClock.now());
    let throttle = Throttle::new(store.clone(), Arc::new(clock), pseudonyms);
    for login in [&account.username_key, &account.email_key] {
        throttle.clear(login).await?;
    }
    Ok(())
}

/// As its owner would, but for the password.
async fn delete(
    store: &dyn Store,
    id: Uuid,
    operator: &Operator,
) -> Result<u32, Box<dyn std::error::Error>> {
    for _ in 0..TRIES {
        let user = store.user(id).await?.ok_or(GONE)?;
        let change = by(operator, store, AuditEvent::of(AuditKind::Deleted, id)).await?;
        if let Some(ended) = store.delete_user(&user, Notice::Deleted, change).await? {
            return Ok(ended.sessions);
        }
    }
    Err("the account changes all the time; try again".into())
}

fn confirmed(account: &AccountSummary) -> Result<bool, Box<dyn std::error::Error>> {
    if !std::io::stdin().is_terminal() {
        return Err("nobody can be asked; say --yes to erase the account".into());
    }
    let mut out = std::io::stderr();
    write!(out, "Erase {} ({})? Type the username to confirm: ", account.username, account.email)?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == account.username)
}

fn report(
    json: bool,
    account: &AccountSummary,
    done: &str,
    sessions: Option<u32>,
) -> std::io::Result<()> {
    if json {
        return say(
            json!({ "id": account.id.to_string(), "done": done, "sessions_ended": sessions })
                .to_string(),
        );
    }
    let ended = sessions.map_or_else(String::new, |count| format!("; {count} sessions ended"));
    say(format!("{done} {} ({}){ended}", account.username, account.id))
}

fn say(text: String) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}

fn as_json(account: &AccountSummary) -> Value {
    json!({
        "id": account.id.to_string(),
        "username": account.username,
        "email": account.email,
        "created_at": instant::show(account.created_at),
        "disabled_at": account.disabled_at.map(instant::show),
        "hash": account.hash_class,
        "sessions": account.sessions,
    })
}

fn as_text(account: &AccountSummary) -> String {
    let disabled = account
        .disabled_at
        .map_or_else(|| "no".to_owned(), |at| format!("since {}", instant::show(at)));
    format!(
        "id        {}\nusername  {}\nemail     {}\ncreated   {}\ndisabled  {disabled}\nhash      {}\nsessions  {}",
        account.id,
        account.username,
        account.email,
        instant::show(account.created_at),
        account.hash_class.as_deref().unwrap_or("not noted"),
        account.sessions,
    )
}
