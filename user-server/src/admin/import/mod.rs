//! Brings users of another service along, in batches that are one transaction each. Run again, it
//! goes on where it stopped: who is there already is passed over.

mod file;
mod progress;
mod rejects;
mod row;
mod source;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::operator::Operator;
use super::{Done, database};
use crate::config::Config;
use crate::domain::{AuditKind, Fault, Imported, Store};
pub(super) use file::is_json_lines;
use progress::Progress;
use rejects::Rejects;
pub(super) use row::COLUMNS;
use row::Rules;
use source::Source;

/// Users of one transaction.
const BATCH: usize = 500;
/// How often a step is tried where the database is busy or away for a moment.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(500);
/// What an import ends with where some rows were refused.
const SOME_REFUSED: u8 = 1;

/// What to import, and how.
#[derive(clap::Args)]
pub struct ImportArgs {
    /// A file of the columns id, username, email, password_hash, created_at and verified: .csv, or
    /// .jsonl for a JSON object a line
    #[arg(required_unless_present = "from_postgres")]
    file: Option<PathBuf>,
    /// Read a table of another database instead: postgresql://user:password@host:port/name
    #[arg(long, value_name = "URL", conflicts_with = "file")]
    from_postgres: Option<String>,
    /// The table, where it is not `users`; a schema may stand before it
    #[arg(long, value_name = "TABLE", default_value = "users", requires = "from_postgres")]
    table: String,
    /// Write a line for each row that was refused, with the reason
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Take users too whose address was not verified, or of whom the source does not say it
    #[arg(long)]
    include_unverified: bool,
    /// Look at everything and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    operator: Operator,
}

/// What became of the rows.
#[derive(Default)]
struct Tally {
    added: u64,
    there: u64,
    refused: u64,
}

/// Runs `user-server import`.
///
/// # Errors
/// Where the source, the store or the file of refused rows can't be used. What was imported until
/// then stays.
pub async fn import(config: &Config, args: ImportArgs) -> Done {
    let mut source = match (&args.file, &args.from_postgres) {
        (_, Some(url)) => Source::table(url, &args.table).await?,
        (Some(file), None) => Source::file(file)?,
        (None, None) => return Err("name a file, or a database with --from-postgres".into()),
    };
    if !source.says_verified() && !args.include_unverified {
        return Err(
            "the source does not say whose address was verified: it needs a column `verified`; where all of them \
                    were, say --include-unverified"
                .into(),
        );
    }
    let mut rejects = Rejects::open(args.rejects.as_deref())?;
    let store = database::open(config).await?;
    let rules = Rules {
        own: config.hash_cost,
        unverified: args.include_unverified,
        now: database::now(&*store).await?,
    };
    let note = async |detail: String| match args.dry_run {
        true => Ok(()),
        false => {
            patiently(async || args.operator.note(&*store, AuditKind::Imported, &detail).await)
                .await
        }
    };
    // Before anybody is added, so that a run that is killed is known too.
    note("begun".to_owned()).await?;
    let (mut progress, mut tally) = (Progress::start(source.size()), Tally::default());
    let done =
        copy(&*store, &mut source, &rules, &mut rejects, &mut progress, &mut tally, args.dry_run)
            .await;
    let Tally { added, there, refused } = tally;
    let end = if done.is_ok() { "" } else { ", then it failed" };
    let noted = note(format!("{added} added, {there} there already, {refused} refused{end}")).await;
    store.close().await;
    progress.end();
    rejects.end()?;
    done?;
    noted?;
    let said = if args.dry_run { "would be imported" } else { "imported" };
    writeln!(std::io::stdout(), "{added} {said}, {there} there already, {refused} refused")?;
    Ok(if refused > 0 { SOME_REFUSED } else { 0 })
}

async fn copy(
    store: &dyn Store,
    source: &mut Source,
    rules: &Rules,
    rejects: &mut Rejects,
    progress: &mut Progress,
    tally: &mut Tally,
    rehearse: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut more = true;
    while more {
        let (mut users, mut lines) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        while users.len() < BATCH {
            let Some(item) = source.next().await? else {
                more = false;
                break;
            };
            match item
                .row
                .and_then(|row| rules.user(&row).map_err(|why| (why, row.id.unwrap_or_default())))
            {
                Ok(user) => {
                    users.push(user);
                    lines.push(item.line);
                }
                Err((why, id)) => {
                    tally.refused += 1;
                    rejects.note(item.line, &id, &why)?;
                }
            }
        }
        let results = patiently(async || store.import(&users, rehearse).await).await?;
        for ((result, user), line) in results.into_iter().zip(&users).zip(lines) {
            let why = match result {
                Imported::Added => {
                    tally.added += 1;
                    continue;
                }
                Imported::AlreadyThere => {
                    tally.there += 1;
                    continue;
                }
                Imported::IdTaken => "the id is there with another username or e-mail address",
                Imported::UsernameTaken => "the username is taken",
                Imported::EmailTaken => "the e-mail address is taken",
            };
            tally.refused += 1;
            rejects.note(line, &user.id.to_string(), why)?;
        }
        progress.at(source.position(), tally.added + tally.there, tally.refused);
    }
    Ok(())
}

/// Tries again where the database is busy or away for a moment. What is tried may be repeated: who
/// was added before a lost answer is there already then.
async fn patiently<T>(step: impl AsyncFn() -> Result<T, Fault>) -> Result<T, Fault> {
    let mut tries = 1;
    loop {
        match step().await {
            Err(Fault::Unavailable(_)) if tries < TRIES => tokio::time::sleep(PAUSE * tries).await,
            done => return done,
        }
        tries += 1;
    }
}
