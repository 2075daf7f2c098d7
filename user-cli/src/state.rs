//! State stored between commands, one file per server: the session of the last login, and the
//! verifications that are waiting for a code.
//!
//! Until they expire, tokens are as sensitive as passwords. So the file can be read only by its
//! owner, and it is replaced atomically: a reader sees either the old state or the new one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

use crate::failure::Failure;
use crate::private_file;

/// Purpose of an emailed code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Purpose {
    /// Verification of a new account
    Registration,
    /// Change of the email address
    Email,
    /// Password reset
    Reset,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) session: Option<Session>,
    /// Verifications with a code that was sent and not yet entered; the most recent last.
    #[serde(rename = "awaited")]
    pending_codes: Vec<PendingCode>,
}

/// The session of a login, with its tokens. Expiry times are Unix timestamps in seconds.
#[derive(Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) user_id: String,
    pub(crate) session_id: String,
    pub(crate) access_token: String,
    pub(crate) access_expires_at: u64,
    pub(crate) refresh_token: String,
    pub(crate) refresh_expires_at: u64,
    /// True if the tokens were received over TLS. Such tokens are never sent in plain text.
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
struct PendingCode {
    purpose: String,
    verification_id: String,
}

impl State {
    /// Adds a verification that is waiting for a code, in place of an earlier one with the same
    /// purpose.
    pub(crate) fn add_pending_code(&mut self, purpose: Purpose, verification_id: Uuid) {
        self.remove_pending_code(purpose);
        self.pending_codes.push(PendingCode {
            purpose: name(purpose),
            verification_id: verification_id.to_string(),
        });
    }

    pub(crate) fn remove_pending_code(&mut self, purpose: Purpose) {
        self.pending_codes.retain(|pending| pending.purpose != name(purpose));
    }

    /// Returns the verification id of the most recent pending code of a purpose, or of any purpose.
    pub(crate) fn pending_code(&self, purpose: Option<Purpose>) -> Option<Uuid> {
        let mut newest_first = self.pending_codes.iter().rev();
        newest_first
            .find(|pending| purpose.is_none_or(|purpose| pending.purpose == name(purpose)))
            .and_then(|pending| pending.verification_id.parse().ok())
    }

    fn is_empty(&self) -> bool {
        self.session.is_none() && self.pending_codes.is_empty()
    }
}

fn name(purpose: Purpose) -> String {
    format!("{purpose:?}").to_lowercase()
}

/// The state file of one server.
pub(crate) struct Store {
    /// Path of the file, or `None` if no environment variable names a directory.
    path: Option<PathBuf>,
}

impl Store {
    pub(crate) fn for_server(addr: &str) -> Self {
        Self {
            path: directory().map(|directory| directory.join(format!("{}.json", file_stem(addr)))),
        }
    }

    /// Returns the path of the file for messages.
    pub(crate) fn location(&self) -> String {
        self.path.as_ref().map_or_else(|| "a file".to_owned(), |path| path.display().to_string())
    }

    /// Loads the state, which is empty if there is no file.
    ///
    /// # Errors
    /// If the file cannot be read or is not valid. The message does not quote the file.
    pub(crate) fn load(&self) -> Result<State, Failure> {
        let Some(path) = &self.path else { return Ok(State::default()) };
        let hint = || format!("Repair or delete {}, then log in again.", path.display());
        if is_readable_by_others(path) {
            return Err(Failure::usage(
                format!("other users can read {}, which contains tokens", path.display()),
                format!(
                    "Run `chmod 600 {}`. If someone may have read it, log in again and run \
                     `user-cli logout --all`.",
                    path.display()
                ),
            ));
        }
        let bytes = match fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
            Err(error) => {
                return Err(Failure::usage(
                    format!("cannot read {}: {error}", path.display()),
                    hint(),
                ));
            }
        };
        // serde's own message could quote a token.
        serde_json::from_slice(&bytes).map_err(|_| {
            Failure::usage(format!("{} is not a valid state file", path.display()), hint())
        })
    }

    /// Replaces the state file atomically, or removes it if the state is empty.
    pub(crate) fn save(&self, state: &State) -> io::Result<()> {
        let no_directory = || {
            io::Error::new(io::ErrorKind::NotFound, "neither USER_CLI_STATE_DIR nor HOME is set")
        };
        let path = self.path.as_deref().ok_or_else(no_directory)?;
        if state.is_empty() {
            return fs::remove_file(path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            });
        }
        create_private_directory(path.parent().ok_or_else(no_directory)?)?;
        let bytes = Zeroizing::new(serde_json::to_vec_pretty(state)?);
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let replaced = write_private(&new, &bytes).and_then(|()| fs::rename(&new, path));
        if replaced.is_err() {
            let _ = fs::remove_file(&new);
        }
        replaced
    }
}

#[cfg(unix)]
fn is_readable_by_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &Path) -> bool {
    false
}

/// Returns the directory of the state files, or `None` if no environment variable names one.
fn directory() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("USER_CLI_STATE_DIR")
        .or_else(|| {
            set("XDG_STATE_HOME")
                .filter(|directory| directory.is_absolute())
                .map(|directory| directory.join("user-cli"))
        })
        .or_else(|| set("HOME").map(|home| home.join(".local/state/user-cli")))
}

/// Returns the name of the state file for a server address, without extension. No two addresses
/// share one.
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

fn create_private_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        builder.mode(0o700).create(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
    }
    #[cfg(not(unix))]
    builder.create(directory)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A killed process with the same id may have left the file behind.
    let _ = fs::remove_file(path);
    private_file::create(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_own_file() {
        assert_eq!(file_stem("127.0.0.1:3001"), "127.0.0.1%3a3001");
        assert_eq!(file_stem("../../Etc:1"), "%2e.%2f..%2fetc%3a1");
        assert_ne!(file_stem("a%3a"), file_stem("a:"));
    }

    #[test]
    fn the_newest_pending_code_of_a_purpose_is_found() {
        let mut state = State::default();
        let [one, two, three] = [1, 2, 3].map(Uuid::from_u128);
        state.add_pending_code(Purpose::Registration, one);
        state.add_pending_code(Purpose::Reset, two);
        assert_eq!(state.pending_code(None), Some(two));
        state.add_pending_code(Purpose::Registration, three);
        assert_eq!(
            (state.pending_code(None), state.pending_code(Some(Purpose::Reset))),
            (Some(three), Some(two))
        );
        state.remove_pending_code(Purpose::Registration);
        assert_eq!(
            (state.pending_code(None), state.pending_code(Some(Purpose::Registration))),
            (Some(two), None)
        );
    }
}
