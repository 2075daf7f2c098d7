//! The data directory: readable by its owner only, and used by one server at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// Creates a directory that only its owner can access, unless it exists.
///
/// # Errors
/// Fails if the directory cannot be created.
pub fn make(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Locks a data directory for this process, until the returned file is dropped. Creates it if it
/// does not exist. Returns `None` if another process holds the lock.
///
/// # Errors
/// Fails if the directory cannot be created or locked.
pub fn lock(path: &Path) -> io::Result<Option<File>> {
    make(path)?;
    let file = File::options().create(true).truncate(false).write(true).open(path.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
