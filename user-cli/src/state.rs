//! What is remembered between two commands, per server: the tokens of the last login, and which
//! codes are awaited.
//!
//! Tokens are as good as passwords while they live, so the file is its owner's alone, and it is
//! replaced as a whole: whoever reads it sees the old state or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

use crate::args::Purpose;
use crate::failure::Failure;

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) session: Option<Session>,
    /// Codes that are awaited, the newest last.
    awaited: Vec<Awaited>,
}

/// The tokens of a login.
#[derive(Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) user_id: String,
    pub(crate) session_id: String,
    pub(crate) access_token: String,
    pub(crate) access_expires_at: u64,
    pub(crate) refresh_token: String,
    pub(crate) refresh_expires_at: u64,
    /// Whether they came over TLS: then they never leave without it.
    #[serde(default)]
    pub(crate) over_tls: bool,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.access_token.zeroize();
        self.refresh_token.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
struct Awaited {
    purpose: String,
    verification_id: String,
}

impl State {
    /// Remembers the verification that a code is awaited for. A newer one of its purpose takes its
    /// place.
    pub(crate) fn await_code(&mut self, purpose: Purpose, verification_id: Uuid) {
        self.forget_code(purpose);
        self.awaited
            .push(Awaited { purpose: name(purpose), verification_id: verification_id.to_string() });
    }

    pub(crate) fn forget_code(&mut self, purpose: Purpose) {
        self.awaited.retain(|awaited| awaited.purpose != name(purpose));
    }

    /// Whether there is nothing to remember.
    fn is_empty(&self) -> bool {
        self.session.is_none() && self.awaited.is_empty()
    }

    /// The verification that was begun last, of a purpose or of any.
    pub(crate) fn awaited(&self, purpose: Option<Purpose>) -> Option<Uuid> {
        let mut newest_first = self.awaited.iter().rev();
        newest_first
            .find(|awaited| purpose.is_none_or(|purpose| awaited.purpose == name(purpose)))
            .and_then(|awaited| awaited.verification_id.parse().ok())
    }
}

fn name(purpose: Purpose) -> String {
    format!("{purpose:?}").to_lowercase()
}

/// The file of one server.
pub(crate) struct Store {
    path: Option<PathBuf>,
}

impl Store {
    pub(crate) fn of(addr: &str) -> Self {
        Self { path: folder().map(|folder| folder.join(format!("{}.json", file_stem(addr)))) }
    }

    pub(crate) fn load(&self) -> Result<State, Failure> {
        let Some(path) = &self.path else { return Ok(State::default()) };
        let mend = || format!("Mend or delete {}, then log in again.", path.display());
        let bytes = match fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
            Err(error) => {
                return Err(Failure::usage(
                    format!("can not read {}: {error}", path.display()),
                    mend(),
                ));
            }
        };
        // serde's own message could quote what it did not understand, and that may be a token.
        serde_json::from_slice(&bytes).map_err(|_| {
            Failure::usage(format!("{} is not as user-cli wrote it", path.display()), mend())
        })
    }

    /// Replaces the file, or removes it where there is nothing to remember.
    pub(crate) fn save(&self, state: &State) -> io::Result<()> {
        let no_home = || {
            io::Error::new(io::ErrorKind::NotFound, "neither USER_CLI_STATE_DIR nor HOME is set")
        };
        let path = self.path.as_deref().ok_or_else(no_home)?;
        if state.is_empty() {
            return fs::remove_file(path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            });
        }
        let folder = path.parent().ok_or_else(no_home)?;
        private_folder(folder)?;
        let bytes = Zeroizing::new(serde_json::to_vec_pretty(state)?);
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let replaced = write_private(&new, &bytes).and_then(|()| fs::rename(&new, path));
        if replaced.is_err() {
            let _ = fs::remove_file(&new);
        }
        replaced
    }
}

fn folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("USER_CLI_STATE_DIR")
        .or_else(|| {
            set("XDG_STATE_HOME")
                .filter(|folder| folder.is_absolute())
                .map(|folder| folder.join("user-cli"))
        })
        .or_else(|| set("HOME").map(|home| home.join(".local/state/user-cli")))
}

/// The address as a file name: no two addresses share one.
fn file_stem(addr: &str) -> String {
    addr.bytes().fold(String::new(), |mut stem, byte| {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => stem.push(byte.into()),
            b'.' if !stem.is_empty() => stem.push('.'),
            b'A'..=b'Z' => stem.push(byte.to_ascii_lowercase().into()),
            _ => stem.push_str(&format!("%{byte:02x}")),
        }
        stem
    })
}

fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        builder.mode(0o700).create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
    }
    #[cfg(not(unix))]
    builder.create(folder)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Left over by a process of this id that was killed.
    let _ = fs::remove_file(path);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_files_of_their_own() {
        assert_eq!(file_stem("127.0.0.1:3001"), "127.0.0.1%3a3001");
        assert_eq!(file_stem("../../Etc:1"), "%2e.%2f..%2fetc%3a1");
        assert_ne!(file_stem("a%3a"), file_stem("a:"));
    }

    #[test]
    fn codes_are_awaited_by_purpose_and_the_newest_counts() {
        let mut state = State::default();
        let [one, two, three] = [1, 2, 3].map(Uuid::from_u128);
        state.await_code(Purpose::Registration, one);
        state.await_code(Purpose::Reset, two);
        assert_eq!(state.awaited(None), Some(two));
        state.await_code(Purpose::Registration, three);
        assert_eq!(
            (state.awaited(None), state.awaited(Some(Purpose::Reset))),
            (Some(three), Some(two))
        );
        state.forget_code(Purpose::Registration);
        assert_eq!(
            (state.awaited(None), state.awaited(Some(Purpose::Registration))),
            (Some(two), None)
        );
    }
}
