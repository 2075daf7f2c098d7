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

/// Describes an error about a directory: a file of its name is named as such, instead of `File
/// exists`.
#[must_use]
pub fn describe(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory if path.is_file() => {
            "it is a file, not a folder".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Checks that no other user of the machine can write to a directory.
///
/// # Errors
/// Fails with a message that states who can write to it, and the command that prevents it.
#[cfg(unix)]
pub fn check_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path)?;
    let shown = path.display();
    if owner_is_foreign(&found) {
        let owner = found.uid();
        return Err(io::Error::other(format!(
            "it belongs to another user (uid {owner}), who could replace the database and the \
             secret; run the command as that user, as with sudo -u '#{owner}', or use a folder of \
             this user (uid {})",
            own_uid()
        )));
    }
    if found.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "other users can write to it (mode {:o}), and could replace the database and the \
             secret; run: chmod go-w {shown}, or use a new folder below it",
            found.mode() & 0o7777
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
pub fn check_private(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Reports whether a file belongs to another user of the machine. Root does not count, since root
/// can do everything anyway.
#[cfg(unix)]
#[must_use]
pub fn owner_is_foreign(found: &std::fs::Metadata) -> bool {
    let owner = std::os::unix::fs::MetadataExt::uid(found);
    owner != 0 && owner != own_uid()
}

#[cfg(not(unix))]
#[must_use]
pub fn owner_is_foreign(_: &std::fs::Metadata) -> bool {
    false
}

/// Returns the other user to whom both a file and its folder belong, if there is one. If only the
/// file is foreign, somebody else has put it there.
#[cfg(unix)]
#[must_use]
pub fn foreign_owner_of_both(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::symlink_metadata(path).ok()?;
    let folder = std::fs::metadata(path.parent()?).ok()?;
    (owner_is_foreign(&file) && file.uid() == folder.uid()).then(|| file.uid())
}

#[cfg(not(unix))]
#[must_use]
pub fn foreign_owner_of_both(_: &Path) -> Option<u32> {
    None
}

#[cfg(unix)]
fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Locks a data directory for this process until the returned file is dropped. Creates the
/// directory if it does not exist. Returns `None` if another process has the lock.
///
/// # Errors
/// Fails if the directory cannot be created or locked, or if another user can write to it.
pub fn lock(path: &Path) -> io::Result<Option<File>> {
    make(path)?;
    check_private(path)?;
    let file = File::options().create(true).truncate(false).write(true).open(path.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
