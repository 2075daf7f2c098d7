//! Files of users, read row by row. The length of a row is bounded, so that a quote that is never
//! closed uses no memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::row::{self, ImportRow, RowError, SourceRow};
use crate::admin::command::CommandError;
use crate::admin::formula;

/// Maximum length of a row in bytes.
const MAX_ROW: usize = 256 * 1024;

/// Format of a file of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FileFormat {
    /// Comma-separated values, with the names of the columns in the first line
    Csv,
    /// One JSON object per line
    Jsonl,
}

impl FileFormat {
    /// Returns the format of a file by its extension, or `None` if that is unknown. Standard input
    /// (`-`) is CSV.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Some(Self::Csv),
            Some("jsonl" | "ndjson") => Some(Self::Jsonl),
            _ => (path.as_os_str() == "-").then_some(Self::Csv),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

/// Reader of the bytes of a file or of standard input.
type Input = Box<dyn Read + Send>;

/// A file of comma-separated values, with the names of the columns in the first line.
pub(super) struct CsvFile {
    reader: csv::Reader<RowReader>,
    /// Names of the columns in the order of the file; `None` for a column that is not imported.
    columns: Vec<Option<&'static str>>,
    /// Number of further bytes that may be read for the current row.
    left: Rc<Cell<usize>>,
    line_breaks: Rc<RefCell<LineBreaks>>,
    record: csv::StringRecord,
    size: u64,
}

impl CsvFile {
    pub(super) fn open(path: &Path) -> Result<Self, CommandError> {
        let (file, size) = open(path)?;
        let left = Rc::new(Cell::new(MAX_ROW));
        let line_breaks = Rc::new(RefCell::new(LineBreaks::default()));
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(RowReader {
            file,
            left: left.clone(),
            line_breaks: line_breaks.clone(),
        });
        let header = reader.headers().map_err(|error| {
            let reason = match error.kind() {
                csv::ErrorKind::Utf8 { .. } => "its first line is not UTF-8".to_owned(),
                _ => error.to_string(),
            };
            CommandError::new(format!("cannot import {}: {reason}", path.display()))
                .hint("Pass a file with comma-separated values, or --format jsonl.")
        })?;
        if header.is_empty() {
            return Err(empty(path));
        }
        let columns: Vec<_> = header.iter().map(row::column).collect();
        for required in ["id", "username", "email", "password_hash"] {
            if columns.iter().filter(|column| **column == Some(required)).count() != 1 {
                return Err(CommandError::new(format!(
                    "cannot import {}: expected exactly one column `{required}` in the first line",
                    path.display()
                ))
                .hint(
                    "Name the columns in the first line: id, username, email, password_hash, and, \
                     if there are any, created_at, verified, disabled_at. An id is a UUID: a \
                     source with other ids needs a new column with a UUID for each user.",
                ));
            }
        }
        Ok(Self { reader, columns, left, line_breaks, record: csv::StringRecord::new(), size })
    }

    pub(super) fn states_verified(&self) -> bool {
        self.columns.contains(&Some("verified"))
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn position(&self) -> u64 {
        self.reader.position().byte()
    }

    pub(super) fn next(&mut self) -> Result<Option<SourceRow>, CommandError> {
        self.left.set(MAX_ROW);
        let read = self.reader.read_record(&mut self.record);
        let last_line = self.line_breaks.borrow_mut().line_before(self.reader.position().byte());
        match read {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            // The reader continues with the next row.
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                let row = Err(RowError::new("not UTF-8"));
                return Ok(Some(SourceRow { line: last_line, row }));
            }
            Err(error) => return Err(CommandError::new(format!("line {last_line}: {error}"))),
        }
        // The position of the record is that of the empty lines before it.
        let breaks = self.record.as_slice().bytes().filter(|byte| *byte == b'\n').count();
        let line = last_line.saturating_sub(u64::try_from(breaks).unwrap_or(0));
        if self.record.len() != self.columns.len() {
            let reason = format!(
                "expected {} columns as in the first line, but it has {}",
                self.columns.len(),
                self.record.len()
            );
            return Ok(Some(SourceRow { line, row: Err(RowError::new(reason)) }));
        }
        let mut row = ImportRow::default();
        for (column, text) in self.columns.iter().zip(&self.record) {
            if let Some(column) = column {
                row.set(column, formula::unmark(text).to_owned());
            }
        }
        Ok(Some(SourceRow { line, row: Ok(row) }))
    }
}

/// Line breaks of a file that were read and not yet counted.
#[derive(Default)]
struct LineBreaks {
    /// Number of bytes that were read.
    read: u64,
    /// Positions of the line breaks in the file.
    positions: VecDeque<u64>,
    /// Number of line breaks before those in `positions`.
    counted: u64,
}

impl LineBreaks {
    fn add(&mut self, bytes: &[u8]) {
        let breaks = (self.read..).zip(bytes).filter(|(_, byte)| **byte == b'\n');
        self.positions.extend(breaks.map(|(position, _)| position));
        self.read += u64::try_from(bytes.len()).unwrap_or(0);
    }

    /// Returns the number of the line, from 1, that contains the byte before `end`. A line break
    /// belongs to the line that it ends.
    fn line_before(&mut self, end: u64) -> u64 {
        let mut last = None;
        while let Some(position) = self.positions.front().copied().filter(|at| *at < end) {
            self.positions.pop_front();
            self.counted += 1;
            last = Some(position);
        }
        let ends_here = last.is_some_and(|position| position + 1 == end);
        self.counted + u64::from(!ends_here)
    }
}

/// Reader of a file that fails if a row is longer than [`MAX_ROW`].
struct RowReader {
    file: Input,
    left: Rc<Cell<usize>>,
    line_breaks: Rc<RefCell<LineBreaks>>,
}

impl Read for RowReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(std::io::Error::new(
                ErrorKind::InvalidData,
                "the row is too long; a quote may not be closed",
            ));
        }
        let max = buffer.len().min(left);
        let read = self.file.read(buffer.get_mut(..max).unwrap_or_default())?;
        self.line_breaks.borrow_mut().add(buffer.get(..read).unwrap_or_default());
        self.left.set(left - read);
        Ok(read)
    }
}

/// A file with one JSON object per line.
pub(super) struct JsonlFile {
    reader: BufReader<Input>,
    line: u64,
    text: Vec<u8>,
    position: u64,
    size: u64,
}

impl JsonlFile {
    pub(super) fn open(path: &Path) -> Result<Self, CommandError> {
        let (file, size) = open(path)?;
        Ok(Self { reader: BufReader::new(file), line: 0, text: Vec::new(), position: 0, size })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn next(&mut self) -> Result<Option<SourceRow>, CommandError> {
        loop {
            self.text.clear();
            let max = u64::try_from(MAX_ROW).unwrap_or(u64::MAX);
            let read = (&mut self.reader).take(max).read_until(b'\n', &mut self.text)?;
            if read == 0 && self.line == 0 {
                return Err(CommandError::new("there is nothing to import: the input is empty"));
            }
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            self.position += u64::try_from(read).unwrap_or(0);
            if read == MAX_ROW && self.text.last() != Some(&b'\n') {
                let line = self.line;
                return Err(CommandError::new(format!("line {line}: the row is too long")));
            }
            if !self.text.trim_ascii().is_empty() {
                let row = parse(&self.text).map_err(RowError::new);
                return Ok(Some(SourceRow { line: self.line, row }));
            }
        }
    }
}

fn parse(text: &[u8]) -> Result<ImportRow, &'static str> {
    // The error of the parser is not used, because it could quote a part of the hash.
    let fields: Map<String, Value> =
        serde_json::from_slice(text).map_err(|_| "not a JSON object")?;
    let mut row = ImportRow::default();
    for (name, value) in fields {
        let Some(column) = row::column(&name) else { continue };
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err("a column contains an array or an object");
            }
        };
        row.set(column, text);
    }
    Ok(row)
}

fn empty(path: &Path) -> CommandError {
    let name =
        if path.as_os_str() == "-" { "standard input".into() } else { path.display().to_string() };
    CommandError::new(format!("there is nothing to import: {name} is empty"))
}

/// Opens a file, and returns its size in bytes, which is 0 (unknown) for standard input and pipes.
fn open(path: &Path) -> Result<(Input, u64), CommandError> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(std::io::stdin()), 0));
    }
    let error = |error: std::io::Error| {
        let unreadable = CommandError::new(format!("cannot read {}: {error}", path.display()));
        match error.kind() {
            ErrorKind::NotFound => unreadable
                .hint("Check the path of the file of users, or pass - for standard input."),
            ErrorKind::PermissionDenied => {
                unreadable.hint("Make the file readable for the user that runs this command.")
            }
            _ => unreadable,
        }
    };
    let file = File::open(path).map_err(error)?;
    let found = file.metadata().map_err(error)?;
    if found.is_dir() {
        return Err(
            CommandError::new(format!("{} is a folder", path.display())).hint("Pass a file.")
        );
    }
    let size = found.len();
    Ok((Box::new(file), size))
}
