//! Sources of a secret's value: its variable, a file named by `NAME_FILE`, or a systemd credential.
//! This file does not know the meaning of a value, and no value appears in an error.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Maximum size of a file in bytes, larger than any list of secrets.
const MAX_SIZE: u64 = 64 * 1024;
/// Variable with the folder of the service's credentials, which systemd sets.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Hint for a source of a secret that cannot be read.
pub(super) const HINT: &str =
    "Use a file that the service can read and that contains only the secret, as text.";

/// A source from which the value of a secret can be read.
pub(super) enum SecretSource {
    /// A variable that contains the secret, and its value.
    Variable {
        name: String,
        value: String,
    },
    /// A file, and the variable that names it.
    File {
        variable: String,
        path: PathBuf,
    },
    Credential(PathBuf),
}

/// The value of a secret, and a warning about its source if there is one.
pub(super) struct SecretText {
    pub(super) value: String,
    pub(super) warning: Option<String>,
}

/// Returns the value of a variable, unless it is empty.
pub(super) fn non_empty(variable: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    variable(name).filter(|value| !value.is_empty())
}

/// Returns every source that exists for a secret.
pub(super) fn find(variable: &dyn Fn(&str) -> Option<String>, secret: &str) -> Vec<SecretSource> {
    let by_file = format!("{secret}_FILE");
    let mut sources = Vec::new();
    sources.extend(
        non_empty(variable, secret)
            .map(|value| SecretSource::Variable { name: secret.to_owned(), value }),
    );
    sources.extend(
        non_empty(variable, &by_file)
            .map(|path| SecretSource::File { variable: by_file, path: path.into() }),
    );
    let credential = non_empty(variable, CREDENTIALS).map(|folder| Path::new(&folder).join(secret));
    sources.extend(credential.filter(|path| path.exists()).map(SecretSource::Credential));
    sources
}

impl std::fmt::Display for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable { name, .. } => f.write_str(name),
            Self::File { variable, path } => write!(f, "{variable} ({})", path.display()),
            Self::Credential(path) => write!(f, "the credential {}", path.display()),
        }
    }
}

impl SecretSource {
    /// Reads the value of the secret. Line breaks at the end of a file, which editors and `echo`
    /// append, are removed.
    ///
    /// # Errors
    /// If the file cannot be read, is too long, empty or not UTF-8.
    pub(super) fn read(self) -> Result<SecretText, String> {
        match self {
            Self::Variable { value, .. } => Ok(SecretText { value, warning: None }),
            Self::File { path, .. } => {
                Ok(SecretText { value: read_file(&path)?, warning: permission_warning(&path) })
            }
            // Systemd makes it readable for the service only.
            Self::Credential(path) => Ok(SecretText { value: read_file(&path)?, warning: None }),
        }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(format!("the file is longer than {MAX_SIZE} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "the file is not UTF-8".to_owned())?;
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err("the file is empty".to_owned()),
        value => Ok(value.to_owned()),
    }
}

/// Returns a warning if every user of the machine can read a file with a secret, otherwise `None`.
/// This is not an error, because orchestrators mount secrets in this way into containers without
/// other users.
#[cfg(unix)]
pub(super) fn permission_warning(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let path = path.display();
    (mode & 0o004 != 0).then(|| {
        format!(
            "{path} contains a secret and can be read by every user of this machine; to change \
             that, run: chmod o-r {path}"
        )
    })
}

#[cfg(not(unix))]
pub(super) fn permission_warning(_: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_without_the_line_breaks_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_file(&path)
        };
        assert_eq!(read(b"swordfish").unwrap(), "swordfish");
        assert_eq!(read(b"sword fish \r\n\n").unwrap(), "sword fish ");
        for invalid in [b"".as_slice(), b"\n", b"\xC3\x28 swordfish", &[b'x'; 65_537]] {
            let error = read(invalid).unwrap_err();
            assert!(!error.contains("fish"), "{error}");
        }
        assert!(read_file(&folder.path().join("none")).is_err());
        assert!(read_file(folder.path()).is_err());
    }
}
