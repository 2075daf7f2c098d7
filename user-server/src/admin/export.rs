//! The command `export`: writes every user with their password hash as CSV or JSON lines, for
//! another service.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use uuid::Uuid;

use super::command::{CommandError, CommandResult};
use super::import::{COLUMNS, FileFormat};
use super::operator::Operator;
use super::{database, formula, timestamps};
use crate::config::Config;
use crate::domain::{AuditKind, Store, StoredUser};

/// Number of users read at a time.
const PAGE: u32 = 1000;

#[derive(clap::Args)]
pub struct ExportArgs {
    /// File to write, readable only by its owner; it must not exist. Without it, or with -,
    /// standard output
    file: Option<PathBuf>,
    /// Format; by default that of the file's extension, otherwise CSV
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    #[command(flatten)]
    operator: Operator,
}

/// Runs `user-server export`.
///
/// # Errors
/// If the store cannot be read, or the file cannot be written. The file appears under its name once
/// it is complete.
pub async fn export(config: &Config, args: ExportArgs) -> CommandResult {
    let file = args.file.filter(|path| path.as_os_str() != "-");
    if let Some(path) = file.as_ref().filter(|path| path.symlink_metadata().is_ok()) {
        return Err(CommandError::new(format!("{} already exists", path.display()))
            .hint("Choose another name, or remove the file first."));
    }
    let store = database::open(config).await?;
    let format =
        args.format.or_else(|| file.as_deref().and_then(FileFormat::of)).unwrap_or(FileFormat::Csv);
    let result = match &file {
        None => {
            let out = std::io::stdout().lock();
            write_all(&*store, out, "standard output", format, &args.operator).await
        }
        Some(path) => to_file(&*store, path, format, &args.operator).await,
    };
    store.close().await;
    let users = result?;
    let location = file
        .as_ref()
        .map_or_else(|| "standard output".to_owned(), |file| file.display().to_string());
    writeln!(
        std::io::stderr(),
        "exported {users} user{} to {location}, with their password hashes; protect them in the \
         same way as the database",
        if users == 1 { "" } else { "s" }
    )?;
    Ok(0)
}

async fn to_file(
    store: &dyn Store,
    path: &Path,
    format: FileFormat,
    operator: &Operator,
) -> Result<u64, CommandError> {
    let temporary = path.with_added_extension("part");
    let at = |path: &Path, error: std::io::Error| {
        CommandError::new(format!("cannot write {}: {error}", path.display()))
    };
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(at(&temporary, error));
        }
        _ => {}
    }
    let file = options.open(&temporary).map_err(|error| at(path, error))?;
    let name = path.display().to_string();
    let written = match write_all(store, BufWriter::new(&file), &name, format, operator).await {
        Ok(users) => file.sync_all().map(|()| users).map_err(|error| at(path, error)),
        error => error,
    };
    // A link fails if the name was taken in the meantime; a rename would replace that file.
    let linked = written.and_then(|users| {
        std::fs::hard_link(&temporary, path).map(|()| users).map_err(|error| at(path, error))
    });
    // An incomplete file is of no use.
    let _ = std::fs::remove_file(&temporary);
    linked
}

async fn write_all<W: Write>(
    store: &dyn Store,
    out: W,
    name: &str,
    format: FileFormat,
    operator: &Operator,
) -> Result<u64, CommandError> {
    // Recorded before the first user is written, because an incomplete export is an export too.
    operator.record_detail(store, AuditKind::Exported, format.name()).await?;
    let mut sink = Sink::new(out, format);
    let (mut users, mut last) = (0, Uuid::nil());
    let at = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => CommandError::writing(name, error),
        other => CommandError::new(format!("cannot write {name}: {other:?}")),
    };
    sink.begin().map_err(at)?;
    loop {
        let page = store.export(last, PAGE).await?;
        let Some(end) = page.last() else { break };
        last = end.id;
        for user in &page {
            sink.write(user).map_err(at)?;
            users += 1;
        }
    }
    sink.end().map_err(|error| CommandError::writing(name, error))?;
    Ok(users)
}

/// A writer of users in one of the export formats.
enum Sink<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Jsonl(W),
}

impl<W: Write> Sink<W> {
    fn new(out: W, format: FileFormat) -> Self {
        match format {
            FileFormat::Csv => Self::Csv(Box::new(csv::Writer::from_writer(out))),
            FileFormat::Jsonl => Self::Jsonl(out),
        }
    }

    fn begin(&mut self) -> Result<(), csv::Error> {
        match self {
            Self::Csv(csv) => csv.write_record(COLUMNS),
            Self::Jsonl(_) => Ok(()),
        }
    }

    fn write(&mut self, user: &StoredUser) -> Result<(), csv::Error> {
        let (id, created) = (user.id.to_string(), timestamps::format(user.created_at));
        let disabled = user.disabled_at.map(timestamps::format);
        match self {
            Self::Csv(csv) => csv.write_record([
                id.as_str(),
                &formula::mark(&user.username),
                &formula::mark(&user.email),
                &user.password_hash,
                &created,
                // Every account's address was verified, or imported as if it were.
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
