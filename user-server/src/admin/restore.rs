//! The command `restore`: restores a backup. It ends every session and invalidates every code,
//! because the backup does not contain what happened after it: it would accept a refresh token that
//! has been used since, and bring back sessions that have ended.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::command::{CommandError, CommandResult};
use super::database;
use super::operator::Operator;
use crate::config::{Config, PostgresConfig};
use crate::domain::{
    AuditEvent, AuditKind, Clock, ConnectionPools, Fault, KeyRecords, Operators, RetiredKey,
    RevocationLog, SystemClock, Timestamp,
};
use crate::store::{BackupError, PostgresStore, SqliteStore, folder};

/// Time by which the clock may be behind at a restore without a token of before being accepted
/// afterwards.
const CLOCK_ERROR: Duration = Duration::from_secs(3600);
/// Time by which a login or refresh may be ahead and still show that the clock is behind. If it is
/// further ahead, the clock was wrong then.
const MAX_CLOCK_ERROR: Duration = Duration::from_secs(86_400);

#[derive(clap::Args)]
pub struct RestoreArgs {
    /// File written by `user-server backup`
    #[arg(required_unless_present = "after_pg_restore")]
    file: Option<PathBuf>,
    /// Replace the database in the data folder; with --after-pg-restore, also while nodes are
    /// running
    #[arg(long)]
    force: bool,
    /// End every session and invalidate every code in PostgreSQL, after pg_restore has restored a
    /// dump
    #[arg(long, conflicts_with = "file")]
    after_pg_restore: bool,
    #[command(flatten)]
    operator: Operator,
}

/// Runs `user-server restore`.
///
/// # Errors
/// If the backup cannot be used, or the data folder is in use. Nothing has changed then.
pub async fn restore(config: &Config, args: RestoreArgs) -> CommandResult {
    match (&config.postgres, args.file) {
        (Some(postgres), None) => {
            after_pg_restore(config, postgres, args.force, &args.operator).await
        }
        (None, Some(file)) => restore_file(config, &file, args.force, &args.operator).await,
        (Some(_), Some(_)) => Err(CommandError::new(
            "`restore FILE` restores the embedded database, but PostgreSQL is set",
        )
        .hint("Restore a dump with pg_restore, then run: user-server restore --after-pg-restore")),
        (None, None) => Err(CommandError::new("PostgreSQL is not set")
            .hint("Set it, or name a file that `user-server backup` wrote.")),
    }
}

async fn after_pg_restore(
    config: &Config,
    postgres: &PostgresConfig,
    force: bool,
    operator: &Operator,
) -> CommandResult {
    let store = database::open_and_migrate(config).await?;
    let location = postgres.options.location();
    let alive = PostgresStore::alive_nodes(&postgres.options).await?;
    if alive > 0 && !force {
        let nodes = if alive == 1 { "a node is".to_owned() } else { format!("{alive} nodes are") };
        return Err(CommandError::new(format!("{nodes} running on the database {location}")).hint(
            "Stop all nodes first, or name the restored database in PostgreSQL. If this is the \
             right one, pass --force: all of its sessions end.",
        ));
    }
    let now = database::now(&*store).await?;
    let completed = async {
        let latest = store.latest_session(now.plus(MAX_CLOCK_ERROR)).await?.max(now);
        store.mark_erased(doubtful_until(latest)).await?;
        let restored = operator.change(now, AuditEvent::new(AuditKind::Restored));
        store.forget_sessions(restored).await
    };
    let sessions = completed.await;
    // The last revocation is later than this time.
    let ended_at = database::now(&*store).await?;
    store.close().await;
    database::second_after(ended_at).await;
    writeln!(std::io::stdout(), "{location}: {}\n{RETIRE_AGAIN}", ended(sessions?))?;
    Ok(0)
}

/// Advice after a restore that could not find out which keys were retired since the copy was made.
const RETIRE_AGAIN: &str = "If a key was retired after the copy was made, retire it again before a server starts: \
     user-server keys retire KID";

/// Returns the time until which tokens are looked up after a restore at `latest`, the latest known
/// time. All tokens of before are revoked, but some may have been issued later by the clock, if the
/// clock is behind now.
fn doubtful_until(latest: Timestamp) -> Timestamp {
    latest.max(SystemClock.now()).plus(CLOCK_ERROR)
}

fn ended(sessions: u64) -> String {
    let plural = if sessions == 1 { "" } else { "s" };
    format!("ended {sessions} session{plural} and invalidated every open code")
}

async fn restore_file(
    config: &Config,
    file: &Path,
    force: bool,
    operator: &Operator,
) -> CommandResult {
    // Before the folder is touched.
    SqliteStore::check_backup(file).map_err(|error| {
        let hint = match &error {
            BackupError::File(_, error) if error.kind() == ErrorKind::NotFound => {
                "Check the path of the file. `user-server backup FILE` writes such a file."
            }
            BackupError::Unusable(..) => {
                "Pass a file that `user-server backup` wrote, or an older one if it is damaged. A dump of \
                 PostgreSQL is restored with pg_restore."
            }
            _ => "Make the file readable for the user that runs this command.",
        };
        CommandError::from(error).hint(hint)
    })?;
    let is_new = !config.data_dir.exists();
    let restored = restore_into_folder(config, file, force, operator).await;
    if is_new && restored.is_err() {
        // Nothing is left behind; a folder that is not empty stays.
        let _ = std::fs::remove_file(config.data_dir.join("lock"));
        let _ = std::fs::remove_dir(&config.data_dir);
    }
    restored
}

async fn restore_into_folder(
    config: &Config,
    file: &Path,
    force: bool,
    operator: &Operator,
) -> CommandResult {
    let database = database::path(config);
    let folder = config.data_dir.display();
    let lock =
        folder::lock(&config.data_dir).map_err(|error| database::folder_error(config, &error))?;
    let Some(_lock) = lock else {
        return Err(CommandError::new(format!("{folder} is in use by a user-server"))
            .hint("Stop the server first."));
    };
    if database.exists() && !force {
        return Err(CommandError::new(format!("{} already exists", database.display()))
            .hint("Pass --force to replace it."));
    }
    // The new database is completed under another name, with its sessions ended, so that a crash
    // leaves the old one.
    let incoming = database.with_added_extension("restore");
    remove(&incoming)?;
    let secret = SqliteStore::unpack(file, &incoming).await?.map(Zeroizing::new);
    let store = SqliteStore::open(&incoming).await?;
    let now = SystemClock.now();
    let completed = async {
        let latest = now.plus(MAX_CLOCK_ERROR);
        let replaced = Replaced::read(&database, latest).await;
        let known = replaced.as_ref().map_or(Timestamp(0), |replaced| replaced.latest_session);
        let latest = store.latest_session(latest).await?.max(known);
        store.mark_erased(doubtful_until(latest)).await?;
        let restored = operator.change(now, AuditEvent::new(AuditKind::Restored));
        let sessions = store.forget_sessions(restored).await?;
        Ok::<_, Fault>((sessions, keep_retired_keys(replaced, &store, operator, now).await?))
    }
    .await;
    store.close().await;
    let (sessions, keys) = completed?;
    database::second_after(now).await;
    if let (Some(secret), None) = (&secret, &config.secret) {
        config.store_secret(secret)?;
    }
    // SQLite would take the journal of the old database for one of the new database.
    remove(&database)?;
    std::fs::rename(&incoming, &database)
        .and_then(|()| std::fs::File::open(&config.data_dir)?.sync_all())
        .map_err(|error| CommandError::writing(&database.display().to_string(), error))?;
    let with = match (&secret, &config.secret) {
        (Some(_), None) => "with its secret",
        (Some(_), Some(_)) => "without its secret, because JWTSECRETKEY is set",
        (None, Some(_)) => "which contained no secret; JWTSECRETKEY is used",
        (None, None) => {
            "which contained no secret; set JWTSECRETKEY as before, or see \"A lost secret\" in \
             docs/OPERATIONS.md"
        }
    };
    let ended = ended(sessions);
    writeln!(std::io::stdout(), "restored {folder} from the backup, {with}; {ended}\n{keys}")?;
    Ok(0)
}

/// What a restore has to know of the database that it replaces.
struct Replaced {
    /// Time of the latest plausible login or refresh, or 1970 if it cannot be read.
    latest_session: Timestamp,
    retired_keys: Result<Vec<RetiredKey>, Fault>,
}

impl Replaced {
    /// Reads the database that is to be replaced. `latest` is the latest time at which a login is
    /// plausible. Returns `None` if there is none.
    async fn read(database: &Path, latest: Timestamp) -> Option<Self> {
        if !database.exists() {
            return None;
        }
        let store = SqliteStore::open_read_only(database);
        let latest_session = store.latest_session(latest).await.unwrap_or(Timestamp(0));
        let retired_keys = store.retired_keys().await;
        store.close().await;
        Some(Self { latest_session, retired_keys })
    }
}

/// Retires, in the restored database, the keys that are retired in the one that it replaces. A
/// backup from before that would accept their tokens again. Returns what the operator has to know
/// about the retired keys.
async fn keep_retired_keys(
    replaced: Option<Replaced>,
    restored: &SqliteStore,
    operator: &Operator,
    now: Timestamp,
) -> Result<String, Fault> {
    let kids: Vec<String> = match replaced.map(|replaced| replaced.retired_keys) {
        None => return Ok(RETIRE_AGAIN.to_owned()),
        Some(Err(fault)) => {
            return Ok(format!(
                "cannot read the retired keys of the replaced database: {fault}\n{RETIRE_AGAIN}"
            ));
        }
        Some(Ok(retired)) => retired.into_iter().map(|key| key.kid).collect(),
    };
    let event = AuditEvent::new(AuditKind::KeyRetired).detail("retired before the restore");
    restored.retire_key(&kids, operator.change(now, event)).await?;
    Ok(match kids.len() {
        0 => "no key was retired".to_owned(),
        1 => format!("the key {} stays retired", kids.join("")),
        _ => format!("these keys stay retired: {}", kids.join(", ")),
    })
}

/// Removes a database and its journal files, if they exist.
fn remove(database: &Path) -> std::io::Result<()> {
    for suffix in ["-wal", "-shm", "-journal", ""] {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
