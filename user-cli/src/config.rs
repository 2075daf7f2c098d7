//! The configuration file with the profiles of servers.
//!
//! A profile decides to which server passwords are sent and which authority is trusted, so a file
//! that other users can change is refused.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::environment::variable;
use crate::failure::Failure;
use crate::options::{Global, parse_addr};

/// A profile of the configuration file.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: String,
    /// File that contains the profile. Relative paths in the profile start at its folder.
    pub(crate) file: PathBuf,
    pub(crate) settings: Settings,
}

/// Settings of a profile.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) addr: String,
    #[serde(default)]
    pub(crate) tls: bool,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) server_name: Option<String>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    #[serde(default)]
    pub(crate) allow_plaintext: bool,
    /// URL of the server's metrics for the command `top`; `None` uses the default.
    pub(crate) metrics: Option<String>,
}

/// Contents of the configuration file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    profiles: BTreeMap<String, Settings>,
}

/// Returns the profile that --profile or $USER_CLI_PROFILE names, or `None` if neither is set.
///
/// # Errors
/// If the configuration file is missing, unsafe or invalid, or if it has no such profile.
pub(crate) fn selected_profile(global: &Global) -> Result<Option<Profile>, Failure> {
    let name = global.profile.clone().or_else(|| variable("USER_CLI_PROFILE"));
    name.map(load).transpose()
}

fn load(name: String) -> Result<Profile, Failure> {
    let Some(file) = path() else {
        return Err(Failure::usage(
            format!("no configuration file for the profile `{name}`"),
            "Set HOME, or set USER_CLI_CONFIG to the file.",
        ));
    };
    let text = std::fs::read_to_string(&file).map_err(|error| {
        let hint = if error.kind() == io::ErrorKind::NotFound {
            format!(
                "Create the file with the lines `[profiles.{name}]` and `addr = \"HOST:PORT\"`."
            )
        } else {
            "Make the file readable, or set USER_CLI_CONFIG to another one.".to_owned()
        };
        Failure::usage(
            format!("cannot read {} for the profile `{name}`: {error}", file.display()),
            hint,
        )
    })?;
    check_permissions(&file)?;
    let mut parsed = parse(&text).map_err(|(line, message)| {
        Failure::usage(
            format!("{}, line {line}: {message}", file.display()),
            "Correct the file; `man user-cli` describes it.",
        )
    })?;
    let Some(mut settings) = parsed.profiles.remove(&name) else {
        let names: Vec<_> = parsed.profiles.keys().map(|name| format!("`{name}`")).collect();
        let existing = if names.is_empty() { "no profile".to_owned() } else { names.join(", ") };
        return Err(Failure::usage(
            format!("{} has no profile `{name}`", file.display()),
            format!("The file contains {existing}."),
        ));
    };
    settings.addr = parse_addr(&settings.addr).map_err(|expected| {
        Failure::usage(
            format!(
                "invalid value \"{}\" for addr of the profile `{name}` in {}: {expected}",
                settings.addr,
                file.display()
            ),
            "Correct the address.",
        )
    })?;
    Ok(Profile { name, file, settings })
}

/// Parses the configuration file. An error is a line number and a message.
fn parse(text: &str) -> Result<File, (usize, String)> {
    toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        (line, error.message().replace('\n', "; "))
    })
}

/// Returns the path of the configuration file, or `None` if no environment variable names a
/// directory.
pub(crate) fn path() -> Option<PathBuf> {
    variable("USER_CLI_CONFIG")
        .map(PathBuf::from)
        .or_else(|| {
            variable("XDG_CONFIG_HOME")
                .map(PathBuf::from)
                .filter(|directory| directory.is_absolute())
                .map(|directory| directory.join("user-cli/config.toml"))
        })
        .or_else(|| {
            variable("HOME").map(|home| Path::new(&home).join(".config/user-cli/config.toml"))
        })
}

/// Checks that only the owner of the configuration file can change it.
#[cfg(unix)]
fn check_permissions(file: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS_WRITE: u32 = 0o022;
    let mode = std::fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode());
    if mode & OTHERS_WRITE == 0 {
        return Ok(());
    }
    Err(Failure::usage(
        format!("other users can change {}, which decides where passwords go", file.display()),
        format!("Run `chmod go-w {}`.", file.display()),
    ))
}

#[cfg(not(unix))]
fn check_permissions(_: &Path) -> Result<(), Failure> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]
    use super::*;

    #[test]
    fn profiles_are_parsed_and_mistakes_are_located() {
        let file = parse("[profiles.prod]\naddr = \"a:1\"\nca = \"ca.pem\"\n").unwrap();
        assert_eq!(file.profiles["prod"].ca.as_deref(), Some(Path::new("ca.pem")));
        let (line, message) = parse("[profiles.prod]\naddr = \"a:1\"\nadress = 1\n").err().unwrap();
        assert!(line == 3 && message.contains("unknown field `adress`"), "{line}: {message}");
        let (line, _) = parse("[profiles.prod]\naddr = \"a:1\n").err().unwrap();
        assert_eq!(line, 2);
    }
}
