//! The command `audit`: lists and follows rows of the audit log, and verifies its chain. It changes
//! nothing.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::command::{CommandError, CommandResult};
use super::user::find;
use super::{database, timestamps};
use crate::audit::{ChainFault, ChainReport, ChainVerdict, verify};
use crate::config::{Config, printable};
use crate::domain::{AuditEntry, AuditFilter, AuditKind, ChainHash, Store, Timestamp};

/// Interval at which `follow` reads new rows.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);
/// Age up to which `follow` reads rows again, because transactions do not commit in the order of
/// their times.
const OVERLAP: Duration = Duration::from_secs(15);
/// Maximum number of rows that `follow` reads in one query.
const PAGE: u32 = 10_000;

#[derive(clap::Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(clap::Subcommand)]
enum AuditCommand {
    /// List the newest rows, oldest first
    List {
        #[command(flatten)]
        selection: RowSelection,
        /// List only rows from this time on, such as 2026-11-24 or 2026-11-24T08:00:00Z
        #[arg(long, value_name = "TIME", value_parser = time)]
        since: Option<Timestamp>,
        /// List only rows before this time
        #[arg(long, value_name = "TIME", value_parser = time)]
        until: Option<Timestamp>,
        /// Maximum number of rows
        #[arg(long, value_name = "N", default_value_t = 100,
              value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// List rows as they are written, until interrupted
    Follow(RowSelection),
    /// Verify that no row was changed, moved, removed or inserted
    ///
    /// Prints the end of the chain, to be written down elsewhere. The exit code is 1 if the chain
    /// is broken.
    Verify {
        /// End of the chain that an earlier run printed, and that must still be part of it
        #[arg(long, value_name = "HASH@SEQ", value_parser = chain_end)]
        expect: Option<(i64, ChainHash)>,
    },
}

#[derive(clap::Args)]
struct RowSelection {
    /// List only rows of this account; only by its id if it was deleted
    #[arg(long, value_name = "LOGIN|ID")]
    user: Option<String>,
    /// List only rows of this kind, such as login_failed
    #[arg(long, value_parser = kind)]
    kind: Option<String>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

impl RowSelection {
    /// Returns the filter for these rows, without a time and with a limit of [`PAGE`].
    ///
    /// # Errors
    /// If no account has the login.
    async fn filter(&self, store: &dyn Store) -> Result<AuditFilter, CommandError> {
        let user_id = match &self.user {
            None => None,
            Some(login) => Some(match Uuid::try_parse(login) {
                Ok(id) => id,
                Err(_) => find(store, login).await?.id,
            }),
        };
        Ok(AuditFilter { user_id, kind: self.kind.clone(), since: None, until: None, limit: PAGE })
    }
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    timestamps::parse(text).ok_or("expected a time such as 2026-11-24 or 2026-11-24T08:00:00Z")
}

fn kind(text: &str) -> Result<String, String> {
    if AuditKind::ALL.iter().any(|kind| kind.name() == text) {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = AuditKind::ALL.iter().map(|kind| kind.name()).collect();
    Err(format!("expected one of {}", names.join(", ")))
}

fn chain_end(text: &str) -> Result<(i64, ChainHash), &'static str> {
    const EXPECTED: &str = "expected 64 hex digits, @ and a number, as `verify` prints them";
    let (hash, seq) = text
        .split_once('@')
        .filter(|(hash, _)| hash.len() == 64 && hash.is_ascii())
        .ok_or(EXPECTED)?;
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte =
            u8::from_str_radix(hash.get(at..at + 2).ok_or(EXPECTED)?, 16).map_err(|_| EXPECTED)?;
    }
    Ok((seq.parse().map_err(|_| EXPECTED)?, bytes))
}

/// Runs `user-server audit`.
///
/// # Errors
/// If the store cannot be read, or the chain is broken.
pub async fn audit(config: &Config, args: AuditArgs) -> CommandResult {
    let store = database::open(config).await?;
    let result = match args.command {
        AuditCommand::List { selection, since, until, limit } => {
            list(&*store, &selection, since, until, limit).await
        }
        AuditCommand::Follow(selection) => follow(&*store, &selection).await,
        AuditCommand::Verify { expect } => verify_chain(config, &*store, expect).await,
    };
    store.close().await;
    result
}

async fn list(
    store: &dyn Store,
    selection: &RowSelection,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: u32,
) -> CommandResult {
    let mut out = std::io::stdout().lock();
    let filter = AuditFilter { since, until, limit, ..selection.filter(store).await? };
    for entry in store.entries(&filter).await? {
        writeln!(out, "{}", line(&entry, selection.json))?;
    }
    Ok(0)
}

/// Prints new rows of the audit log until it is interrupted. Each row is printed once, although the
/// periods that are read overlap.
async fn follow(store: &dyn Store, selection: &RowSelection) -> CommandResult {
    let filter = selection.filter(store).await?;
    let mut since = database::now(store).await?;
    let mut shown: Vec<(Timestamp, Uuid)> = Vec::new();
    loop {
        let read_at = database::now(store).await?;
        let filter = AuditFilter { since: Some(since), ..filter.clone() };
        for entry in store.entries(&filter).await? {
            if !shown.iter().any(|(_, id)| *id == entry.id) {
                writeln!(std::io::stdout(), "{}", line(&entry, selection.json))?;
                shown.push((entry.at, entry.id));
            }
        }
        since = since.max(read_at.minus(OVERLAP));
        shown.retain(|(at, _)| *at >= since);
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

async fn verify_chain(
    config: &Config,
    store: &dyn Store,
    expect: Option<(i64, ChainHash)>,
) -> CommandResult {
    if config.existing_keys()?.is_none() && store.chain().await?.mac.is_none() {
        return Err(nothing_to_verify());
    }
    let report = verify(store, &database::keys(config, store).await?, expect).await?;
    let mut out = std::io::stdout().lock();
    let ChainReport { first, head: (last, hash), keys, erased, taken_over, unsealed, verdict } =
        report;
    let rows = last - first + 1;
    match rows {
        0 => writeln!(out, "rows      none sealed yet; {unsealed} waiting to be sealed")?,
        _ => writeln!(
            out,
            "rows      {rows}, from {first} to {last}; {unsealed} waiting to be sealed"
        )?,
    }
    for (kid, (rows, known)) in &keys {
        let note = if *known {
            ""
        } else {
            ", unknown here: its MACs are not verified, but the chain over them is"
        };
        writeln!(out, "key       {kid}: {}{note}", counted(*rows, "row"))?;
    }
    if erased > 0 {
        writeln!(out, "erased    the network of {} of deleted accounts", counted(erased, "row"))?;
    }
    for seq in taken_over {
        writeln!(
            out,
            "note      at {seq} the chain was continued although the key of its end was unknown"
        )?;
    }
    writeln!(out, "end       {}@{last}", hex(&hash))?;
    match verdict {
        ChainVerdict::Intact if rows == 0 => Err(nothing_to_verify()),
        ChainVerdict::Intact => {
            let next = "write the end down elsewhere, for --expect";
            writeln!(out, "good      every row is as it was sealed; {next}")?;
            Ok(0)
        }
        ChainVerdict::KeyUnknown => {
            Err(CommandError::new("the chain is intact, but the key of its end is unknown here")
                .hint("Add its secret to JWTSECRETKEY_ACCEPT."))
        }
        ChainVerdict::Broken(seq, ChainFault::Unexpected) => {
            Err(CommandError::new(format!("row {seq} is not the one given with --expect")).hint(
                "Compare it with what an earlier run printed. If it was copied correctly, rows of \
                 the audit log were replaced.",
            ))
        }
        ChainVerdict::Broken(seq, reason) => {
            Err(CommandError::new(format!("the chain is broken at {seq}: {reason}")))
        }
    }
}

/// Formats a number of things, as in `1 row` and `2 rows`.
fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

fn nothing_to_verify() -> CommandError {
    CommandError::new("there is nothing to verify: no row is sealed").hint(
        "A running server seals rows within seconds. If rows were sealed before, they were \
         removed: compare with an end that was written down, using --expect.",
    )
}

fn line(entry: &AuditEntry, as_json: bool) -> String {
    if as_json {
        return json!({
            "id": entry.id.to_string(),
            "at": timestamps::format(entry.at),
            "kind": entry.kind,
            "user_id": entry.user_id.map(|id| id.to_string()),
            "session_id": entry.session_id.map(|id| id.to_string()),
            "subject": entry.subject.as_deref().map(hex),
            "detail": entry.detail,
            "operator": entry.operator,
            "network": entry.network,
            "seq": entry.seal.as_ref().map_or(Value::Null, |seal| seal.seq.into()),
        })
        .to_string();
    }
    let mut text = format!("{}  {:<16}", timestamps::format(entry.at), entry.kind);
    let fields = [
        entry.user_id.map(|id| format!("user {id}")),
        entry.session_id.map(|id| format!("session {id}")),
        entry.network.as_ref().map(|network| format!("from {network}")),
        // Of a registration it is the id of the verification; otherwise it is a hash.
        entry
            .subject
            .as_deref()
            .and_then(|subject| Uuid::from_slice(subject).ok())
            .map(|id| format!("verification {id}")),
        entry.operator.as_ref().map(|name| format!("operator {name}")),
        Some(entry.detail.clone()).filter(|detail| !detail.is_empty()),
    ];
    for field in fields.into_iter().flatten() {
        text.push_str("  ");
        text.push_str(&field);
    }
    text.truncate(text.trim_end().len());
    // A row is a line, whatever its operator and detail contain.
    printable(&text).replace('\n', "\\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
