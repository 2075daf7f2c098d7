//! The data folder: made for its owner's eyes only, and used by one server at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// Makes a folder that only its owner can look into, where there is none.
///
/// # Errors
/// Where it can't be made.
pub fn make(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Takes a data folder for this process alone, as long as the file lives; `None` where another
/// process has it.
///
/// # Errors
/// Where it can't be made or locked.
pub fn lock(path: &Path) -> io::Result<Option<File>> {
    make(path)?;
    let file = File::options().create(true).truncate(false).write(true).open(path.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
