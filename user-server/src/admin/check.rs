//! The command `check`: connects to everything that the configuration names, and changes nothing.

use std::path::Path;

use crate::cache::RedisCache;
use crate::config::{Config, PostgresConfig};
use crate::domain::{Clock, SendError, SystemClock};
use crate::mail::SmtpMailer;
use crate::store::{PostgresStore, ServerCapacity, WATCH_CONNECTIONS};
use crate::tls::{Identity, TlsFiles};

/// The oldest major version of PostgreSQL that supports the statements of the store.
const MIN_POSTGRES: i64 = 13;
/// The oldest version of Redis that supports the commands of the cache.
const MIN_REDIS: [u64; 2] = [6, 2];
/// Number of nodes below which the capacity of the database is pointed out.
const NODES: i64 = 20;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The component that was checked.
    pub component: &'static str,
    /// Set if the service can use the component.
    pub good: bool,
    /// Details, followed by a hint if the component cannot be used.
    pub details: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let result = if self.good { "good " } else { "WRONG" };
        write!(f, "{result}  {:<13}  {}", self.component, self.details)
    }
}

fn good(component: &'static str, details: impl Into<String>) -> Finding {
    Finding { component, good: true, details: details.into() }
}

fn wrong(component: &'static str, details: impl Into<String>) -> Finding {
    Finding { component, good: false, details: details.into() }
}

/// Checks everything that the configuration names.
pub async fn check(config: &Config) -> Vec<Finding> {
    // Invalid variables prevent the command from running at all.
    let mut findings = vec![good("configuration", "all variables are valid")];
    findings.extend(config.warnings.iter().map(|warning| good("secrets", warning.clone())));
    findings.extend(config.tls.as_ref().map(certificate));
    match &config.postgres {
        Some(postgres) => database(postgres, &mut findings).await,
        None => findings.push(folder("data", &config.data_dir, "DATA_DIR")),
    }
    if let Some(server) = &config.cache {
        let (location, probed) = (server.location(), RedisCache::probe(server.clone()).await);
        findings.push(cache_finding(&location, probed));
    }
    findings.push(match &config.smtp {
        Some(server) => {
            match SmtpMailer::new(server.clone(), config.sender.clone()).probe().await {
                Ok(()) => good("emails", format!("{server} answers")),
                Err(SendError::Temporary(error) | SendError::Permanent(error)) => {
                    wrong("emails", error)
                }
            }
        }
        None => folder("emails", &config.mail_dir, "MAIL_DIR"),
    });
    findings
}

fn certificate(files: &TlsFiles) -> Finding {
    let location = files.certificate.display();
    let now = SystemClock.now();
    let identity = match Identity::read(files).and_then(|identity| identity.valid_at(now)) {
        Ok(identity) => identity,
        Err(fault) => {
            return wrong("certificate", format!("{location}: {fault}; {}", fault.file.hint()));
        }
    };
    let days = identity.not_after.since(now).as_secs() / (24 * 3600);
    let clients = match files.client_authorities {
        Some(_) => "clients need a certificate",
        None => "clients need no certificate",
    };
    good(
        "certificate",
        format!("{location} matches its key and is valid for {days} more days; {clients}"),
    )
}

fn cache_finding(location: &str, probed: Result<String, String>) -> Finding {
    let version = match probed {
        Ok(version) => version,
        Err(error) => {
            let hint = "check that Redis is running, the host, port, user and password in \
                        REDIS_URL, and the permissions of that user";
            return wrong("Redis", format!("{location}: {error}; {hint}"));
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

async fn database(postgres: &PostgresConfig, findings: &mut Vec<Finding>) {
    let location = postgres.options.location();
    let store = PostgresStore::open(&postgres.options);
    let ServerCapacity { version, connections, schema } = match store.capacity().await {
        Ok(capacity) => capacity,
        Err(fault) => {
            let hint = "check that PostgreSQL is running, and the host, port, user, password and \
                        sslmode in the URL";
            return findings.push(wrong("PostgreSQL", format!("{location}: {fault}; {hint}")));
        }
    };
    let answers = format!("{location} answers, version {version}");
    findings.push(if version < MIN_POSTGRES {
        wrong("PostgreSQL", format!("{answers}; expected version {MIN_POSTGRES} or later"))
    } else {
        good("PostgreSQL", answers)
    });
    findings.push(schema_finding(schema, PostgresStore::newest_schema(), postgres.migrate));
    let pool = i64::from(postgres.options.pool + WATCH_CONNECTIONS);
    let nodes = connections / pool;
    let capacity = format!("{pool} per node; the database has capacity for {nodes} nodes");
    findings.push(if nodes < 1 {
        let hint = "lower DATABASE_POOL, or raise max_connections of the database";
        wrong("connections", format!("{capacity}; {hint}"))
    } else if nodes < NODES && !postgres.options.pooler {
        let hint = "for more, use a pooler, or raise max_connections of the database";
        good("connections", format!("{capacity}; {hint}"))
    } else {
        good("connections", capacity)
    });
}

fn schema_finding(schema: i64, newest: i64, migrates: bool) -> Finding {
    match schema.cmp(&newest) {
        std::cmp::Ordering::Equal => good("schema", format!("{schema}, as this version requires")),
        std::cmp::Ordering::Greater => good(
            "schema",
            format!("{schema}, from a later version than this one, which has {newest}"),
        ),
        std::cmp::Ordering::Less if migrates => {
            good("schema", format!("{schema}; the next start updates it to {newest}"))
        }
        std::cmp::Ordering::Less => wrong(
            "schema",
            format!("{schema}, but this version requires {newest}; run: user-server migrate"),
        ),
    }
}

/// Checks that a folder can be written to, or else created.
fn folder(component: &'static str, path: &Path, variable: &str) -> Finding {
    let location = path.display();
    let Some(existing) = path.ancestors().find(|folder| folder.exists()) else {
        return wrong(
            component,
            format!("{location} has no root; set {variable} to another folder"),
        );
    };
    // The name contains the process id, so that no file is overwritten.
    let probe = existing.join(format!(".user-server-check-{}", std::process::id()));
    match std::fs::File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe)) {
        Ok(()) if existing == path => good(component, format!("{location} is writable")),
        Ok(()) => good(component, format!("{location} can be created")),
        Err(error) => {
            let hint = format!("set {variable} to a folder that the service can write to");
            wrong(component, format!("{}: {error}; {hint}", existing.display()))
        }
    }
}
