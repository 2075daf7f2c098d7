//! The database that nodes share, as the environment names it.

use super::vars::Reader;
use crate::store::PostgresOptions;

/// A database, and who brings its schema up to date.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// How to reach it.
    pub options: PostgresOptions,
    /// How to reach it for a migration: without a pooler between.
    pub direct: PostgresOptions,
    /// Whether a start brings its schema up to date.
    pub migrate: bool,
}

const FORM: &str = "a URL such as `postgresql://user:password@host:5432/name`";

/// The database, where one is named. What is wrong with it is noted with the other faults.
pub(super) fn read(vars: &mut Reader<'_>) -> Option<Postgres> {
    let pool = u32::try_from(vars.number("DATABASE_POOL", 4, 1, 100)).unwrap_or(4);
    let pooler = vars.switch("DATABASE_POOLER");
    let migrate = vars.choice("MIGRATE", &["start", "off"]) == 0;
    let direct = vars.optional("MIGRATE_URL");
    let Some(url) = vars.optional("PostgreSQL") else {
        for name in ["DATABASE_POOL", "DATABASE_POOLER", "MIGRATE", "MIGRATE_URL"] {
            vars.refuse(
                name,
                "it says how to use a database that is not named",
                "Set PostgreSQL, or unset this.",
            );
        }
        return None;
    };
    if !vars.is_given("JWTSECRETKEY") {
        vars.fault(
            "JWTSECRETKEY",
            "nodes that share a database need the same secret".to_owned(),
            "Set it to the same value on every node; make one with: head -c 48 /dev/urandom | base64".to_owned(),
        );
    }
    if vars.optional("SMTP_HOST").is_none() && vars.optional("MAIL_DIR").is_none() {
        vars.fault(
            "SMTP_HOST",
            "with a shared database, mails have to go somewhere that was named".to_owned(),
            "Set it to your mail server, or MAIL_DIR to a folder.".to_owned(),
        );
    }
    let options = options(vars, "PostgreSQL", &url, pool, pooler)?;
    let direct = match direct {
        Some(url) => self::options(vars, "MIGRATE_URL", &url, 1, false)?,
        None => options.clone(),
    };
    Some(Postgres { options, direct, migrate })
}

fn options(
    vars: &mut Reader<'_>,
    name: &'static str,
    url: &str,
    pool: u32,
    pooler: bool,
) -> Option<PostgresOptions> {
    PostgresOptions::parse(url, pool, pooler)
        .map_err(|error| {
            vars.fault(name, format!("it can not be used: {error}"), format!("Set it to {FORM}."))
        })
        .ok()
}
