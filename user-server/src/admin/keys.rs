//! The command `keys`: lists the keys and what depends on them, generates a secret, and retires a
//! compromised key.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use zeroize::Zeroizing;

use super::command::{CommandError, CommandResult};
use super::operator::Operator;
use super::{database, timestamps};
use crate::config::Config;
use crate::domain::{AuditEvent, AuditKind, KeyUse, RetiredKey, Timestamp};
use crate::keys::{Key, KeyRing};

#[derive(clap::Subcommand)]
pub enum KeysCommand {
    /// List every key with its role and the number of sessions and codes that depend on it
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Generate a secret, and print the steps of a key rotation
    New,
    /// Retire a compromised key: within a second, every node rejects all its tokens and codes
    ///
    /// Cannot be undone.
    Retire {
        /// Identifier of the key, as `keys list` shows it
        kid: String,
        /// Retire the key even if no other key is left to sign with
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        operator: Operator,
    },
}

const STEPS: &str = "\
The secret is on standard output. A key rotation in these steps rejects no token:
  1. On every node, append the new secret to JWTSECRETKEY_ACCEPT, and restart one node after the
     other.
  2. On every node, set JWTSECRETKEY to the new secret, move the old one to JWTSECRETKEY_ACCEPT, and
     restart one node after the other.
  3. Wait until `user-server keys list` shows no sessions and no codes for the old key, at most for
     REFRESH_TOKEN_EXPIRY, and then for another ACCESS_TOKEN_EXPIRY. Remove the old secret.
If the old secret is compromised, revoke it after step 1: user-server keys retire KID
";

const REMOVE_SECRET: &str = "remove its secret from JWTSECRETKEY and JWTSECRETKEY_ACCEPT";
const NONE_LEFT: &str = "no key is left: nobody can register or log in until JWTSECRETKEY is set \
                         to a new secret (user-server keys new) and the node is restarted";

/// Runs `user-server keys`.
///
/// # Errors
/// If the store cannot be used, the key to retire is unknown, or it is the last one.
pub async fn keys(config: &Config, command: KeysCommand) -> CommandResult {
    if let KeysCommand::New = command {
        return new();
    }
    let store = database::open(config).await?;
    let ring = config.keys()?;
    let retired = store.retired_keys().await?;
    for key in &retired {
        ring.retire(&key.kid);
    }
    let now = database::now(&*store).await?;
    let uses = store.key_uses().await?;
    if let KeysCommand::List { json: true } = command {
        print_json(&rows(&ring, &retired, &uses, now), &retired)?;
    } else if let KeysCommand::Retire { kid, force, operator } = command {
        let known = ring.iter().any(|key| key.kid == kid) || uses.iter().any(|key| key.kid == kid);
        if !known {
            return Err(CommandError::new(format!("no key has the kid \"{kid}\""))
                .hint("Run `user-server keys list` to list the keys."));
        }
        let another = ring.iter().any(|key| key.kid != kid && !key.is_retired());
        if !another && !force {
            return Err(CommandError::new(
                "no other key is left to sign with, so nobody could log in",
            )
            .hint(
                "Append a new secret (user-server keys new) to JWTSECRETKEY_ACCEPT on every node \
                 first, or pass --force.",
            ));
        }
        let event = AuditEvent::new(AuditKind::KeyRetired).detail(kid.as_str());
        store.retire_key(&kid, operator.change(now, event)).await?;
        let next = if another { REMOVE_SECRET } else { NONE_LEFT };
        writeln!(std::io::stdout(), "{kid} is retired; {next}")?;
    } else {
        let mut out = std::io::stdout();
        writeln!(out, "{:<11}  {:<22}  {:>10}  {:>10}", "kid", "role", "sessions", "open codes")?;
        for (kid, role, sessions, codes) in rows(&ring, &retired, &uses, now) {
            writeln!(out, "{kid:<11}  {role:<22}  {sessions:>10}  {codes:>10}")?;
        }
    }
    store.close().await;
    Ok(0)
}

/// Prints one JSON object per key.
fn print_json(lines: &[KeyLine<'_>], retired: &[RetiredKey]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (kid, role, sessions, codes) in lines {
        let retired_at = retired.iter().find(|key| key.kid == *kid).map(|key| key.at);
        let role = if retired_at.is_some() { "retired" } else { role.as_str() };
        let line = json!({
            "kid": kid,
            "role": role,
            "retired_at": retired_at.map(timestamps::format),
            "sessions": sessions,
            "open_codes": codes,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn new() -> CommandResult {
    let mut random = Zeroizing::new([0; 48]);
    getrandom::fill(random.as_mut_slice())?;
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(random.as_slice()));
    let kid = Key::new(secret.as_bytes()).map(|key| key.kid).unwrap_or_default();
    writeln!(std::io::stderr(), "The kid of the new key is {kid}. {STEPS}")?;
    writeln!(std::io::stdout(), "{}", secret.as_str())?;
    Ok(0)
}

/// A line of `keys list`: kid, role, number of sessions, and number of open codes.
type KeyLine<'a> = (&'a str, String, i64, i64);

/// Returns the lines for the configured keys in their order, followed by keys that only the
/// database contains.
fn rows<'a>(
    ring: &'a KeyRing,
    retired: &'a [RetiredKey],
    uses: &'a [KeyUse],
    now: Timestamp,
) -> Vec<KeyLine<'a>> {
    let mut kids: Vec<&str> = ring.iter().map(|key| key.kid.as_str()).collect();
    kids.extend(
        uses.iter().map(|key| key.kid.as_str()).chain(retired.iter().map(|key| key.kid.as_str())),
    );
    let mut lines: Vec<KeyLine<'a>> = Vec::new();
    for kid in kids {
        if lines.iter().any(|(seen, ..)| *seen == kid) {
            continue;
        }
        let configured = ring.iter().any(|key| key.kid == kid);
        let role = match retired.iter().find(|key| key.kid == kid) {
            Some(key) => format!("retired {} ago", elapsed(now, key.at)),
            None if ring.signing().is_some_and(|key| key.kid == kid) => "signs".to_owned(),
            None if configured => "accepted".to_owned(),
            None => "not configured here".to_owned(),
        };
        let used = uses.iter().find(|key| key.kid == kid);
        lines.push((
            kid,
            role,
            used.map_or(0, |key| key.sessions),
            used.map_or(0, |key| key.codes),
        ));
    }
    lines
}

fn elapsed(now: Timestamp, at: Timestamp) -> String {
    match now.since(at).as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
