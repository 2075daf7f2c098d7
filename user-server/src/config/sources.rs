//! Where a secret's value may come from: its variable, a file that `NAME_FILE` names, or a
//! credential of systemd. What a value means is not known here, and no value is ever in an error.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Longer than any list of secrets.
const LONGEST: u64 = 64 * 1024;
/// The folder of a service's credentials, set by systemd.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// What to do about a file that can not be used.
pub(super) const MEND: &str =
    "Name a file that the service may read and that holds the secret as text and nothing else.";

/// A place that gives a value.
pub(super) enum Source {
    Variable(String, String),
    File { variable: String, path: PathBuf },
    Credential(PathBuf),
}

/// A value, and what is odd about where it was.
pub(super) struct Read {
    pub(super) value: String,
    pub(super) note: Option<String>,
}

/// A variable that is set to something.
pub(super) fn set(variable: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    variable(name).filter(|value| !value.is_empty())
}

/// Every place that gives a value for a name.
pub(super) fn of(variable: &dyn Fn(&str) -> Option<String>, name: &str) -> Vec<Source> {
    let by_file = format!("{name}_FILE");
    let mut given = Vec::new();
    given.extend(set(variable, name).map(|value| Source::Variable(name.to_owned(), value)));
    given.extend(
        set(variable, &by_file).map(|path| Source::File { variable: by_file, path: path.into() }),
    );
    let credential = set(variable, CREDENTIALS).map(|folder| Path::new(&folder).join(name));
    given.extend(credential.filter(|path| path.exists()).map(Source::Credential));
    given
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable(name, _) => f.write_str(name),
            Self::File { variable, path } => write!(f, "{variable} ({})", path.display()),
            Self::Credential(path) => write!(f, "the credential {}", path.display()),
        }
    }
}

impl Source {
    /// Its value; that of a file without the line ends behind it, which editors and `echo` leave
    /// there.
    pub(super) fn read(self) -> Result<Read, String> {
        match self {
            Self::Variable(_, value) => Ok(Read { value, note: None }),
            Self::File { path, .. } => Ok(Read { value: text(&path)?, note: openness(&path) }),
            // Systemd shows it to nobody else.
            Self::Credential(path) => Ok(Read { value: text(&path)?, note: None }),
        }
    }
}

fn text(path: &Path) -> Result<String, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err("it is empty".to_owned()),
        value => Ok(value.to_owned()),
    }
}

/// A word where anybody on the machine may read a file. It is no fault: an orchestrator mounts
/// secrets so, into a container where nobody else is.
#[cfg(unix)]
pub(super) fn openness(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let path = path.display();
    (mode & 0o004 != 0).then(|| {
        format!("{path} holds a secret and anybody on this machine can read it: chmod o-r {path}")
    })
}

#[cfg(not(unix))]
pub(super) fn openness(_: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_text_without_the_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            text(&path)
        };
        assert_eq!(read(b"swordfish").unwrap(), "swordfish");
        assert_eq!(read(b"sword fish \r\n\n").unwrap(), "sword fish ");
        for wrong in [b"".as_slice(), b"\n", b"\xC3\x28 swordfish", &[b'x'; 65_537]] {
            let error = read(wrong).unwrap_err();
            assert!(!error.contains("fish"), "{error}");
        }
        assert!(text(&folder.path().join("none")).is_err());
        assert!(text(folder.path()).is_err());
    }
}
