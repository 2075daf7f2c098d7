//! Takes a copy back. Every session ends and every code is void, since the copy knows nothing of
//! what happened after it: a refresh token would be taken for its younger self, and what ended
//! would live again.

use std::io::Write;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::operator::Operator;
use super::{Done, database};
use crate::config::Config;
use crate::domain::{AuditEvent, AuditKind, Clock, ConnectionPools, Operators, SystemClock};
use crate::store::{SqliteStore, folder};

/// What to take back.
#[derive(clap::Args)]
pub struct RestoreArgs {
    /// The file that `user-server backup` wrote
    #[arg(required_unless_present = "after_pg_restore")]
    file: Option<PathBuf>,
    /// Replace the database that is in the data folder
    #[arg(long)]
    force: bool,
    /// End every session and void every code in PostgreSQL, after its own tools have put a copy
    /// back
    #[arg(long, conflicts_with_all = ["file", "force"])]
    after_pg_restore: bool,
    #[command(flatten)]
    operator: Operator,
}

/// Runs `user-server restore`.
///
/// # Errors
/// Where the copy can't be used, or the place for it is in use. Nothing has changed then.
pub async fn restore(config: &Config, args: RestoreArgs) -> Done {
    match (&config.postgres, args.file) {
        (Some(_), None) => after_pg_restore(config, &args.operator).await,
        (None, Some(file)) => take_back(config, &file, args.force, &args.operator).await,
        (Some(_), Some(_)) => {
            Err("PostgreSQL is set; put it back with pg_restore, and run: user-server restore --after-pg-restore"
                .into())
        }
        (None, None) => Err("PostgreSQL is not set; name the file that user-server backup wrote".into()),
    }
}

async fn after_pg_restore(config: &Config, operator: &Operator) -> Done {
    let store = database::open(config).await?;
    let now = database::now(&*store).await?;
    let sessions =
        store.forget_sessions(operator.change(now, AuditEvent::new(AuditKind::Restored))).await;
    store.close().await;
    database::second_after(now).await;
    writeln!(std::io::stdout(), "ended {} sessions and voided every open code", sessions?)?;
    Ok(0)
}

async fn take_back(config: &Config, file: &Path, force: bool, operator: &Operator) -> Done {
    let database = database::path(config);
    let folder = config.data_dir.display();
    let lock = folder::lock(&config.data_dir)
        .map_err(|error| format!("{folder}: {error}; set DATA_DIR"))?;
    let Some(_held) = lock else {
        return Err(format!("{folder} is in use by a user-server; end that one first").into());
    };
    if database.exists() && !force {
        return Err(format!("there is a database in {folder}; say --force to replace it").into());
    }
    // Made whole beside its database, sessions ended and all, so that a crash leaves what was there.
    let coming = database.with_added_extension("coming");
    remove(&coming)?;
    let secret = SqliteStore::unpack(file, &coming).await?.map(Zeroizing::new);
    let store = SqliteStore::open(&coming).await?;
    let now = SystemClock.now();
    let sessions =
        store.forget_sessions(operator.change(now, AuditEvent::new(AuditKind::Restored))).await;
    store.close().await;
    let sessions = sessions?;
    database::second_after(now).await;
    if let (Some(secret), None) = (&secret, &config.secret) {
        config.keep_secret(secret)?;
    }
    // What is left of the old database would be taken for a part of the new one.
    remove(&database)?;
    std::fs::rename(&coming, &database)?;
    std::fs::File::open(&config.data_dir)?.sync_all()?;
    let kept = match (&secret, &config.secret) {
        (Some(_), None) => "with its secret",
        (Some(_), Some(_)) => "without its secret: JWTSECRETKEY counts",
        (None, Some(_)) => "and JWTSECRETKEY counts",
        (None, None) => "without a secret: set JWTSECRETKEY as it was, or a new one is made",
    };
    writeln!(
        std::io::stdout(),
        "{folder} is as it was, {kept}; ended {sessions} sessions and voided every open code"
    )?;
    Ok(0)
}

/// Removes a database and its companions, where they are.
fn remove(database: &Path) -> std::io::Result<()> {
    for end in ["-wal", "-shm", "-journal", ""] {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
