//! Every user as CSV or as a line of JSON, with hashes: what another service needs to take them
//! over.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use uuid::Uuid;

use super::import::is_json_lines;
use super::operator::Operator;
use super::{Done, database, instant};
use crate::config::Config;
use crate::domain::{AuditKind, Store, StoredUser};

/// Rows that are read at once.
const PAGE: u32 = 1000;

/// Where to, and how.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// The file to write, for its owner's eyes only; standard output where none is named, or -
    file: Option<PathBuf>,
    /// How it is written; else what the file's name ends in says it, and CSV where that says
    /// nothing
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// By whom
    #[command(flatten)]
    operator: Operator,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Comma-separated, with a line of names first
    Csv,
    /// A JSON object a line
    Jsonl,
}

impl Format {
    /// The one that `import` would read a file of this name by.
    fn of(file: Option<&Path>) -> Self {
        if file.is_some_and(is_json_lines) { Self::Jsonl } else { Self::Csv }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

/// Runs `user-server export`.
///
/// # Errors
/// Where the store or the file can't be used. A file has its name when it is whole.
pub async fn export(config: &Config, args: ExportArgs) -> Done {
    let store = database::open(config).await?;
    let file = args.file.filter(|path| path.as_os_str() != "-");
    let format = args.format.unwrap_or_else(|| Format::of(file.as_deref()));
    let done = match &file {
        None => write_all(&*store, std::io::stdout().lock(), format, &args.operator).await,
        Some(path) => to_file(&*store, path, format, &args.operator).await,
    };
    store.close().await;
    let users = done?;
    let location = file
        .as_ref()
        .map_or_else(|| "standard output".to_owned(), |file| file.display().to_string());
    writeln!(
        std::io::stderr(),
        "{users} users are in {location}, with their password hashes: keep it as you keep those"
    )?;
    Ok(0)
}

async fn to_file(
    store: &dyn Store,
    path: &Path,
    format: Format,
    operator: &Operator,
) -> Result<u64, Box<dyn std::error::Error>> {
    let part = path.with_added_extension("part");
    let at = |error: std::io::Error| format!("{}: {error}", part.display());
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(error).into()),
        _ => {}
    }
    let file = options.open(&part).map_err(at)?;
    let users = write_all(store, BufWriter::new(&file), format, operator).await?;
    file.sync_all().map_err(at)?;
    std::fs::rename(&part, path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(users)
}

async fn write_all<W: Write>(
    store: &dyn Store,
    out: W,
    format: Format,
    operator: &Operator,
) -> Result<u64, Box<dyn std::error::Error>> {
    // Before the first user is written: a copy that was given up is one, too.
    operator.note(store, AuditKind::Exported, format.name()).await?;
    let mut sink = Sink::new(out, format);
    let (mut users, mut last) = (0, Uuid::nil());
    sink.begin()?;
    loop {
        let page = store.export(last, PAGE).await?;
        let Some(end) = page.last() else { break };
        last = end.id;
        for user in &page {
            sink.write(user)?;
            users += 1;
        }
    }
    sink.end()?;
    Ok(users)
}

/// One of the two ways to write.
enum Sink<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Jsonl(W),
}

impl<W: Write> Sink<W> {
    fn new(out: W, format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv(Box::new(csv::Writer::from_writer(out))),
            Format::Jsonl => Self::Jsonl(out),
        }
    }

    fn begin(&mut self) -> Result<(), csv::Error> {
        match self {
            Self::Csv(csv) => csv.write_record(super::import::COLUMNS),
            Self::Jsonl(_) => Ok(()),
        }
    }

    fn write(&mut self, user: &StoredUser) -> Result<(), Box<dyn std::error::Error>> {
        let (id, created) = (user.id.to_string(), instant::show(user.created_at));
        let disabled = user.disabled_at.map(instant::show);
        match self {
            Self::Csv(csv) => csv.write_record([
                id.as_str(),
                &user.username,
                &user.email,
                &user.password_hash,
                &created,
                // Every account's address was verified, or an operator has vouched for it.
                "true",
                disabled.as_deref().unwrap_or_default(),
            ])?,
            Self::Jsonl(out) => {
                let mut line = json!({
                    "id": id,
                    "username": user.username,
                    "email": user.email,
                    "password_hash": user.password_hash,
                    "created_at": created,
                    "verified": true,
                });
                if let (Some(disabled), Some(fields)) = (disabled, line.as_object_mut()) {
                    fields.insert("disabled_at".to_owned(), disabled.into());
                }
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> std::io::Result<()> {
        match self {
            Self::Csv(csv) => csv.flush(),
            Self::Jsonl(out) => out.flush(),
        }
    }
}
