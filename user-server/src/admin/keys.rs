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
use crate::keys::{Key, KeyRing, TokenAlgorithm};

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
        // It is base64url, which begins with a hyphen for one key in 64.
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Retire the key even if no other key is left to sign with
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        operator: Operator,
    },
}

const STEPS: &str = "\
The secret is on standard output; to write it to a file that only you can read, run
(umask 077; user-server keys new > FILE). A key rotation in these steps rejects no token:
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
        return new_key();
    }
    let store = database::open(config).await?;
    let ring = database::keys(config, &*store).await?;
    let retired = store.retired_keys().await?;
    for key in &retired {
        ring.retire(&key.kid);
    }
    let now = database::now(&*store).await?;
    let uses = store.key_uses().await?;
    let algorithms = (config.tokens.signing, config.tokens.accepted.as_slice());
    if let KeysCommand::List { json: true } = command {
        print_json(&rows(&ring, algorithms, &retired, &uses, now), &retired)?;
    } else if let KeysCommand::Retire { kid, force, operator } = command {
        let key = ring.owner(&kid);
        if key.is_none() && !uses.iter().any(|key| key.kid == kid) {
            return Err(CommandError::new(format!("no key has the kid \"{kid}\""))
                .hint("Run `user-server keys list` to list the keys."));
        }
        let own = key.map(|key| key.kid.as_str());
        let another = ring.active().any(|key| Some(key.kid.as_str()) != own);
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
        // A client that verifies tokens itself knows the derived keys by their own names.
        let kids: Vec<String> = match key {
            Some(key) => key.kids().map(ToOwned::to_owned).collect(),
            None => vec![kid.clone()],
        };
        let new = store.retire_key(&kids, operator.change(now, event)).await?;
        let next = if another { REMOVE_SECRET } else { NONE_LEFT };
        let already = if new { "" } else { "already " };
        writeln!(std::io::stdout(), "{kid} is {already}retired; {next}")?;
    } else {
        let mut out = std::io::stdout();
        let columns = ["kid", "algorithm", "role", "sessions", "open codes"];
        writeln!(
            out,
            "{:<43}  {:<9}  {:<22}  {:>8}  {:>10}",
            columns[0], columns[1], columns[2], columns[3], columns[4]
        )?;
        for line in rows(&ring, algorithms, &retired, &uses, now) {
            let number =
                |count: Option<i64>| count.map_or_else(String::new, |count| count.to_string());
            let text = format!(
                "{:<43}  {:<9}  {:<22}  {:>8}  {:>10}",
                line.kid,
                line.algorithm.map_or("", TokenAlgorithm::name),
                line.role,
                number(line.sessions),
                number(line.codes),
            );
            writeln!(out, "{}", text.trim_end())?;
        }
    }
    store.close().await;
    Ok(0)
}

/// Prints one JSON object per key.
fn print_json(lines: &[KeyLine<'_>], retired: &[RetiredKey]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for key in lines {
        let retired_at = retired.iter().find(|retired| retired.kid == key.kid).map(|key| key.at);
        let role = if retired_at.is_some() { "retired" } else { key.role.as_str() };
        let line = json!({
            "kid": key.kid,
            "algorithm": key.algorithm.map(TokenAlgorithm::name),
            "role": role,
            "retired_at": retired_at.map(timestamps::format),
            "sessions": key.sessions,
            "open_codes": key.codes,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Runs `user-server keys new`, which needs no settings.
///
/// # Errors
/// If the system provides no random bytes, or the secret cannot be printed.
pub fn new_key() -> CommandResult {
    let mut random = Zeroizing::new([0; 48]);
    getrandom::fill(random.as_mut_slice())?;
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(random.as_slice()));
    let kid = Key::new(secret.as_bytes()).map(|key| key.kid).unwrap_or_default();
    writeln!(std::io::stderr(), "The kid of the new key is {kid}. {STEPS}")?;
    writeln!(std::io::stdout(), "{}", secret.as_str())?;
    Ok(0)
}

/// One line of `keys list`.
struct KeyLine<'a> {
    kid: &'a str,
    /// Algorithm of access tokens; `None` if the secret of the key is not configured here.
    algorithm: Option<TokenAlgorithm>,
    role: String,
    /// Number of sessions; `None` for a derived key, which signs access tokens only.
    sessions: Option<i64>,
    /// Number of open codes; `None` for a derived key.
    codes: Option<i64>,
}

/// Returns the lines for the configured keys in their order, each followed by the keys that are
/// derived from it, and then those for keys that only the database contains.
fn rows<'a>(
    ring: &'a KeyRing,
    (signing_algorithm, accepted): (TokenAlgorithm, &[TokenAlgorithm]),
    retired: &'a [RetiredKey],
    uses: &'a [KeyUse],
    now: Timestamp,
) -> Vec<KeyLine<'a>> {
    let role = |kid: &str, otherwise: &str| {
        let retired = retired.iter().find(|key| key.kid == kid);
        retired.map_or_else(
            || otherwise.to_owned(),
            |key| format!("retired {} ago", elapsed(now, key.at)),
        )
    };
    let signing = ring.signing().map(|key| key.kid.as_str());
    let mut lines: Vec<KeyLine<'a>> = Vec::new();
    for key in ring.iter() {
        let signs = signing == Some(key.kid.as_str());
        let used = uses.iter().find(|used| used.kid == key.kid);
        lines.push(KeyLine {
            kid: &key.kid,
            algorithm: Some(TokenAlgorithm::Hs256),
            role: role(&key.kid, if signs { "signs" } else { "accepted" }),
            sessions: Some(used.map_or(0, |used| used.sessions)),
            codes: Some(used.map_or(0, |used| used.codes)),
        });
        lines.extend(key.token_keys().iter().map(|derived| {
            let algorithm = derived.algorithm;
            let own = match accepted.contains(&algorithm) {
                true if signs && algorithm == signing_algorithm => "signs",
                true => "accepted",
                false => "not in TOKEN_ACCEPT",
            };
            let (kid, role) = (derived.kid.as_str(), role(&derived.kid, own));
            KeyLine { kid, algorithm: Some(algorithm), role, sessions: None, codes: None }
        }));
    }
    let stored = uses.iter().map(|key| (key.kid.as_str(), Some(key)));
    for (kid, used) in stored.chain(retired.iter().map(|key| (key.kid.as_str(), None))) {
        if lines.iter().all(|line| line.kid != kid) {
            lines.push(KeyLine {
                kid,
                algorithm: None,
                role: role(kid, "not configured here"),
                sessions: Some(used.map_or(0, |used| used.sessions)),
                codes: Some(used.map_or(0, |used| used.codes)),
            });
        }
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
