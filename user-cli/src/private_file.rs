//! Creates new files that only their owner can read.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Creates a file with these bytes that only its owner can read.
///
/// # Errors
/// If the file exists, or cannot be written.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
