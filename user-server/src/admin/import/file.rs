//! Files of users, read row by row. No row is longer than it may be, so that a quote that is never
//! closed costs no memory.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::row::{self, Row};
use super::source::Item;

type Error = Box<dyn std::error::Error>;

/// The most bytes of a row.
const LONGEST_ROW: usize = 256 * 1024;

/// Whether a file of this name holds lines of JSON.
pub(in crate::admin) fn is_json_lines(path: &Path) -> bool {
    matches!(path.extension().and_then(|end| end.to_str()), Some("jsonl" | "ndjson"))
}

/// Comma-separated, with a line of names first.
pub(super) struct Csv {
    reader: csv::Reader<Bounded>,
    /// What each column is, in the file's order; none for one that is of no use here.
    columns: Vec<Option<&'static str>>,
    left: Rc<Cell<usize>>,
    record: csv::StringRecord,
    size: u64,
}

impl Csv {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let (file, size) = open(path)?;
        let left = Rc::new(Cell::new(LONGEST_ROW));
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(Bounded { file, left: left.clone() });
        let columns: Vec<_> = reader.headers()?.iter().map(row::column).collect();
        for needed in ["id", "username", "email", "password_hash"] {
            if columns.iter().filter(|column| **column == Some(needed)).count() != 1 {
                return Err(format!(
                    "{}: its first line has to name the column `{needed}` once",
                    path.display()
                )
                .into());
            }
        }
        Ok(Self { reader, columns, left, record: csv::StringRecord::new(), size })
    }

    pub(super) fn says_verified(&self) -> bool {
        self.columns.contains(&Some("verified"))
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn position(&self) -> u64 {
        self.reader.position().byte()
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, Error> {
        self.left.set(LONGEST_ROW);
        let line = self.reader.position().line();
        let bad = |why: &str| Ok(Some(Item { line, row: Err((why.to_owned(), String::new())) }));
        match self.reader.read_record(&mut self.record) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            // The next row begins behind it all the same.
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                return bad("it is not UTF-8");
            }
            Err(error) => return Err(format!("line {line}: {error}").into()),
        }
        let line = self.record.position().map_or(line, csv::Position::line);
        if self.record.len() != self.columns.len() {
            let why = format!(
                "it has {} columns, and the first line has {}",
                self.record.len(),
                self.columns.len()
            );
            return Ok(Some(Item { line, row: Err((why, String::new())) }));
        }
        let mut row = Row::default();
        for (column, text) in self.columns.iter().zip(&self.record) {
            if let Some(column) = column {
                row.set(column, text.to_owned());
            }
        }
        Ok(Some(Item { line, row: Ok(row) }))
    }
}

/// A file that ends with a fault where too much of it is read for one row.
struct Bounded {
    file: File,
    left: Rc<Cell<usize>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(std::io::Error::new(
                ErrorKind::InvalidData,
                "the row is too long; is a quote left open?",
            ));
        }
        let most = buffer.len().min(left);
        let read = self.file.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left.set(left - read);
        Ok(read)
    }
}

/// A JSON object a line.
pub(super) struct Jsonl {
    reader: BufReader<File>,
    line: u64,
    text: Vec<u8>,
    position: u64,
    size: u64,
}

impl Jsonl {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let (file, size) = open(path)?;
        Ok(Self { reader: BufReader::new(file), line: 0, text: Vec::new(), position: 0, size })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, Error> {
        loop {
            self.text.clear();
            let most = u64::try_from(LONGEST_ROW).unwrap_or(u64::MAX);
            let read = (&mut self.reader).take(most).read_until(b'\n', &mut self.text)?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            self.position += u64::try_from(read).unwrap_or(0);
            if read == LONGEST_ROW && self.text.last() != Some(&b'\n') {
                return Err(format!("line {}: the row is too long", self.line).into());
            }
            if !self.text.trim_ascii().is_empty() {
                let row = parse(&self.text).map_err(|why| (why.to_owned(), String::new()));
                return Ok(Some(Item { line: self.line, row }));
            }
        }
    }
}

fn parse(text: &[u8]) -> Result<Row, &'static str> {
    // The parser's own words could repeat a part of the hash.
    let fields: Map<String, Value> =
        serde_json::from_slice(text).map_err(|_| "it is no JSON object")?;
    let mut row = Row::default();
    for (name, value) in fields {
        let Some(column) = row::column(&name) else { continue };
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Bool(truth) => truth.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Array(_) | Value::Object(_) => return Err("a column holds a list or an object"),
        };
        row.set(column, text);
    }
    Ok(row)
}

fn open(path: &Path) -> Result<(File, u64), Error> {
    let at = |error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(at)?;
    let size = file.metadata().map_err(at)?.len();
    Ok((file, size))
}
