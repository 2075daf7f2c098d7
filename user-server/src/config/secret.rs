//! The embedded default's secret: made once, kept in the data folder for the owner's eyes only.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file can't be read or made.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// Others may read the file.
    #[error("{0} can be read by others than its owner; mend it with: chmod 600 {0}")]
    Readable(PathBuf),
    /// The file is cut short.
    #[error("the secret is shorter than 32 bytes")]
    TooShort,
}

const NAME: &str = "jwt-secret";

/// The secret of the data folder, made where there is none.
pub(super) fn kept(folder: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let path = folder.join(NAME);
    let at = |error| SecretError::File(path.clone(), error);
    if !path.try_exists().map_err(at)? {
        make(&path).map_err(at)?;
    }
    check_mode(&path)?;
    let text = Zeroizing::new(std::fs::read(&path).map_err(at)?);
    let secret = Zeroizing::new(text.trim_ascii().to_vec());
    if secret.len() < crate::keys::MIN_SECRET { Err(SecretError::TooShort) } else { Ok(secret) }
}

/// The secret of the data folder, where there is one.
pub(super) fn found(folder: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
    let path = folder.join(NAME);
    let there = path.try_exists().map_err(|error| SecretError::File(path, error))?;
    if there { kept(folder).map(Some) } else { Ok(None) }
}

/// Keeps this secret in the data folder, in the place of the one that is there.
pub(super) fn keep(folder: &Path, secret: &[u8]) -> Result<(), SecretError> {
    let path = folder.join(NAME);
    let part = path.with_extension("part");
    write_part(&part, secret)
        .and_then(|()| std::fs::rename(&part, &path))
        .map_err(|error| SecretError::File(path, error))
}

/// Whole under another name first, and linked to its own only where nobody was faster: no crash
/// leaves half a secret.
fn make(path: &Path) -> std::io::Result<()> {
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(random.as_mut_slice()).map_err(std::io::Error::other)?;
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(random.as_slice()));
    let part = path.with_extension("part");
    write_part(&part, text.as_bytes())?;
    match std::fs::hard_link(&part, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    std::fs::remove_file(&part)
}

fn write_part(part: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(part)?;
    file.write_all(bytes)?;
    file.sync_all()
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
