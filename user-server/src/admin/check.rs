//! The command `check`: connects to everything that the configuration names, and changes nothing.

mod clock;
mod database;
mod keys;
mod listeners;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::mail_check;
use crate::cache::RedisCache;
use crate::config::{Config, redis_hint};
use crate::domain::{Clock, SystemClock, Timestamp};
use crate::keys::TokenAlgorithm;
use crate::process::OpenFiles;
use crate::tls::{Identity, TlsFiles};

/// The oldest version of Redis that supports the commands of the cache.
const MIN_REDIS: [u64; 2] = [6, 2];
/// Number of bytes written to a folder to test it, more than a file system reserves for a file that
/// is empty.
const PROBE_SIZE: usize = 64 * 1024;

/// Remaining validity of a certificate below which the check warns.
const CERTIFICATE_WARNING: Duration = Duration::from_secs(14 * 24 * 3600);

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The service can use the component.
    Good,
    /// The service can use the component, but an operator should change something.
    Warning,
    /// The service cannot use the component.
    Wrong,
}

/// The result of checking one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The component that was checked.
    pub component: &'static str,
    pub level: Level,
    /// Details, followed by a hint unless the component is good.
    pub details: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let result = match self.level {
            Level::Good => "good ",
            Level::Warning => "WARN ",
            Level::Wrong => "WRONG",
        };
        write!(f, "{result}  {:<13}  {}", self.component, self.details)
    }
}

impl Finding {
    /// Returns the finding as one JSON object.
    #[must_use]
    pub fn as_json(&self) -> Value {
        let level = match self.level {
            Level::Good => "good",
            Level::Warning => "warning",
            Level::Wrong => "wrong",
        };
        json!({
            "component": self.component,
            "good": self.level != Level::Wrong,
            "level": level,
            "details": self.details,
        })
    }
}

fn good(component: &'static str, details: impl Into<String>) -> Finding {
    Finding { component, level: Level::Good, details: details.into() }
}

fn warning(component: &'static str, details: impl Into<String>) -> Finding {
    Finding { component, level: Level::Warning, details: details.into() }
}

fn wrong(component: &'static str, details: impl Into<String>) -> Finding {
    Finding { component, level: Level::Wrong, details: details.into() }
}

fn finding(component: &'static str, checked: Result<String, String>) -> Finding {
    match checked {
        Ok(details) => good(component, details),
        Err(details) => wrong(component, details),
    }
}

/// Checks every component that the configuration names.
pub async fn check(config: &Config) -> Vec<Finding> {
    // Invalid variables prevent the command from running at all.
    let mut findings = vec![good("configuration", "all variables are valid")];
    findings.extend(config.warnings.iter().map(|text| warning("warning", text.clone())));
    findings.extend(listeners::listeners(config));
    findings.push(open_files(&OpenFiles::of(config.max_connections.total)));
    findings.extend(config.tls.as_ref().map(certificate));
    findings.extend(token_signing(config.tokens.signing));
    match &config.postgres {
        Some(postgres) => database::postgres(postgres, &mut findings).await,
        None => {
            findings.push(folder("data", &config.data_dir, "DATA_DIR"));
            findings.extend(database::embedded(config).await);
        }
    }
    findings.extend(database::weak_secrets(config).await);
    findings.extend(keys::keys(config).await);
    findings.extend(clock::clock(config).await);
    if let Some(server) = &config.cache {
        let (location, probed) = (server.location(), RedisCache::probe(server.clone()).await);
        findings.push(cache_finding(&location, probed));
    }
    findings.push(match &config.smtp {
        Some(server) => finding("emails", mail_check::server(server, &config.sender).await),
        None => folder("emails", &config.mail_dir, "MAIL_DIR"),
    });
    findings.extend(mail_check::queue(config).await.map(|checked| finding("email queue", checked)));
    findings
}

/// Reports who can sign tokens, if clients can verify them with public keys.
fn token_signing(algorithm: TokenAlgorithm) -> Option<Finding> {
    (algorithm != TokenAlgorithm::Hs256).then(|| {
        let name = algorithm.name();
        good(
            "token signing",
            format!(
                "{name}, with a key derived from JWTSECRETKEY; if a gateway has that secret, rotate \
                 it: user-server keys new"
            ),
        )
    })
}

/// Reports the limit of open files, which the server raises by itself as far as it may.
fn open_files(files: &OpenFiles) -> Finding {
    match (files.warning(), files.limit) {
        (Some(warning), _) => wrong("open files", warning),
        (None, None) => good("open files", "no limit"),
        (None, Some(limit)) => good(
            "open files",
            format!("the limit is {limit}; MAX_CONNECTIONS needs up to {}", files.needed),
        ),
    }
}

fn certificate(files: &TlsFiles) -> Finding {
    let location = files.certificate.display();
    let now = SystemClock.now();
    let identity = match Identity::read(files).and_then(|identity| identity.valid_at(now)) {
        Ok(identity) => identity,
        Err(fault) => {
            return wrong("certificate", format!("{location}: {fault}. {}", fault.file.hint()));
        }
    };
    let mut details =
        format!("{location} matches its key and {}", remaining(identity.not_after, now));
    match identity.authorities_until {
        Some(end) => details.push_str(&format!(
            "; clients need a certificate, and TLS_CLIENT_CA {}",
            remaining(end, now)
        )),
        None => details.push_str("; clients need no certificate"),
    }
    let first =
        identity.authorities_until.map_or(identity.not_after, |end| end.min(identity.not_after));
    match first < now.plus(CERTIFICATE_WARNING) {
        true => warning("certificate", format!("{details}; renew it soon")),
        false => good("certificate", details),
    }
}

/// Describes the remaining validity of a certificate.
fn remaining(end: Timestamp, now: Timestamp) -> String {
    match end.since(now).as_secs() / (24 * 3600) {
        _ if now >= end => "has expired".to_owned(),
        0 => "expires within a day".to_owned(),
        1 => "is valid for 1 more day".to_owned(),
        days => format!("is valid for {days} more days"),
    }
}

fn cache_finding(location: &str, probed: Result<String, String>) -> Finding {
    let version = match probed {
        Ok(version) => version,
        Err(error) => {
            let hint = redis_hint(location, &error);
            return wrong("Redis", format!("{location}: {}; {hint}", error.trim_end_matches('.')));
        }
    };
    let numbers: Vec<u64> = version.split('.').map_while(|part| part.parse().ok()).collect();
    let answers = format!("{location} answers, version {version}");
    if numbers.as_slice() < MIN_REDIS.as_slice() {
        let [major, minor] = MIN_REDIS;
        return wrong("Redis", format!("{answers}; expected version {major}.{minor} or later"));
    }
    good("Redis", answers)
}

/// Checks that a folder can be written to and has space, or else that it can be created. The hint
/// names `variable`, which sets the folder.
fn folder(component: &'static str, path: &Path, variable: &str) -> Finding {
    let location = path.display();
    let Some(existing) = path.ancestors().find(|folder| folder.exists()) else {
        return wrong(
            component,
            format!("{location} has no root; set {variable} to another folder"),
        );
    };
    if existing == path
        && component == "data"
        && let Err(error) = crate::store::folder::check_private(path)
    {
        return wrong(component, format!("{location}: {error}"));
    }
    // The name contains the process id, so that no file is overwritten.
    let probe = existing.join(format!(".user-server-check-{}", std::process::id()));
    let written = std::fs::File::create_new(&probe).and_then(|mut file| {
        let written = file.write_all(&[0; PROBE_SIZE]).and_then(|()| file.sync_all());
        std::fs::remove_file(&probe).and(written)
    });
    match written {
        Ok(()) if existing == path => good(component, format!("{location} is writable")),
        Ok(()) => good(component, format!("{location} can be created")),
        Err(error) => {
            let hint = format!("set {variable} to a folder that the service can write to");
            wrong(component, format!("{}: {error}; {hint}", existing.display()))
        }
    }
}
