//! The audit for the operators: rows listed or followed, and the chain proved. It changes nothing.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Done, database, instant};
use crate::audit::{ChainReport, ChainVerdict, verify};
use crate::config::Config;
use crate::domain::{AuditEntry, AuditFilter, AuditKind, ChainHash, Store, Timestamp};

/// Between two looks for new rows.
const PERIOD: Duration = Duration::from_secs(1);
/// How far back a look goes again, since transactions do not end in the order of their times.
const OVERLAP: Duration = Duration::from_secs(15);
/// Rows of one look.
const PAGE: u32 = 10_000;

/// What to do with the audit.
#[derive(clap::Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List the newest rows, the oldest of them first
    List {
        #[command(flatten)]
        which: Which,
        /// Not before this moment, such as 2026-11-24 or 2026-11-24T08:00:00Z
        #[arg(long, value_parser = moment)]
        since: Option<Timestamp>,
        /// Before this moment
        #[arg(long, value_parser = moment)]
        until: Option<Timestamp>,
        /// The most to list
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// List rows as they are written, until it is interrupted
    Follow(Which),
    /// Prove that no row was changed, moved or taken out, and print the end to write down; ends
    /// with 1 where one was
    Verify {
        /// What an earlier run printed as the end: it has to be there still
        #[arg(long, value_name = "HASH@SEQ", value_parser = mark)]
        expect: Option<(i64, ChainHash)>,
    },
}

#[derive(clap::Args)]
struct Which {
    /// Of this account
    #[arg(long, value_name = "ID")]
    user: Option<Uuid>,
    /// Of this kind, such as login_failed
    #[arg(long, value_parser = kind)]
    kind: Option<String>,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

impl Which {
    fn filter(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: u32,
    ) -> AuditFilter {
        AuditFilter { user_id: self.user, kind: self.kind.clone(), since, until, limit }
    }
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    instant::parse(text).ok_or("it is no moment; write 2026-11-24 or 2026-11-24T08:00:00Z")
}

fn kind(text: &str) -> Result<String, String> {
    if AuditKind::ALL.iter().any(|kind| kind.name() == text) {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = AuditKind::ALL.iter().map(|kind| kind.name()).collect();
    Err(format!("it is none of {}", names.join(", ")))
}

fn mark(text: &str) -> Result<(i64, ChainHash), &'static str> {
    const WRONG: &str = "it is not what verify prints, 64 digits of hex, @ and a number";
    let (hash, seq) = text
        .split_once('@')
        .filter(|(hash, _)| hash.len() == 64 && hash.is_ascii())
        .ok_or(WRONG)?;
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hash.get(at..at + 2).ok_or(WRONG)?, 16).map_err(|_| WRONG)?;
    }
    Ok((seq.parse().map_err(|_| WRONG)?, bytes))
}

/// Runs `user-server audit`.
///
/// # Errors
/// Where the store can't be read.
pub async fn audit(config: &Config, args: AuditArgs) -> Done {
    let store = database::open(config).await?;
    let done = match args.action {
        Action::List { which, since, until, limit } => {
            list(&*store, &which, since, until, limit).await
        }
        Action::Follow(which) => follow(&*store, &which).await,
        Action::Verify { expect } => prove(config, &*store, expect).await,
    };
    store.close().await;
    done
}

async fn list(
    store: &dyn Store,
    which: &Which,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: u32,
) -> Done {
    let mut out = std::io::stdout().lock();
    for entry in store.entries(&which.filter(since, until, limit)).await? {
        writeln!(out, "{}", line(&entry, which.json))?;
    }
    Ok(0)
}

/// Each row once, though a look goes back behind the one before it.
async fn follow(store: &dyn Store, which: &Which) -> Done {
    let mut since = database::now(store).await?;
    let mut shown: Vec<(Timestamp, Uuid)> = Vec::new();
    loop {
        let looked_at = database::now(store).await?;
        for entry in store.entries(&which.filter(Some(since), None, PAGE)).await? {
            if !shown.iter().any(|(_, id)| *id == entry.id) {
                writeln!(std::io::stdout(), "{}", line(&entry, which.json))?;
                shown.push((entry.at, entry.id));
            }
        }
        since = since.max(looked_at.minus(OVERLAP));
        shown.retain(|(at, _)| *at >= since);
        tokio::time::sleep(PERIOD).await;
    }
}

async fn prove(config: &Config, store: &dyn Store, expect: Option<(i64, ChainHash)>) -> Done {
    let report = verify(store, &config.keys()?, expect).await?;
    let mut out = std::io::stdout().lock();
    let ChainReport { first, head: (last, hash), keys, erased, taken_over, unsealed, verdict } =
        report;
    match last - first + 1 {
        0 => writeln!(out, "rows      none is sealed yet")?,
        count => writeln!(
            out,
            "rows      {count}, from {first} to {last}; {unsealed} wait to be sealed"
        )?,
    }
    for (kid, (rows, known)) in &keys {
        let known = if *known {
            ""
        } else {
            ", not known here: its own seals are not proved, the chain over them is"
        };
        writeln!(out, "key       {kid}: {rows} rows{known}")?;
    }
    if erased > 0 {
        writeln!(out, "erased    the network of {erased} rows, with their accounts")?;
    }
    for seq in taken_over {
        writeln!(
            out,
            "note      at {seq} the chain went on though the key of its end was not known"
        )?;
    }
    writeln!(out, "end       {}@{last}", hex(&hash))?;
    match verdict {
        ChainVerdict::Intact => {
            writeln!(out, "good      every row is as it was sealed; write the end down elsewhere, for --expect")?;
            Ok(0)
        }
        ChainVerdict::KeyUnknown => {
            Err("the chain holds together, but the key of its end is not known here; add it to JWTSECRETKEY_ACCEPT"
                .into())
        }
        ChainVerdict::Broken(seq, broken) => Err(format!("the chain is broken at {seq}: {broken}").into()),
    }
}

fn line(entry: &AuditEntry, as_json: bool) -> String {
    if as_json {
        return json!({
            "id": entry.id.to_string(),
            "at": instant::show(entry.at),
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
    let mut text = format!("{}  {:<16}", instant::show(entry.at), entry.kind);
    let who = entry.operator.as_ref().map(|name| format!("operator {name}"));
    let parts = [
        entry.user_id.map(|id| format!("user {id}")),
        entry.session_id.map(|id| format!("session {id}")),
        entry.network.as_ref().map(|network| format!("from {network}")),
        who,
        Some(entry.detail.clone()).filter(|detail| !detail.is_empty()),
    ];
    for part in parts.into_iter().flatten() {
        text.push_str("  ");
        text.push_str(&part);
    }
    text.truncate(text.trim_end().len());
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
