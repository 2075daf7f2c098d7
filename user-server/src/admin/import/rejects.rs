//! Rejected rows: one line each in a file, or the first few of them on stderr. They never contain a
//! hash.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::admin::command::CommandError;

/// Maximum number of rejected rows printed on stderr if there is no file for them.
const MAX_PRINTED: u64 = 10;
/// Maximum length of a row's id in bytes: the text forms of a UUID are shorter.
const MAX_ID: usize = 64;

pub(super) struct Rejects {
    path: PathBuf,
    file: Option<csv::Writer<BufWriter<File>>>,
    count: u64,
}

impl Rejects {
    /// Creates the file for rejected rows. Without a `path`, the first of them are printed on
    /// stderr.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, CommandError> {
        let Some(path) = path else {
            return Ok(Self { path: PathBuf::new(), file: None, count: 0 });
        };
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                CommandError::new(format!("{} already exists", path.display()))
                    .hint("Choose another name with --rejects, or remove the file first.")
            }
            _ => unwritable(path, &error),
        })?;
        let mut file = csv::Writer::from_writer(BufWriter::new(file));
        file.write_record(["line", "id", "reason"]).map_err(|error| unwritable(path, &error))?;
        Ok(Self { path: path.to_owned(), file: Some(file), count: 0 })
    }

    /// Adds a rejected row. `line` is its position in the source.
    pub(super) fn add(&mut self, line: u64, id: &str, reason: &str) -> Result<(), CommandError> {
        // If columns are swapped, the value in the column of the id could be a hash.
        let is_id = uuid::Uuid::try_parse(id).is_ok() && id.len() <= MAX_ID;
        let id = if is_id { id } else { "" };
        if let Some(file) = &mut self.file {
            file.write_record([&line.to_string(), id, reason])
                .map_err(|error| unwritable(&self.path, &error))?;
        } else if self.count < MAX_PRINTED {
            writeln!(std::io::stderr(), "line {line}: rejected: {reason}")?;
        } else if self.count == MAX_PRINTED {
            writeln!(
                std::io::stderr(),
                "further rows were rejected; --rejects FILE records all of them"
            )?;
        }
        self.count += 1;
        Ok(())
    }

    /// Writes the remaining rows to the file.
    pub(super) fn end(&mut self) -> Result<(), CommandError> {
        let written = self.file.as_mut().map_or(Ok(()), csv::Writer::flush);
        written.map_err(|error| unwritable(&self.path, &error))
    }
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> CommandError {
    CommandError::new(format!("cannot write {}: {error}", path.display()))
}
