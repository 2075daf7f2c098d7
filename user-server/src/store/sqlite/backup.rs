//! A copy of the database in one file, made while it is used, and what stands beside the rows in
//! it: the secret, where the data folder has one. Whoever has such a file has both.

use std::fs::File;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{SqliteStore, keep_private, options, sql};
use crate::domain::{Fault, Timestamp};

/// Why there is no copy, or why it can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file can't be made, read or moved.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// It is no copy that `user-server backup` made, or it was damaged since.
    #[error("{0} is no backup that can be used: {1}")]
    Unusable(PathBuf, String),
    /// The database.
    #[error(transparent)]
    Database(#[from] Fault),
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(sql::fault(error))
    }
}

/// What marks a file as a copy.
const MARK: &str = "CREATE TABLE backup (made_at INTEGER NOT NULL, secret BLOB) STRICT";

impl SqliteStore {
    /// Copies the database at `from` to the file `to`, which must not be there, while others may
    /// use it. The file is there when it is whole, proved and on the disk, and before that it is
    /// not.
    ///
    /// # Errors
    /// What stood in the way.
    pub async fn back_up(
        from: &Path,
        to: &Path,
        secret: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), BackupError> {
        let part = to.with_added_extension("part");
        let at = |error| BackupError::File(part.clone(), error);
        if to.try_exists().map_err(|error| BackupError::File(to.to_owned(), error))? {
            let there = std::io::Error::other("it is there already; name another file");
            return Err(BackupError::File(to.to_owned(), there));
        }
        match std::fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(error)),
            _ => {}
        }
        // Made first, so that it is private from its first byte.
        keep_private(&part).map_err(at)?;
        let mut source = options(from).connect().await?;
        let copied = sqlx::query("VACUUM INTO $1")
            .bind(part.to_string_lossy().into_owned())
            .execute(&mut source)
            .await;
        source.close().await?;
        copied?;
        let mut copy = of_one_file(&part).connect().await?;
        sqlx::query(MARK).execute(&mut copy).await?;
        let mark = sqlx::query("INSERT INTO backup (made_at, secret) VALUES ($1, $2)")
            .bind(now.0)
            .bind(secret);
        mark.execute(&mut copy).await?;
        prove(&mut copy, &part).await?;
        copy.close().await?;
        move_into_place(&part, to)
    }

    /// Writes a copy's database to the file `to`, which is there when it is whole; the secret that
    /// lay in it.
    ///
    /// # Errors
    /// What stood in the way; `to` is as it was then.
    pub async fn unpack(copy: &Path, to: &Path) -> Result<Option<Vec<u8>>, BackupError> {
        let part = to.with_added_extension("part");
        let at = |error| BackupError::File(part.clone(), error);
        let mut source =
            File::open(copy).map_err(|error| BackupError::File(copy.to_owned(), error))?;
        match std::fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(error)),
            _ => {}
        }
        keep_private(&part).map_err(at)?;
        let mut target = File::options().write(true).open(&part).map_err(at)?;
        std::io::copy(&mut source, &mut target).map_err(at)?;
        drop(target);
        let mut database = of_one_file(&part).connect().await?;
        prove(&mut database, copy).await?;
        let newest = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success";
        let (schema,): (i64,) = sqlx::query_as(newest).fetch_one(&mut database).await?;
        if schema > Self::newest_schema() {
            let why = format!("its schema is {schema}, of a later version than this one");
            return Err(BackupError::Unusable(copy.to_owned(), why));
        }
        let (secret,): (Option<Vec<u8>>,) =
            sqlx::query_as("SELECT secret FROM backup").fetch_one(&mut database).await?;
        // Zeroes take the place of the secret, which has a file of its own from now on.
        sqlx::query("DROP TABLE backup").execute(&mut database).await?;
        database.close().await?;
        move_into_place(&part, to)?;
        Ok(secret)
    }
}

/// A database that nobody else has open, without companions.
fn of_one_file(path: &Path) -> SqliteConnectOptions {
    options(path).journal_mode(SqliteJournalMode::Delete)
}

/// Reads every page, every index and every reference.
async fn prove(database: &mut SqliteConnection, named: &Path) -> Result<(), BackupError> {
    let unusable = |why: String| BackupError::Unusable(named.to_owned(), why);
    let wrong: (String,) = sqlx::query_as("PRAGMA integrity_check(1)")
        .fetch_one(&mut *database)
        .await
        .map_err(|error| unusable(error.to_string()))?;
    if wrong.0 != "ok" {
        return Err(unusable(wrong.0));
    }
    let marks: (i64,) = sqlx::query_as(
        "SELECT COUNT(*) FROM sqlite_schema WHERE name IN ('backup', 'users', 'sessions')",
    )
    .fetch_one(&mut *database)
    .await?;
    if marks.0 != 3 {
        return Err(unusable("it was not made by `user-server backup`".to_owned()));
    }
    let dangling = sqlx::query("PRAGMA foreign_key_check").fetch_optional(&mut *database).await?;
    if dangling.is_some() {
        Err(unusable("a row belongs to a user that is not there".to_owned()))
    } else {
        Ok(())
    }
}

/// Gives a whole file its name, and returns when both are on the disk.
fn move_into_place(part: &Path, to: &Path) -> Result<(), BackupError> {
    let at = |error| BackupError::File(to.to_owned(), error);
    File::open(part).and_then(|file| file.sync_all()).map_err(at)?;
    std::fs::rename(part, to).map_err(at)?;
    let folder =
        to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at)
}
