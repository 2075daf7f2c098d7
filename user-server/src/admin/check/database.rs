//! Checks of the database: its version, character set, schema and capacity, and whether the service
//! has the privileges that its statements need.

use super::{Finding, good, warning, wrong};
use crate::admin::database::{open, path};
use crate::config::{Config, PostgresConfig};
use crate::domain::Fault;
use crate::store::{PostgresStore, SchemaState, ServerProfile, SqliteStore, WATCH_CONNECTIONS};

/// The oldest major version of PostgreSQL that supports the statements of the store.
const MIN_POSTGRES: i64 = 13;
/// Number of nodes; if the database allows connections for fewer, the check adds a hint.
const NODES: i64 = 20;

/// Checks PostgreSQL, and adds a finding for each property.
pub(super) async fn postgres(postgres: &PostgresConfig, findings: &mut Vec<Finding>) {
    let location = postgres.options.location();
    let profile = match PostgresStore::profile(&postgres.options).await {
        Ok(profile) => profile,
        Err(fault) => return findings.push(fault_finding("PostgreSQL", &location, &fault)),
    };
    let version = profile.version;
    let answers = format!("{location} answers, version {version}");
    findings.push(if version < MIN_POSTGRES {
        wrong("PostgreSQL", format!("{answers}; expected version {MIN_POSTGRES} or later"))
    } else if let Err(fault) = profile.require_utf8().and(profile.require_settings()) {
        fault_finding("PostgreSQL", &location, &fault)
    } else if let Some(warning) = profile.pooler_warning() {
        wrong("PostgreSQL", format!("{location}: {warning}"))
    } else {
        good("PostgreSQL", answers)
    });
    if profile.asynchronous_commit {
        findings.push(wrong(
            "durability",
            "synchronous_commit is off, so a crash of the database loses changes that were \
             answered; set it to on for the role or the database",
        ));
    }
    if let Some(cause) = profile.hides_waiting_commits {
        findings.push(warning(
            "replication",
            format!("commits that wait for a synchronous standby cannot be seen: {cause}"),
        ));
    }
    findings.push(schema_finding(&profile.schema, postgres.migrate));
    findings.push(capacity_finding(postgres, &profile));
    findings.push(match PostgresStore::rehearse(&postgres.options).await {
        Ok(0) => good("statements", "not tested, because there are no tables yet"),
        Ok(tables) => {
            good("statements", format!("every lock and change is allowed on {tables} tables"))
        }
        Err(fault) => fault_finding("statements", &location, &fault),
    });
    // A start that migrates must be allowed to, even if nothing is to be migrated today.
    if postgres.migrate {
        let location = postgres.direct.location();
        findings.push(match PostgresStore::rehearse_migration(&postgres.direct).await {
            Ok(()) => good("migrations", "the role owns the tables, and may create some"),
            Err(fault) => fault_finding("migrations", &location, &fault),
        });
    }
}

/// Checks the embedded database. Returns `None` if there is none.
pub(super) async fn embedded(config: &Config) -> Option<Finding> {
    let path = path(config);
    let location = path.display();
    let size = std::fs::metadata(&path).ok()?.len();
    if size == 0 {
        let hint = "remove it, and restore a backup if it contained users";
        return Some(wrong("database", format!("{location} is empty; {hint}")));
    }
    Some(match SqliteStore::rehearse(&path).await {
        Ok(schema) if schema.pending.is_empty() => {
            good("database", format!("{location} is writable, schema {}", schema.version))
        }
        Ok(schema) => schema_finding(&schema, true),
        Err(fault) => wrong("database", format!("{location}: {fault}")),
    })
}

/// Reports configured secrets that are easy to guess. A secret that stored data depends on is
/// reported without failing the check.
pub(super) async fn weak_secrets(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for weak in config.weak_secrets() {
        let in_use = match open(config).await {
            Ok(store) => {
                let in_use = weak.is_in_use(&*store).await.unwrap_or(false);
                store.close().await;
                in_use
            }
            Err(_) => false,
        };
        findings.push(match in_use {
            true => warning("secrets", format!("{weak}; rotate it soon: user-server keys new")),
            false => wrong("secrets", format!("{weak}; for another one: user-server keys new")),
        });
    }
    findings
}

fn fault_finding(component: &'static str, location: &str, fault: &Fault) -> Finding {
    let hint = crate::store::postgres::hint(fault);
    wrong(component, format!("{location}: {fault}. {hint}"))
}

fn capacity_finding(postgres: &PostgresConfig, profile: &ServerProfile) -> Finding {
    let pool = i64::from(postgres.options.pool + WATCH_CONNECTIONS);
    let nodes = profile.connections / pool;
    let limit = format!("{} ({})", profile.connections, profile.limited_by);
    let capacity =
        format!("{pool} per node, {limit} in total: the database has capacity for {nodes} nodes");
    if nodes < 1 {
        wrong("connections", format!("{capacity}; lower DATABASE_POOL, or raise that limit"))
    } else if nodes < NODES && !postgres.options.pooler {
        let hint = "for more, use a pooler, or raise that limit";
        good("connections", format!("{capacity}; {hint}"))
    } else {
        good("connections", capacity)
    }
}

fn schema_finding(schema: &SchemaState, migrates: bool) -> Finding {
    let SchemaState { version, needed, pending } = schema;
    if !pending.is_empty() && migrates {
        good("schema", format!("{version}; the next start updates it to {needed}"))
    } else if let Err(fault) = schema.require() {
        wrong("schema", fault.to_string())
    } else if version > needed {
        good("schema", format!("{version}, from a later version than this one, which has {needed}"))
    } else {
        good("schema", format!("{version}, as this version requires"))
    }
}
