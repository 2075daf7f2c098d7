//! Proves a configuration before it serves: reaches everything that it names and changes nothing.

use std::path::Path;

use crate::cache::RedisCache;
use crate::config::{Config, Postgres};
use crate::domain::{Clock, SendError, SystemClock};
use crate::mail::SmtpMailer;
use crate::store::{PostgresStore, ServerCapacity};
use crate::tls::{Identity, TlsFiles};

/// The oldest PostgreSQL that the statements are written for.
const OLDEST: i64 = 13;
/// The oldest Redis that the cache's commands are in.
const OLDEST_REDIS: [u64; 2] = [6, 2];
/// The nodes that a database should have room for.
const NODES: i64 = 20;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// Whether the service can use it.
    pub good: bool,
    /// What was found, and where it is wrong the mend.
    pub says: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}  {:<13}  {}", if self.good { "good " } else { "WRONG" }, self.what, self.says)
    }
}

fn good(what: &'static str, says: impl Into<String>) -> Finding {
    Finding { what, good: true, says: says.into() }
}

fn wrong(what: &'static str, says: impl Into<String>) -> Finding {
    Finding { what, good: false, says: says.into() }
}

/// Looks at everything that a configuration names.
pub async fn check(config: &Config) -> Vec<Finding> {
    // What is wrong with the variables themselves was told before this, and nothing else was looked
    // at.
    let mut findings = vec![good("configuration", "every variable can be used")];
    findings.extend(config.notes.iter().map(|note| good("secrets", note.clone())));
    findings.extend(config.tls.as_ref().map(certificate));
    match &config.postgres {
        Some(postgres) => database(postgres, &mut findings).await,
        None => findings.push(folder("data", &config.data_dir, "DATA_DIR")),
    }
    if let Some(server) = &config.cache {
        let (database, probed) = (server.location(), RedisCache::probe(server.clone()).await);
        findings.push(cache_finding(&database, probed));
    }
    findings.push(match &config.smtp {
        Some(server) => {
            match SmtpMailer::new(server.clone(), config.sender.clone()).probe().await {
                Ok(()) => good("mails", format!("{server} answers")),
                Err(SendError::Temporary(why) | SendError::Permanent(why)) => wrong("mails", why),
            }
        }
        None => folder("mails", &config.mail_dir, "MAIL_DIR"),
    });
    findings
}

fn certificate(files: &TlsFiles) -> Finding {
    let location = files.certificate.display();
    let now = SystemClock.now();
    let identity = match Identity::read(files).and_then(|identity| identity.valid_at(now)) {
        Ok(identity) => identity,
        Err(fault) => {
            return wrong("certificate", format!("{location}: {fault}; {}", fault.part.mend()));
        }
    };
    let days = identity.expires.since(now).as_secs() / (24 * 3600);
    let clients =
        if files.client_authorities.is_some() { "those with a certificate" } else { "all" };
    good(
        "certificate",
        format!("{location} fits its key and is good for {days} more days; clients: {clients}"),
    )
}

fn cache_finding(location: &str, probed: Result<String, String>) -> Finding {
    let version = match probed {
        Ok(version) => version,
        Err(why) => {
            let mend = "look at host, port, user and password in REDIS_URL, at what that user may do, and whether it runs";
            return wrong("Redis", format!("{location}: {why}; {mend}"));
        }
    };
    let numbers: Vec<u64> = version.split('.').map_while(|part| part.parse().ok()).collect();
    let says = format!("{location} answers, version {version}");
    if numbers.as_slice() < OLDEST_REDIS.as_slice() {
        let [major, minor] = OLDEST_REDIS;
        return wrong("Redis", format!("{says}; {major}.{minor} is the oldest that can be used"));
    }
    good("Redis", says)
}

async fn database(postgres: &Postgres, findings: &mut Vec<Finding>) {
    let location = postgres.options.location();
    let store = PostgresStore::open(&postgres.options);
    let ServerCapacity { version, connections, schema } = match store.capacity().await {
        Ok(room) => room,
        Err(fault) => {
            let mend =
                "look at host, port, user, password and sslmode in PostgreSQL, and whether it runs";
            return findings.push(wrong("PostgreSQL", format!("{location}: {fault}; {mend}")));
        }
    };
    let answers = format!("{location} answers, version {version}");
    findings.push(if version < OLDEST {
        wrong("PostgreSQL", format!("{answers}; {OLDEST} is the oldest that can be used"))
    } else {
        good("PostgreSQL", answers)
    });
    findings.push(schema_finding(schema, PostgresStore::newest_schema(), postgres.migrate));
    let pool = i64::from(postgres.options.pool);
    let nodes = connections / pool;
    let room = format!("{pool} a node; the database has room for {nodes} nodes");
    findings.push(if nodes < 1 {
        wrong("connections", format!("{room}; lower DATABASE_POOL, or raise its max_connections"))
    } else if nodes < NODES && !postgres.options.pooler {
        good("connections", format!("{room}; more need a pooler, or a higher max_connections"))
    } else {
        good("connections", room)
    });
}

fn schema_finding(schema: i64, newest: i64, migrates: bool) -> Finding {
    match schema.cmp(&newest) {
        std::cmp::Ordering::Equal => good("schema", format!("{schema}, as this version brings")),
        std::cmp::Ordering::Greater => {
            good("schema", format!("{schema}, of a later version than {newest}"))
        }
        std::cmp::Ordering::Less if migrates => {
            good("schema", format!("{schema}; a start brings it to {newest}"))
        }
        std::cmp::Ordering::Less => wrong(
            "schema",
            format!("{schema}, and this version needs {newest}; run: user-server migrate"),
        ),
    }
}

/// A folder that is there and can be written, or that can be made.
fn folder(what: &'static str, path: &Path, variable: &str) -> Finding {
    let location = path.display();
    let Some(there) = path.ancestors().find(|folder| folder.exists()) else {
        return wrong(what, format!("{location} has no root; set {variable} to another folder"));
    };
    // A name that nobody else has, so that nothing is overwritten.
    let probe = there.join(format!(".user-server-check-{}", std::process::id()));
    match std::fs::File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe)) {
        Ok(()) if there == path => good(what, format!("{location} can be written")),
        Ok(()) => good(what, format!("{location} can be made")),
        Err(error) => wrong(
            what,
            format!("{}: {error}; set {variable} to a folder that can be written", there.display()),
        ),
    }
}
