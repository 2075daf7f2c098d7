//! The secret of the embedded default: generated once, and stored in the data folder, readable by
//! its owner only.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::keys::MIN_SECRET;
use crate::store::folder;

/// Failure to read or create the secret of the data folder.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read or created.
    #[error("cannot read or create {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// The file is a link, or belongs to another user.
    #[error("{0} {1}")]
    Foreign(PathBuf, &'static str),
    /// The file and the data folder belong to this other user.
    #[error("{0} belongs to another user (uid {1}), to whom the data folder belongs too")]
    OtherUser(PathBuf, u32),
    /// The permissions of the file are too open.
    #[error("{0} can be read by users other than its owner")]
    Readable(PathBuf),
    /// The secret is shorter than [`MIN_SECRET`] bytes.
    #[error("{0} is shorter than {MIN_SECRET} bytes")]
    TooShort(PathBuf),
    /// The file does not exist, and the database was not used yet.
    #[error("there is no secret yet: {0} does not exist")]
    Absent(PathBuf),
    /// The file does not exist, but the database was used with the key of this name.
    #[error(
        "{0} does not exist, but the database was used with the key {1}, which is not configured"
    )]
    Lost(PathBuf, String),
}

impl SecretError {
    /// Returns a hint for the operator about the error.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::File(path, error) if error.kind() == ErrorKind::PermissionDenied => format!(
                "Run the command as the user of the service, which owns {}.",
                path.display()
            ),
            Self::File(..) => "Set DATA_DIR to a folder that the service can write to.".to_owned(),
            Self::Foreign(path, _) => format!(
                "Find out who created it: another user could choose or read the secret. Then remove \
                 {}.",
                path.display()
            ),
            Self::OtherUser(_, owner) => {
                format!("Run the command as the user of the service, as with sudo -u '#{owner}'.")
            }
            Self::Readable(path) => format!("Run: chmod 600 {}", path.display()),
            Self::TooShort(path) => format!("Restore {} from a backup.", path.display()),
            Self::Absent(_) => {
                "The first start of the server generates it. To use another one, set JWTSECRETKEY."
                    .to_owned()
            }
            Self::Lost(path, _) => format!(
                "Restore the file from a backup, or set JWTSECRETKEY to the secret that was used. \
                 If it is lost, every session ends with a new one: (umask 077; user-server keys \
                 new > {})",
                path.display()
            ),
        }
    }
}

/// Name of the file with the secret in the data folder.
pub(super) const FILE_NAME: &str = "jwt-secret";

/// Returns the secret of the data folder, which is generated if there is none.
pub(super) fn load_or_create(folder: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let path = folder.join(FILE_NAME);
    if let Some(secret) = load(folder)? {
        return Ok(secret);
    }
    create(&path)?;
    load(folder)?.ok_or(SecretError::Absent(path))
}

/// Returns the secret of the data folder, or `None` if there is none. Creates nothing.
pub(super) fn load(folder: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
    let path = folder.join(FILE_NAME);
    let at = |error| SecretError::File(path.clone(), error);
    refuse_foreign(&path)?;
    if !path.try_exists().map_err(at)? {
        return Ok(None);
    }
    check_mode(&path)?;
    let text = Zeroizing::new(std::fs::read(&path).map_err(at)?);
    let secret = Zeroizing::new(text.trim_ascii().to_vec());
    if secret.len() < MIN_SECRET { Err(SecretError::TooShort(path)) } else { Ok(Some(secret)) }
}

/// Stores a secret in the data folder. An existing one is replaced.
pub(super) fn store(folder: &Path, secret: &[u8]) -> Result<(), SecretError> {
    let path = folder.join(FILE_NAME);
    let temporary = path.with_extension("part");
    write_private(&temporary, secret)?;
    std::fs::rename(&temporary, &path).map_err(|error| SecretError::File(path, error))
}

/// Generates a secret and stores it in a file. The file is written completely under another name
/// before it is linked to its own, so that no crash leaves a part of a secret. If another process
/// was faster, its secret stays.
fn create(path: &Path) -> Result<(), SecretError> {
    let at = |error| SecretError::File(path.to_owned(), error);
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(random.as_mut_slice()).map_err(std::io::Error::other).map_err(at)?;
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(random.as_slice()));
    let temporary = path.with_extension("part");
    write_private(&temporary, text.as_bytes())?;
    match std::fs::hard_link(&temporary, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(at(error)),
        _ => {}
    }
    std::fs::remove_file(&temporary).map_err(at)
}

/// Writes a new file that only its owner can read. A regular file of the same name is left from a
/// crash, and is replaced.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), SecretError> {
    let at = |error| SecretError::File(path.to_owned(), error);
    refuse_foreign(path)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    // A link that appears now is not followed.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(at)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at)
}

/// Refuses a file that is not a regular one, or that belongs to another user.
fn refuse_foreign(path: &Path) -> Result<(), SecretError> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(SecretError::File(path.to_owned(), error)),
    };
    if let Some(owner) = folder::foreign_owner_of_both(path) {
        return Err(SecretError::OtherUser(path.to_owned(), owner));
    }
    let foreign = |reason| Err(SecretError::Foreign(path.to_owned(), reason));
    if found.is_symlink() {
        foreign("is a symbolic link, which is not followed")
    } else if !found.is_file() {
        foreign("is not a regular file")
    } else if folder::owner_is_foreign(&found) {
        foreign("belongs to another user")
    } else {
        Ok(())
    }
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), SecretError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path)
        .map_err(|error| SecretError::File(path.to_owned(), error))?
        .permissions()
        .mode();
    if mode & 0o077 == 0 { Ok(()) } else { Err(SecretError::Readable(path.to_owned())) }
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<(), SecretError> {
    Ok(())
}
