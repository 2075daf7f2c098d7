//! The server that a command talks to: its address, the TLS settings, and their source.

use std::fmt;
use std::path::{Path, PathBuf};

use user_proto::client::is_loopback;

use crate::config::{self, Profile};
use crate::environment::{parsed, variable};
use crate::failure::Failure;
use crate::hints::PLAINTEXT_HINT;
use crate::options::{Global, parse_addr, parse_flag};

/// Address of the server if nothing else names one.
const DEFAULT_ADDR: &str = "127.0.0.1:3001";

/// Server that a command uses, with its address and TLS settings.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Address as host:port.
    pub(crate) addr: String,
    /// Source of the address, for error messages.
    pub(crate) source: Source,
    pub(crate) tls: bool,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) server_name: Option<String>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) allow_plaintext: bool,
    /// Source of the settings that are not given as options.
    base: Source,
    /// Options that are given.
    given: Vec<&'static str>,
}

/// Source of the address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The option --addr.
    Option,
    /// A profile of the configuration file.
    Profile {
        name: String,
        file: PathBuf,
    },
    /// The variable $USER_CLI_ADDR.
    Environment,
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option => f.write_str("from --addr"),
            Self::Profile { name, file } => {
                write!(f, "from the profile `{name}` in {}", file.display())
            }
            Self::Environment => f.write_str("from $USER_CLI_ADDR"),
            Self::Default => f.write_str("the default address"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.addr, self.source)
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            addr: DEFAULT_ADDR.to_owned(),
            source: Source::Default,
            tls: false,
            ca: None,
            server_name: None,
            cert: None,
            key: None,
            allow_plaintext: false,
            base: Source::Default,
            given: Vec::new(),
        }
    }
}

impl Endpoint {
    /// Determines the server from the options, the selected profile and the environment, in this
    /// order. A profile replaces all the environment variables, so that settings of two servers
    /// never mix.
    ///
    /// # Errors
    /// If the profile cannot be read, or an environment variable is invalid.
    pub(crate) fn resolve(global: &Global) -> Result<Self, Failure> {
        let base = match config::selected_profile(global)? {
            Some(profile) => Self::from_profile(profile),
            None => Self::from_environment()?,
        };
        let (addr, source) = match &global.addr {
            Some(addr) => (addr.clone(), Source::Option),
            None => (base.addr, base.source),
        };
        Ok(Self {
            addr,
            source,
            tls: global.tls || base.tls,
            ca: global.ca.clone().or(base.ca),
            server_name: global.server_name.clone().or(base.server_name),
            cert: global.cert.clone().or(base.cert),
            key: global.key.clone().or(base.key),
            allow_plaintext: global.allow_plaintext || base.allow_plaintext,
            base: base.base,
            given: [
                ("--ca", global.ca.is_some()),
                ("--server-name", global.server_name.is_some()),
                ("--cert", global.cert.is_some()),
                ("--key", global.key.is_some()),
            ]
            .into_iter()
            .filter_map(|(option, given)| given.then_some(option))
            .collect(),
        })
    }

    fn from_profile(profile: Profile) -> Self {
        let Profile { name, file, settings } = profile;
        let path = |value: Option<PathBuf>| {
            let folder = file.parent().unwrap_or(Path::new(""));
            value.map(|value| folder.join(value))
        };
        Self {
            addr: settings.addr,
            tls: settings.tls,
            ca: path(settings.ca),
            server_name: settings.server_name,
            cert: path(settings.cert),
            key: path(settings.key),
            allow_plaintext: settings.allow_plaintext,
            base: Source::Profile { name: name.clone(), file: file.clone() },
            source: Source::Profile { name, file },
            given: Vec::new(),
        }
    }

    fn from_environment() -> Result<Self, Failure> {
        let file = |name| variable(name).map(PathBuf::from);
        let flag = |name| parsed(name, parse_flag).map(Option::unwrap_or_default);
        let (addr, source) = match parsed("USER_CLI_ADDR", parse_addr)? {
            Some(addr) => (addr, Source::Environment),
            None => (DEFAULT_ADDR.to_owned(), Source::Default),
        };
        Ok(Self {
            addr,
            source,
            tls: flag("USER_CLI_TLS")?,
            ca: file("USER_CLI_CA"),
            server_name: variable("USER_CLI_SERVER_NAME"),
            cert: file("USER_CLI_CERT"),
            key: file("USER_CLI_KEY"),
            allow_plaintext: flag("USER_CLI_ALLOW_PLAINTEXT")?,
            base: Source::Environment,
            given: Vec::new(),
        })
    }

    /// Returns the name by which a setting was given: the option, the variable that replaces it, or
    /// its name in the profile.
    pub(crate) fn setting(&self, option: &'static str) -> String {
        let name = option.trim_start_matches('-').replace('-', "_");
        match &self.base {
            _ if self.given.contains(&option) => option.to_owned(),
            Source::Profile { name: profile, file } => {
                format!("{name} of the profile `{profile}` in {}", file.display())
            }
            _ => format!("$USER_CLI_{}", name.to_uppercase()),
        }
    }

    /// Returns true if connections to the server use TLS.
    pub(crate) fn uses_tls(&self) -> bool {
        self.tls || self.ca.is_some()
    }

    /// Checks that a secret may be sent to the server: over TLS, to a loopback address, or because
    /// the user allows plaintext.
    ///
    /// # Errors
    /// If the secret would cross a network in plaintext.
    pub(crate) fn check_secrets(&self) -> Result<(), Failure> {
        if self.uses_tls() || self.allow_plaintext || is_loopback(&self.addr) {
            return Ok(());
        }
        Err(Failure::usage(
            format!("refusing to send a password, code or token to {self} without TLS"),
            PLAINTEXT_HINT,
        ))
    }
}
