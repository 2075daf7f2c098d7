//! The source of an import, which is read row by row: a file, or a table of another database.

use std::collections::VecDeque;
use std::path::Path;

use super::file::{CsvFile, FileFormat, JsonlFile};
use super::row::{ImportRow, SourceRow};
use crate::admin::command::CommandError;
use crate::store::{PostgresOptions, Table, TableRow};

/// The source of an import.
pub(super) enum RowSource {
    Csv(CsvFile),
    Jsonl(JsonlFile),
    Table {
        table: Box<Table>,
        /// Rows of the last page that have not been returned yet.
        page: VecDeque<TableRow>,
        /// Number of rows that have been returned.
        returned: u64,
    },
}

impl RowSource {
    /// Opens a file, or standard input for `-`. Without `format`, the extension of the file
    /// determines its format.
    pub(super) fn file(path: &Path, format: Option<FileFormat>) -> Result<Self, CommandError> {
        let format = format.or_else(|| FileFormat::of(path)).ok_or_else(|| {
            CommandError::new(format!("cannot import {}: unknown format", path.display()))
                .hint("Pass a file with the extension .csv or .jsonl, or --format.")
        })?;
        match format {
            FileFormat::Csv => Ok(Self::Csv(CsvFile::open(path)?)),
            FileFormat::Jsonl => Ok(Self::Jsonl(JsonlFile::open(path)?)),
        }
    }

    /// Opens `table` in the PostgreSQL database at `url` as the source of an import.
    pub(super) async fn table(url: &str, table: &str) -> Result<Self, CommandError> {
        let options = PostgresOptions::parse(url, 1, false).map_err(|error| {
            CommandError::new(format!("invalid value for --from-postgres: {error}"))
                .hint("Pass a URL such as postgresql://user:password@host:5432/name.")
        })?;
        let table = Table::open(&options, table).await.map_err(|fault| {
            let location = options.location();
            CommandError::new(format!("cannot read --from-postgres {location}: {fault}"))
        })?;
        Ok(Self::Table { table: Box::new(table), page: VecDeque::new(), returned: 0 })
    }

    /// Returns true if the source states which email addresses are verified, as far as that is
    /// known before its rows are read.
    pub(super) fn states_verified(&self) -> bool {
        match self {
            Self::Csv(csv) => csv.states_verified(),
            Self::Jsonl(_) => true,
            Self::Table { table, .. } => table.has_verified,
        }
    }

    /// Returns the size of the source: bytes of a file, or rows of a table. It is 0 if it is
    /// unknown.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Csv(csv) => csv.size(),
            Self::Jsonl(jsonl) => jsonl.size(),
            Self::Table { table, .. } => table.rows,
        }
    }

    /// Returns the current position in the source, in the unit of its size.
    pub(super) fn position(&self) -> u64 {
        match self {
            Self::Csv(csv) => csv.position(),
            Self::Jsonl(jsonl) => jsonl.position(),
            Self::Table { returned, .. } => *returned,
        }
    }

    /// Returns the next row, or `None` at the end.
    ///
    /// # Errors
    /// If the source cannot be read any further.
    pub(super) async fn next(&mut self) -> Result<Option<SourceRow>, CommandError> {
        match self {
            Self::Csv(csv) => csv.next(),
            Self::Jsonl(jsonl) => jsonl.next(),
            Self::Table { table, page, returned } => {
                if page.is_empty() {
                    page.extend(table.page().await?);
                }
                let Some(row) = page.pop_front() else { return Ok(None) };
                *returned += 1;
                Ok(Some(SourceRow { line: *returned, row: Ok(row.into()) }))
            }
        }
    }
}

impl From<TableRow> for ImportRow {
    fn from(row: TableRow) -> Self {
        Self {
            id: Some(row.id.to_string()),
            username: row.username,
            email: row.email,
            password_hash: row.password,
            created_at: row.created_at,
            verified: row.verified.map(|verified| verified.to_string()),
            disabled_at: row.disabled_at,
        }
    }
}
