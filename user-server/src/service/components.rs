//! The components of a service that a start opens and describes: its database, its secrets, its
//! cache and its mailer, and the implementation of each.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::assembly::CachePorts;
use super::start_error::{DATABASE_FILE, StartError};
use crate::cache::{LocalCache, RedisCache, RedisTimeouts};
use crate::config::{Config, SecretError, unknown_last_key};
use crate::domain::{Fault, Mailer, Store};
use crate::http::ComponentKinds;
use crate::keys::KeyRing;
use crate::mail::{FileMailer, SmtpMailer};
use crate::metrics::Metrics;
use crate::store::{GuardedStore, PostgresStore, SqliteStore, folder};

/// Maximum number of sessions and users in the cache of one process. Each takes some hundred bytes.
const LOCAL_RECORDS: usize = 20_000;

/// Opens the shared database if it is configured, otherwise the embedded one.
pub(super) async fn store(config: &Config) -> Result<Arc<dyn Store>, StartError> {
    let Some(postgres) = &config.postgres else {
        let path = config.data_dir.join(DATABASE_FILE);
        let opened = SqliteStore::open(&path).await;
        let store =
            opened.map_err(|fault| StartError::Database(path.display().to_string(), fault))?;
        return Ok(Arc::new(GuardedStore::new(Arc::new(store))));
    };
    let at = |fault| StartError::Database(postgres.options.location(), fault);
    let profile = PostgresStore::profile(&postgres.options).await.map_err(at)?;
    profile.require_utf8().map_err(at)?;
    profile.require_settings().map_err(at)?;
    if let Some(warning) = profile.pooler_warning() {
        tracing::warn!("{warning}");
    }
    if postgres.migrate {
        PostgresStore::migrate(&postgres.direct).await.map_err(at)?;
    } else {
        profile.schema.require().map_err(at)?;
    }
    let store: Arc<dyn Store> =
        Arc::new(GuardedStore::networked(PostgresStore::open(&postgres.options)));
    store.ping().await.map_err(at)?;
    Ok(store)
}

/// Refuses a secret that is easy to guess, unless the database shows that it is in use already:
/// then a start that fails would end every session.
pub(super) async fn refuse_new_weak_secrets(
    config: &Config,
    store: &dyn Store,
) -> Result<(), StartError> {
    for weak in config.weak_secrets() {
        if weak.is_in_use(store).await? {
            tracing::warn!("{weak}; rotate it soon: user-server keys new");
        } else {
            return Err(StartError::WeakSecret(weak));
        }
    }
    Ok(())
}

/// Returns the `existing` keys, with a warning if the database was last used with another one. If
/// there is none, the secret is generated, but only if the database was never used.
pub(super) async fn keys(
    config: &Config,
    existing: Option<KeyRing>,
    store: &dyn Store,
) -> Result<KeyRing, StartError> {
    let Some(keys) = existing else {
        return match config.missing_secret(store).await? {
            SecretError::Absent(_) => Ok(config.keys()?),
            lost => Err(lost.into()),
        };
    };
    if let Ok(Some(kid)) = unknown_last_key(&keys, store).await {
        tracing::warn!(
            "the database was last used with the key {kid}, which is neither in JWTSECRETKEY nor \
             in JWTSECRETKEY_ACCEPT: its tokens and codes are rejected; see \"A lost secret\" in \
             docs/OPERATIONS.md"
        );
    }
    Ok(keys)
}

/// Returns the implementation of each component, for the health check.
pub(super) fn kinds(config: &Config) -> ComponentKinds {
    vec![
        ("store", if config.postgres.is_some() { "PostgreSQL" } else { "SQLite (embedded)" }),
        (
            "cache",
            match (&config.cache, &config.postgres) {
                (Some(_), _) => "Redis",
                (None, Some(_)) => "none",
                (None, None) => "in-process (embedded)",
            },
        ),
        ("mail", if config.smtp.is_some() { "SMTP" } else { "files (embedded)" }),
        ("secret", if config.secret.is_some() { "JWTSECRETKEY" } else { "generated (embedded)" }),
        (
            "transport",
            match &config.tls {
                Some(files) if files.client_authorities.is_some() => {
                    "TLS 1.3 with client certificates"
                }
                Some(_) => "TLS 1.3",
                None => "TCP without TLS",
            },
        ),
    ]
}

/// Locks the data folder for this process.
pub(super) fn lock_folder(path: &Path) -> Result<File, StartError> {
    let locked = folder::lock(path).map_err(|error| StartError::Folder(path.to_owned(), error))?;
    locked.ok_or_else(|| StartError::InUse(path.to_owned()))
}

/// Returns the mailer of the configuration. A mail server is not contacted at startup: if it is
/// down, emails wait for it, but the service starts.
pub(super) fn mailer(config: &Config) -> Result<Arc<dyn Mailer>, StartError> {
    let sender = config.sender.clone();
    if let Some(server) = &config.smtp {
        return Ok(Arc::new(SmtpMailer::new(server.clone(), sender)));
    }
    make_folder(&config.mail_dir)?;
    Ok(Arc::new(FileMailer::new(config.mail_dir.clone(), sender)))
}

/// Returns the Redis cache if it is configured. Otherwise the process has its own cache, but only
/// without PostgreSQL, because another node could change the same database.
pub(super) fn cache(
    config: &Config,
    keys: &KeyRing,
    metrics: &Metrics,
) -> Result<CachePorts, Fault> {
    let (life, metrics) = (config.tokens.access_life, metrics.cache.clone());
    if let Some(server) = &config.cache {
        let timeouts = RedisTimeouts::default();
        let cache = Arc::new(RedisCache::start(server.clone(), keys, life, timeouts, metrics)?);
        return Ok(CachePorts { records: cache.clone(), wakeups: cache });
    }
    let records = match config.postgres {
        Some(_) => LocalCache::none(metrics),
        None => LocalCache::new(LOCAL_RECORDS, life, metrics),
    };
    Ok(CachePorts::single_node(Arc::new(records)))
}

fn make_folder(path: &Path) -> Result<(), StartError> {
    folder::make(path).map_err(|error| StartError::Folder(path.to_owned(), error))
}
