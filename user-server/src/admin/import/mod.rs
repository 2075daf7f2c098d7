//! The command `import`: imports users of another service, in one transaction per batch. After an
//! interruption, it can be run again: users that are already present are skipped.

mod file;
mod progress;
mod rejects;
mod row;
mod source;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::command::{CommandError, CommandResult};
use super::database;
use super::operator::Operator;
use crate::config::Config;
use crate::domain::{AuditKind, Fault, Imported, Store};
pub(super) use file::FileFormat;
use progress::Progress;
use rejects::Rejects;
pub(super) use row::COLUMNS;
use row::{NOT_A_UUID, RowError, Rules, SourceRow};
use source::RowSource;

/// Number of users per transaction.
const BATCH: usize = 500;
/// Maximum number of rejected rows that are held back to be reported in order.
const MAX_REFUSED: usize = 10 * BATCH;
/// Maximum number of attempts at one step of an import while the database is busy or unavailable.
const MAX_ATTEMPTS: u32 = 6;
/// Pause after the first attempt at a step. It grows by this amount with each further attempt.
const PAUSE: Duration = Duration::from_millis(500);
/// Exit code if some rows were rejected.
const SOME_REJECTED: u8 = 1;

#[derive(clap::Args)]
pub struct ImportArgs {
    /// File with the columns id, username, email, password_hash, created_at, verified and
    /// disabled_at: .csv, or .jsonl with one JSON object per line; - is standard input
    #[arg(required_unless_present = "from_postgres")]
    file: Option<PathBuf>,
    /// Format of the file; by default that of its extension, and CSV for standard input
    #[arg(long, value_enum, conflicts_with = "from_postgres")]
    format: Option<FileFormat>,
    /// Import from a table of another database, as postgresql://user:password@host:port/name
    #[arg(long, value_name = "URL", conflicts_with = "file")]
    from_postgres: Option<String>,
    /// Table to import from, optionally with its schema, as in SCHEMA.TABLE
    #[arg(
        long,
        value_name = "TABLE",
        default_value = "users",
        requires = "from_postgres",
        conflicts_with = "file"
    )]
    table: String,
    /// File to write each rejected row to, with its line and the reason; it must not exist
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Import users even if their address is not verified, or the source does not state whether it
    /// is
    #[arg(long)]
    include_unverified: bool,
    /// Check all rows, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    operator: Operator,
}

/// Numbers of imported, existing and rejected rows.
#[derive(Default)]
struct ImportCounts {
    added: u64,
    present: u64,
    rejected: u64,
    /// Number of the rejected rows with an id that is not a UUID.
    other_ids: u64,
}

/// Runs `user-server import`.
///
/// # Errors
/// If the source, the store or the file of rejected rows cannot be used. Users that were imported
/// before the error stay.
pub async fn import(config: &Config, args: ImportArgs) -> CommandResult {
    let mut source = match (&args.file, &args.from_postgres) {
        (_, Some(url)) => RowSource::table(url, &args.table).await?,
        (Some(file), None) => RowSource::file(file, args.format)?,
        (None, None) => {
            return Err(CommandError::new("no source is given")
                .hint("Pass a file, or a database with --from-postgres."));
        }
    };
    if !source.states_verified() && !args.include_unverified {
        return Err(CommandError::new(
            "the source does not state which addresses are verified: it has no column `verified`",
        )
        .hint("If all of them are, pass --include-unverified."));
    }
    let mut rejects = Rejects::open(args.rejects.as_deref())?;
    let store = database::open_and_migrate(config).await?;
    let rules = Rules {
        own_cost: config.hash_cost,
        allow_unverified: args.include_unverified,
        now: database::now(&*store).await?,
    };
    let record = async |detail: String| match args.dry_run {
        true => Ok(()),
        false => {
            let operator = &args.operator;
            let kind = AuditKind::Imported;
            with_retries(async || operator.record_detail(&*store, kind, &detail).await).await
        }
    };
    // Recorded before the first user is added, so that a run that is killed is recorded too.
    record("started".to_owned()).await?;
    let (mut progress, mut counts) = (Progress::start(source.size()), ImportCounts::default());
    let copied =
        copy(&*store, &mut source, &rules, &mut rejects, &mut progress, &mut counts, args.dry_run)
            .await;
    let ImportCounts { added, present, rejected, other_ids } = counts;
    let end = if copied.is_ok() { "" } else { ", then it failed" };
    let recorded =
        record(format!("{added} added, {present} already present, {rejected} rejected{end}")).await;
    store.close().await;
    progress.end();
    let written = rejects.end();
    if let Err(error) = copied.and(written) {
        // What was imported before stays, so it is reported too.
        writeln!(
            std::io::stderr(),
            "until the error: {added} added, {present} already present, {rejected} rejected"
        )?;
        return Err(error);
    }
    recorded?;
    let imported = if args.dry_run { "would be imported" } else { "imported" };
    writeln!(
        std::io::stdout(),
        "{added} {imported}, {present} already present, {rejected} rejected"
    )?;
    if other_ids > 0 {
        writeln!(
            std::io::stderr(),
            "hint: An id is a UUID such as f3ea5f62-924c-447c-ab4e-261a4b2dd125. A source with \
             other ids needs a new column `id` with a UUID for each user, and a table that maps \
             the old ids to them."
        )?;
    }
    Ok(if rejected > 0 { SOME_REJECTED } else { 0 })
}

/// Imports all rows of the source, and returns the numbers of imported, existing and rejected rows.
async fn copy(
    store: &dyn Store,
    source: &mut RowSource,
    rules: &Rules,
    rejects: &mut Rejects,
    progress: &mut Progress,
    counts: &mut ImportCounts,
    dry_run: bool,
) -> Result<(), CommandError> {
    let mut more = true;
    while more {
        let (mut users, mut lines) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        // Reported in the order of lines, after the rows that only the database refuses are known.
        let mut refused: Vec<(u64, RowError)> = Vec::new();
        while users.len() < BATCH && refused.len() < MAX_REFUSED {
            let SourceRow { line, row } = match source.next().await {
                Ok(Some(row)) => row,
                Ok(None) => {
                    more = false;
                    break;
                }
                Err(error) => {
                    report(rejects, counts, refused)?;
                    return Err(error);
                }
            };
            let user = row.and_then(|row| {
                let id = row.id.clone().unwrap_or_default();
                rules.user(&row).map_err(|reason| RowError { reason, id })
            });
            match user {
                Ok(user) => {
                    users.push(user);
                    lines.push(line);
                }
                Err(error) => refused.push((line, error)),
            }
        }
        let results = with_retries(async || store.import(&users, dry_run).await).await?;
        for ((result, user), line) in results.into_iter().zip(&users).zip(lines) {
            let reason = match result {
                Imported::Added => {
                    counts.added += 1;
                    continue;
                }
                Imported::AlreadyThere => {
                    counts.present += 1;
                    continue;
                }
                Imported::IdTaken => {
                    "the id belongs to a user with another username or email address"
                }
                Imported::UsernameTaken => "the username is taken",
                Imported::EmailTaken => "the email address is taken",
            };
            let error = RowError { reason: reason.to_owned(), id: user.id.to_string() };
            refused.push((line, error));
        }
        refused.sort_by_key(|(line, _)| *line);
        report(rejects, counts, refused)?;
        progress.update(source.position(), counts.added + counts.present, counts.rejected);
    }
    Ok(())
}

/// Counts and reports rejected rows.
fn report(
    rejects: &mut Rejects,
    counts: &mut ImportCounts,
    refused: Vec<(u64, RowError)>,
) -> Result<(), CommandError> {
    for (line, RowError { reason, id }) in refused {
        counts.rejected += 1;
        counts.other_ids += u64::from(reason == NOT_A_UUID);
        rejects.add(line, &id, &reason)?;
    }
    Ok(())
}

/// Repeats a step of an import while the database is busy or unavailable. The steps can be
/// repeated: users that were added before the answer was lost are already present then.
async fn with_retries<T>(step: impl AsyncFn() -> Result<T, Fault>) -> Result<T, Fault> {
    let mut attempt = 1;
    loop {
        match step().await {
            Err(Fault::Unavailable(_) | Fault::Conflict(_)) if attempt < MAX_ATTEMPTS => {
                tokio::time::sleep(PAUSE * attempt).await;
            }
            result => return result,
        }
        attempt += 1;
    }
}
