//! Check whether the file system of the database is read-only or full.

use std::path::Path;

use crate::domain::Fault;

/// Free disk space in bytes below which the disk counts as full: room for a few write-ahead logs.
#[cfg(target_os = "linux")]
const MIN_FREE: u64 = 1024 * 1024;

/// Checks that the file system that contains `file` can be written and has space left.
///
/// # Errors
/// [`Fault::ReadOnly`] if it cannot be written.
#[cfg(target_os = "linux")]
pub(super) fn check(file: &Path) -> Result<(), Fault> {
    let Ok(system) = rustix::fs::statvfs(file) else { return Ok(()) };
    if system.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Err(Fault::ReadOnly("the file system is read-only".to_owned()));
    }
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    if free < MIN_FREE {
        return Err(Fault::ReadOnly(format!("the disk is full: {} KiB are left", free / 1024)));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn check(_: &Path) -> Result<(), Fault> {
    Ok(())
}
