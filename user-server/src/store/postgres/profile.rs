//! The profile of a database: what `check` and a start have to know about it. It is read over one
//! connection outside of the pool, so that an error is the real one and not the pool's timeout.

use super::connection::connect;
use super::options::STATEMENT_TIMEOUT;
use super::{PostgresOptions, PostgresStore, SchemaState, migration, sql};
use crate::domain::Fault;

/// Version, capacity, schema and settings of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerProfile {
    /// The major version of the server.
    pub version: i64,
    /// The number of connections that all nodes can use together.
    pub connections: i64,
    /// The setting that limits them: `max_connections`, or a CONNECTION LIMIT.
    pub limited_by: String,
    /// The character set.
    pub encoding: String,
    /// Set if the startup options of a connection are in force. A pooler may have dropped them.
    pub options_applied: bool,
    /// Set if an answered change may be lost when the server crashes.
    pub asynchronous_commit: bool,
    pub schema: SchemaState,
}

/// The row of [`ServerProfile`]: version, `max_connections` without the reserved ones, limits of
/// the role and the database, encoding, `statement_timeout`, `synchronous_commit`.
type ProfileRow = (i64, i64, i64, i64, String, String, String);

const PROFILE: &str = "SELECT current_setting('server_version_num')::bigint / 10000,
    current_setting('max_connections')::bigint
        - current_setting('superuser_reserved_connections')::bigint,
    COALESCE((SELECT rolconnlimit FROM pg_roles
        WHERE rolname = current_user AND NOT rolsuper), -1)::bigint,
    COALESCE((SELECT datconnlimit FROM pg_database
        WHERE datname = current_database()), -1)::bigint,
    current_setting('server_encoding'), current_setting('statement_timeout'),
    current_setting('synchronous_commit')";

impl PostgresStore {
    /// Reads the profile of a database.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn profile(options: &PostgresOptions) -> Result<ServerProfile, Fault> {
        let mut connection = connect(&options.for_requests(), options.pooler).await?;
        let row: ProfileRow = sqlx::query_as(PROFILE)
            .persistent(false)
            .fetch_one(&mut connection)
            .await
            .map_err(sql::fault)?;
        let (version, server, role, database, encoding, timeout, commit) = row;
        let (mut connections, mut limited_by) = (server, "max_connections".to_owned());
        let limits = [(role, "the role's CONNECTION LIMIT"), (database, "the database's limit")];
        for (limit, name) in limits {
            if (0..connections).contains(&limit) {
                (connections, limited_by) = (limit, name.to_owned());
            }
        }
        Ok(ServerProfile {
            version,
            connections,
            limited_by,
            encoding,
            options_applied: options.pooler || timeout == STATEMENT_TIMEOUT,
            asynchronous_commit: commit == "off",
            schema: migration::state(&mut connection).await?,
        })
    }
}

impl ServerProfile {
    /// Returns an error if the service cannot use the database whatever its schema is.
    ///
    /// # Errors
    /// Says what is wrong with the database.
    pub fn require_utf8(&self) -> Result<(), Fault> {
        if self.encoding == "UTF8" {
            return Ok(());
        }
        let encoding = &self.encoding;
        Err(Fault::Unavailable(format!(
            "the database has the encoding {encoding}, but the service needs UTF8"
        )))
    }

    /// Returns a warning if the startup options of a connection are not in force.
    #[must_use]
    pub fn pooler_warning(&self) -> Option<&'static str> {
        (!self.options_applied).then_some(
            "the database ignores the options of a connection, as a pooler such as PgBouncer does; \
             set DATABASE_POOLER=1, and MIGRATE_URL to the database itself",
        )
    }
}
