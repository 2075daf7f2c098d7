//! The rows that were refused: a line each in a file, and the first of them on the terminal. Never
//! a hash.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// How many are told where there is no file for them.
const TOLD: u64 = 10;
/// The most of an id that is no UUID.
const LONGEST_ID: usize = 64;

/// Who takes note.
pub(super) struct Rejects {
    file: Option<csv::Writer<BufWriter<File>>>,
    told: u64,
}

impl Rejects {
    /// Begins the file, where one is named.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Box<dyn std::error::Error>> {
        let Some(path) = path else { return Ok(Self { file: None, told: 0 }) };
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut file = csv::Writer::from_writer(BufWriter::new(file));
        file.write_record(["line", "id", "reason"])?;
        Ok(Self { file: Some(file), told: 0 })
    }

    /// Notes one.
    pub(super) fn note(
        &mut self,
        line: u64,
        id: &str,
        reason: &str,
    ) -> Result<(), Box<dyn std::error::Error>> {
        // Where columns are swapped, what stands in the place of the id may be a hash.
        let is_id = uuid::Uuid::try_parse(id).is_ok() && id.len() <= LONGEST_ID;
        let id = if is_id { id } else { "" };
        if let Some(file) = &mut self.file {
            file.write_record([&line.to_string(), id, reason])?;
        } else if self.told < TOLD {
            writeln!(std::io::stderr(), "line {line}: refused: {reason}")?;
        } else if self.told == TOLD {
            writeln!(std::io::stderr(), "more are refused; --rejects FILE notes all of them")?;
        }
        self.told += 1;
        Ok(())
    }

    /// Ends the file.
    pub(super) fn end(&mut self) -> std::io::Result<()> {
        self.file.as_mut().map_or(Ok(()), csv::Writer::flush)
    }
}
