//! Where rows come from, one after the other: a file, or a table of another database.

use std::collections::VecDeque;
use std::path::Path;

use super::file::{Csv, Jsonl, is_json_lines};
use super::row::Row;
use crate::store::{PostgresOptions, Table, TableRow};

type Error = Box<dyn std::error::Error>;

/// A row, and where it stood.
pub(super) struct Item {
    /// The line of the file, or the number in the order of ids.
    pub(super) line: u64,
    /// The row; or why it can't be read, and what is known of its id.
    pub(super) row: Result<Row, (String, String)>,
}

/// A source.
pub(super) enum Source {
    /// Comma-separated.
    Csv(Csv),
    /// A JSON object a line.
    Jsonl(Jsonl),
    /// A table, and what was read of it and not given yet.
    Table(Box<Table>, VecDeque<TableRow>, u64),
}

impl Source {
    /// Opens a file by the end of its name.
    pub(super) fn file(path: &Path) -> Result<Self, Error> {
        match path.extension().and_then(|end| end.to_str()) {
            Some("csv") => Ok(Self::Csv(Csv::open(path)?)),
            _ if is_json_lines(path) => Ok(Self::Jsonl(Jsonl::open(path)?)),
            _ => Err(format!("{}: its name has to end in .csv or .jsonl", path.display()).into()),
        }
    }

    /// Opens a table of another database.
    pub(super) async fn table(url: &str, table: &str) -> Result<Self, Error> {
        let options = PostgresOptions::parse(url, 1, false)
            .map_err(|why| format!("--from-postgres: {why}"))?;
        let opened = Table::open(&options, table).await;
        let opened =
            opened.map_err(|fault| format!("--from-postgres {}: {fault}", options.location()))?;
        Ok(Self::Table(Box::new(opened), VecDeque::new(), 0))
    }

    /// Whether it says of users if their address was verified, as far as can be known before
    /// reading.
    pub(super) fn says_verified(&self) -> bool {
        match self {
            Self::Csv(csv) => csv.says_verified(),
            Self::Jsonl(_) => true,
            Self::Table(table, ..) => table.has_verified,
        }
    }

    /// How much there is, in whatever it counts.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Csv(csv) => csv.size(),
            Self::Jsonl(jsonl) => jsonl.size(),
            Self::Table(table, ..) => table.rows,
        }
    }

    /// How much of it was read.
    pub(super) fn position(&self) -> u64 {
        match self {
            Self::Csv(csv) => csv.position(),
            Self::Jsonl(jsonl) => jsonl.position(),
            Self::Table(.., read) => *read,
        }
    }

    /// The next row; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Item>, Error> {
        match self {
            Self::Csv(csv) => csv.next(),
            Self::Jsonl(jsonl) => jsonl.next(),
            Self::Table(table, waiting, read) => {
                if waiting.is_empty() {
                    waiting.extend(table.page().await?);
                }
                let Some(row) = waiting.pop_front() else { return Ok(None) };
                *read += 1;
                Ok(Some(Item { line: *read, row: Ok(row.into()) }))
            }
        }
    }
}

impl From<TableRow> for Row {
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
