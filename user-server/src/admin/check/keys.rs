//! Checks of the keys: that one is left to sign with, and that all keys are configured that stored
//! data depends on.

use super::{Finding, good, warning, wrong};
use crate::admin::database::open;
use crate::config::{Config, SecretError, unknown_keys};
use crate::domain::{Fault, Store};
use crate::keys::KeyRing;

/// Procedure for a key with an unknown secret.
const LOST: &str = "add its secret to JWTSECRETKEY_ACCEPT; if it is lost, see \"A lost secret\" in \
                    docs/OPERATIONS.md";

/// Checks the keys. Returns `None` if the database cannot be opened, which another check reports.
pub(super) async fn keys(config: &Config) -> Option<Finding> {
    let ring = match config.existing_keys() {
        Ok(ring) => ring,
        Err(error) => return Some(wrong("keys", format!("{error}. {}", error.hint()))),
    };
    let Ok(store) = open(config).await else {
        // Without a database, there is nothing that a key could be missing for.
        return ring.is_none().then(|| good("keys", "the first start generates a secret"));
    };
    let checked = compare(config, ring, &*store).await;
    store.close().await;
    Some(checked.unwrap_or_else(|fault| wrong("keys", format!("cannot read the keys: {fault}"))))
}

async fn compare(
    config: &Config,
    ring: Option<KeyRing>,
    store: &dyn Store,
) -> Result<Finding, Fault> {
    let Some(ring) = ring else {
        return Ok(match config.missing_secret(store).await? {
            SecretError::Absent(_) => good("keys", "the first start generates a secret"),
            lost => wrong("keys", format!("{lost}. {}", lost.hint())),
        });
    };
    for key in store.retired_keys().await? {
        ring.retire(&key.kid);
    }
    let Some(signing) = ring.signing() else {
        return Ok(wrong(
            "keys",
            "every key is retired; set JWTSECRETKEY to a new secret: user-server keys new",
        ));
    };
    let kid = &signing.kid;
    if ring.configured().is_retired() {
        let configured = &ring.configured().kid;
        return Ok(warning(
            "keys",
            format!("JWTSECRETKEY ({configured}) is retired, so {kid} signs; set it to another"),
        ));
    }
    let unknown = unknown_keys(&ring, store).await?;
    Ok(match unknown.as_slice() {
        [] => good("keys", format!("{kid} signs")),
        [one] => warning(
            "keys",
            format!("{kid} signs, but sessions, codes or the audit log depend on {one}; {LOST}"),
        ),
        several => warning(
            "keys",
            format!(
                "{kid} signs, but sessions, codes or the audit log depend on {}; {LOST}",
                several.join(", ")
            ),
        ),
    })
}
