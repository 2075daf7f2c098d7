//! Backups: one file with the database, made while the server runs. If the data directory contains
//! the server's secret, the backup contains it too, so the file must be protected like both.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{SqliteStore, options, sql};
use crate::domain::{Fault, Timestamp};

/// Failure to make or restore a backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be created, read or renamed.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// The file was not made by `user-server backup`, or is damaged.
    #[error("{0} is not a usable backup: {1}")]
    Unusable(PathBuf, String),
    /// The database cannot be copied to the file.
    #[error("cannot write {0}: {1}")]
    Copy(PathBuf, Fault),
    #[error(transparent)]
    Database(#[from] Fault),
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(sql::fault(error))
    }
}

/// First bytes of every SQLite database file.
const HEADER: &[u8; 16] = b"SQLite format 3\0";
const NOT_A_BACKUP: &str = "it was not made by `user-server backup`";
/// Statement that creates the table that marks a file as a backup.
const MARKER_TABLE: &str = "CREATE TABLE backup (made_at INTEGER NOT NULL, secret BLOB) STRICT";

/// Fields of the header of an SQLite database that only applications use (`user_version` and
/// `application_id`), as positions in the file. A backup contains its checksum in them.
const CHECKSUM_FIELDS: [std::ops::Range<usize>; 2] = [60..64, 68..72];
/// Size of the header of an SQLite database in bytes.
const HEADER_SIZE: usize = 100;
/// Checksum of a backup: the first bytes of the SHA-256 hash of the file without the checksum.
type Checksum = [u8; 8];

impl SqliteStore {
    /// Copies the database at `from`, which may be in use, to the new backup file `to`, together
    /// with the server's secret, if given. The file appears only when it is complete, verified and
    /// on the disk.
    ///
    /// # Errors
    /// Fails if `to` exists or cannot be written, or if the copy does not pass the verification.
    pub async fn back_up(
        from: &Path,
        to: &Path,
        secret: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), BackupError> {
        let at = |error| BackupError::File(to.to_owned(), error);
        if to.try_exists().map_err(|error| BackupError::File(to.to_owned(), error))? {
            let exists = std::io::Error::other("the file exists; choose another name");
            return Err(BackupError::File(to.to_owned(), exists));
        }
        let part = to.with_added_extension("part");
        match std::fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(error)),
            _ => {}
        }
        // Created first, so that it is private from its first byte.
        make_new(&part).map_err(at)?;
        let made = Self::back_up_part(from, to, &part, secret, now).await;
        if made.is_err() {
            remove_part(&part);
        }
        made.map_err(|error| match error {
            BackupError::Database(fault) => BackupError::Copy(to.to_owned(), fault),
            error => error,
        })
    }

    async fn back_up_part(
        from: &Path,
        to: &Path,
        part: &Path,
        secret: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), BackupError> {
        let mut source = options(from).connect().await?;
        let copied = sqlx::query("VACUUM INTO $1")
            .bind(part.to_string_lossy().into_owned())
            .execute(&mut source)
            .await;
        source.close().await?;
        copied?;
        let mut copy = single_file(part).connect().await?;
        sqlx::query(MARKER_TABLE).execute(&mut copy).await?;
        let marker = sqlx::query("INSERT INTO backup (made_at, secret) VALUES ($1, $2)")
            .bind(now.0)
            .bind(secret);
        marker.execute(&mut copy).await?;
        verify(&mut copy, part).await?;
        copy.close().await?;
        let at = |error| BackupError::File(to.to_owned(), error);
        write_checksum(part, checksum(part).map_err(at)?.0).map_err(at)?;
        move_into_place(part, to)
    }

    /// Extracts the database from the backup file `copy` to the file `to`, which appears only when
    /// it is complete. Returns the server's secret if the backup contains it.
    ///
    /// # Errors
    /// Fails if the backup is not usable or a file cannot be written; `to` is unchanged then.
    pub async fn unpack(copy: &Path, to: &Path) -> Result<Option<Vec<u8>>, BackupError> {
        let part = to.with_added_extension("part");
        let unpacked = Self::unpack_part(copy, to, &part).await;
        if unpacked.is_err() {
            remove_part(&part);
        }
        // A damaged database fails in many ways, but it is always the file that is not usable.
        unpacked.map_err(|error| match error {
            BackupError::Database(fault @ (Fault::Internal(_) | Fault::Unavailable(_))) => {
                BackupError::Unusable(copy.to_owned(), fault.to_string())
            }
            error => error,
        })
    }

    /// Checks that the backup file `copy` is an SQLite database with the checksum that it contains,
    /// without opening it as a database.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not a database, or was changed.
    pub fn check_backup(copy: &Path) -> Result<(), BackupError> {
        let at = |error| BackupError::File(copy.to_owned(), error);
        let mut start = [0; HEADER.len()];
        let mut file = File::open(copy).map_err(at)?;
        match std::io::Read::read_exact(&mut file, &mut start) {
            Ok(()) if start == *HEADER => {
                let (expected, stored) = checksum(copy).map_err(at)?;
                // The copy of a database that `user-server backup` did not make has none, and is
                // refused later.
                if stored == expected || stored == Checksum::default() {
                    return Ok(());
                }
                let why = "its checksum is wrong, so the file is damaged".to_owned();
                Err(BackupError::Unusable(copy.to_owned(), why))
            }
            Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(at(error)),
            _ => Err(BackupError::Unusable(copy.to_owned(), NOT_A_BACKUP.to_owned())),
        }
    }

    async fn unpack_part(
        copy: &Path,
        to: &Path,
        part: &Path,
    ) -> Result<Option<Vec<u8>>, BackupError> {
        let at = |error| BackupError::File(part.to_owned(), error);
        let mut source =
            File::open(copy).map_err(|error| BackupError::File(copy.to_owned(), error))?;
        match std::fs::remove_file(part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(error)),
            _ => {}
        }
        make_new(part).map_err(at)?;
        let mut target = File::options().write(true).open(part).map_err(at)?;
        std::io::copy(&mut source, &mut target).map_err(at)?;
        drop(target);
        // Again, in case that the file has changed since.
        Self::check_backup(part).map_err(|error| match error {
            BackupError::Unusable(_, why) => BackupError::Unusable(copy.to_owned(), why),
            error => error,
        })?;
        write_checksum(part, Checksum::default()).map_err(at)?;
        let mut database = single_file(part).connect().await?;
        verify(&mut database, copy).await?;
        let (secret,): (Option<Vec<u8>>,) =
            sqlx::query_as("SELECT secret FROM backup").fetch_one(&mut database).await?;
        // The secret is moved to its file; `secure_delete` overwrites it here.
        sqlx::query("DROP TABLE backup").execute(&mut database).await?;
        database.close().await?;
        move_into_place(part, to)?;
        Ok(secret)
    }
}

/// Computes the checksum of a backup file. Returns it with the one that the file contains.
fn checksum(path: &Path) -> std::io::Result<(Checksum, Checksum)> {
    let mut file = File::open(path)?;
    let mut header = Vec::new();
    (&mut file).take(HEADER_SIZE as u64).read_to_end(&mut header)?;
    let mut stored = Vec::new();
    for field in CHECKSUM_FIELDS {
        if let Some(bytes) = header.get_mut(field) {
            stored.extend_from_slice(bytes);
            bytes.fill(0);
        }
    }
    let mut hash = Sha256::new();
    hash.update(&header);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    let mut checksum = Checksum::default();
    checksum.copy_from_slice(hash.finalize().split_at(size_of::<Checksum>()).0);
    Ok((checksum, stored.try_into().unwrap_or_default()))
}

fn write_checksum(path: &Path, checksum: Checksum) -> std::io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    let (first, second) = checksum.split_at(checksum.len() / 2);
    for (field, bytes) in CHECKSUM_FIELDS.into_iter().zip([first, second]) {
        file.seek(SeekFrom::Start(field.start as u64))?;
        file.write_all(bytes)?;
    }
    file.sync_all()
}

/// Removes an incomplete file and its journals. The error that made it incomplete is the one to
/// report.
fn remove_part(part: &Path) {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let mut name = part.as_os_str().to_owned();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
}

/// Creates a file that only its owner can access. Fails if the file exists, so that no link is
/// followed.
fn make_new(path: &Path) -> std::io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Returns the options of a database that no other process uses, without a write-ahead log.
fn single_file(path: &Path) -> SqliteConnectOptions {
    options(path).journal_mode(SqliteJournalMode::Delete)
}

/// Checks that every page, index and foreign key of a database is intact, and that it was made as a
/// backup.
async fn verify(database: &mut SqliteConnection, path: &Path) -> Result<(), BackupError> {
    let unusable = |why: String| BackupError::Unusable(path.to_owned(), why);
    let (result,): (String,) = sqlx::query_as("PRAGMA integrity_check(1)")
        .fetch_one(&mut *database)
        .await
        .map_err(|error| unusable(error.to_string()))?;
    if result != "ok" {
        return Err(unusable(result));
    }
    let (tables,): (i64,) = sqlx::query_as(
        "SELECT COUNT(*) FROM sqlite_schema WHERE name IN ('backup', 'users', 'sessions')",
    )
    .fetch_one(&mut *database)
    .await?;
    if tables != 3 {
        return Err(unusable(NOT_A_BACKUP.to_owned()));
    }
    let dangling = sqlx::query("PRAGMA foreign_key_check").fetch_optional(&mut *database).await?;
    if dangling.is_some() {
        Err(unusable("a row refers to a user that does not exist".to_owned()))
    } else {
        Ok(())
    }
}

/// Renames the complete file `part` to `to`, and returns when its content and its new name are on
/// the disk.
fn move_into_place(part: &Path, to: &Path) -> Result<(), BackupError> {
    let at = |error| BackupError::File(to.to_owned(), error);
    File::open(part).and_then(|file| file.sync_all()).map_err(at)?;
    std::fs::rename(part, to).map_err(at)?;
    let folder =
        to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at)
}
