//! Settings of the database that the nodes share.

use super::reader::Reader;
use crate::store::PostgresOptions;

/// A PostgreSQL database, and the migration of its schema.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    pub options: PostgresOptions,
    /// Options of the connection for migrations, which bypasses a pooler.
    pub direct: PostgresOptions,
    /// Set if the server updates the schema when it starts.
    pub migrate: bool,
}

/// Reads the options of the PostgreSQL database. Returns `None` if none is set.
pub(super) fn read(vars: &mut Reader<'_>) -> Option<PostgresConfig> {
    let pool = u32::try_from(vars.number("DATABASE_POOL", 4, 1, 100)).unwrap_or(4);
    let pooler = vars.choice("DATABASE_POOLER", &["", "0", "false", "1", "true", "prepared"]);
    let (pooler, prepared) = (pooler > 2, pooler > 4);
    let migrate = vars.choice("MIGRATE", &["start", "off"]) == 0;
    let direct = vars.optional("MIGRATE_URL");
    let Some(url) = vars.optional("PostgreSQL") else {
        for name in ["DATABASE_POOL", "DATABASE_POOLER", "MIGRATE", "MIGRATE_URL"] {
            vars.reject_without(name, "PostgreSQL");
        }
        return None;
    };
    if !vars.is_given("JWTSECRETKEY") {
        vars.error(
            "JWTSECRETKEY",
            "JWTSECRETKEY is not set: nodes that share a database need the same secret",
            "Set it to the same value on every node. To generate one, run: \
             user-server keys new",
        );
    }
    if vars.optional("SMTP_HOST").is_none() && vars.optional("MAIL_DIR").is_none() {
        vars.error(
            "SMTP_HOST",
            "SMTP_HOST is not set: with PostgreSQL, emails need a destination",
            "Set SMTP_HOST to your mail server, or MAIL_DIR to a folder.",
        );
    }
    let options = options(vars, "PostgreSQL", &url, pool, pooler)?;
    let options = if prepared { options.with_prepared_statements() } else { options };
    let direct = match direct {
        Some(url) => self::options(vars, "MIGRATE_URL", &url, 1, false)?,
        None => options.clone(),
    };
    Some(PostgresConfig { options, direct, migrate })
}

fn options(
    vars: &mut Reader<'_>,
    name: &'static str,
    url: &str,
    pool: u32,
    pooler: bool,
) -> Option<PostgresOptions> {
    let parsed = PostgresOptions::parse(url, pool, pooler);
    if let Ok(options) = &parsed {
        for parameter in &options.ignored {
            vars.warn(Some(format!("the parameter {parameter} of {name} has no effect")));
        }
    }
    parsed
        .map_err(|error| {
            let hint =
                format!("Set {name} to a URL such as postgresql://user:password@host:5432/name.");
            vars.error(name, format!("invalid value for {name}: {error}"), hint);
        })
        .ok()
}
