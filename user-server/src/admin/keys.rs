//! Keys: which there are and what hangs on them, a new one, and the end of one that was lost.

use std::io::Write;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::operator::Operator;
use crate::config::Config;
use crate::domain::{
    AuditEvent, AuditKind, Clock, Fault, KeyUse, RetiredKey, Store, SystemClock, Timestamp,
};
use crate::keys::{Key, KeyRing};
use crate::store::{PostgresStore, SqliteStore};

/// What to do with keys.
#[derive(clap::Subcommand)]
pub enum KeysAction {
    /// Shows every key: whether it signs, and how many sessions and codes hang on it
    List,
    /// Prints a new secret, and how to bring it in without refusing a token
    New,
    /// Makes a key good for nothing, on every node within a second, for good
    Retire {
        /// Which one, as `keys list` shows it
        kid: String,
        /// Even where no other key is left to sign with
        #[arg(long)]
        force: bool,
        /// By whom
        #[command(flatten)]
        operator: Operator,
    },
}

const STEPS: &str = "\
The secret is on standard output. To bring it in without refusing one token:
  1. On every node, append it to JWTSECRETKEY_ACCEPT and restart, one node after the other.
  2. On every node, set JWTSECRETKEY to it, move the old secret to JWTSECRETKEY_ACCEPT, and restart.
  3. When user-server keys list shows no sessions and codes for the old key, wait for ACCESS_TOKEN_EXPIRY and drop it.
     That takes REFRESH_TOKEN_EXPIRY at most; a refresh moves a session to the new key.
A secret that somebody else knows ends at once, after step 1, with: user-server keys retire KID
";

const TAKE_OUT: &str = "take its secret out of JWTSECRETKEY and JWTSECRETKEY_ACCEPT";
const NONE_LEFT: &str = "no key is left, and until JWTSECRETKEY is a new one (user-server keys new) on each node and it is \
                         restarted, nobody can register or log in";

/// Does it.
///
/// # Errors
/// What stands in the way, and the mend.
pub async fn keys(config: &Config, action: KeysAction) -> Result<(), Box<dyn std::error::Error>> {
    if let KeysAction::New = action {
        return new();
    }
    let store = open(config).await?;
    let ring = config.keys()?;
    let retired = store.retired_keys().await?;
    for key in &retired {
        ring.retire(&key.kid);
    }
    let now = store.server_time().await?.unwrap_or_else(|| SystemClock.now());
    let uses = store.key_uses().await?;
    if let KeysAction::Retire { kid, force, operator } = action {
        let known = ring.iter().any(|key| key.kid == kid) || uses.iter().any(|key| key.kid == kid);
        if !known {
            return Err(format!(
                "no key has the kid `{kid}`; user-server keys list shows those that there are"
            )
            .into());
        }
        let another = ring.iter().any(|key| key.kid != kid && !key.is_retired());
        if !another && !force {
            return Err(
                "no other key is left to sign with, so nobody could log in; put a new secret (user-server keys \
                        new) into JWTSECRETKEY_ACCEPT of every node first, or say --force"
                    .into(),
            );
        }
        let event = AuditEvent::new(AuditKind::KeyRetired).detail(kid.as_str());
        store.retire_key(&kid, operator.change(now, event)).await?;
        let mend = if another { TAKE_OUT } else { NONE_LEFT };
        writeln!(std::io::stdout(), "{kid} is retired; {mend}")?;
    } else {
        let mut out = std::io::stdout();
        writeln!(out, "{:<11}  {:<22}  {:>10}  {:>10}", "kid", "role", "sessions", "open codes")?;
        for (kid, role, sessions, codes) in rows(&ring, &retired, &uses, now) {
            writeln!(out, "{kid:<11}  {role:<22}  {sessions:>10}  {codes:>10}")?;
        }
    }
    store.close().await;
    Ok(())
}

async fn open(config: &Config) -> Result<Arc<dyn Store>, Fault> {
    Ok(match &config.postgres {
        Some(postgres) => Arc::new(PostgresStore::open(&postgres.options)),
        None => Arc::new(SqliteStore::attach(&config.data_dir.join("users.db")).await?),
    })
}

fn new() -> Result<(), Box<dyn std::error::Error>> {
    let mut random = Zeroizing::new([0; 48]);
    getrandom::fill(random.as_mut_slice())?;
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(random.as_slice()));
    let kid = Key::new(secret.as_bytes()).map(|key| key.kid).unwrap_or_default();
    writeln!(std::io::stderr(), "The new key's kid is {kid}. {STEPS}")?;
    writeln!(std::io::stdout(), "{}", secret.as_str())?;
    Ok(())
}

type Shown<'a> = (&'a str, String, i64, i64);

/// The configured keys in their order, then those that only rows name.
fn rows<'a>(
    ring: &'a KeyRing,
    retired: &'a [RetiredKey],
    uses: &'a [KeyUse],
    now: Timestamp,
) -> Vec<Shown<'a>> {
    let mut kids: Vec<&str> = ring.iter().map(|key| key.kid.as_str()).collect();
    kids.extend(
        uses.iter().map(|key| key.kid.as_str()).chain(retired.iter().map(|key| key.kid.as_str())),
    );
    let mut shown: Vec<Shown<'a>> = Vec::new();
    for kid in kids {
        if shown.iter().any(|(seen, ..)| *seen == kid) {
            continue;
        }
        let here = ring.iter().any(|key| key.kid == kid);
        let role = match retired.iter().find(|key| key.kid == kid) {
            Some(key) => format!("retired {} ago", span(now, key.at)),
            None if ring.signing().is_some_and(|key| key.kid == kid) => "signs".to_owned(),
            None if here => "accepted".to_owned(),
            None => "not in this node".to_owned(),
        };
        let used = uses.iter().find(|key| key.kid == kid);
        shown.push((
            kid,
            role,
            used.map_or(0, |key| key.sessions),
            used.map_or(0, |key| key.codes),
        ));
    }
    shown
}

fn span(now: Timestamp, at: Timestamp) -> String {
    match now.since(at).as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
