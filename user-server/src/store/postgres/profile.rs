//! Version, capacity and settings of a PostgreSQL server, for `user-server check` and for startup.
//! They are read over a connection outside of the pool, so that the cause of a failure is reported
//! and not the pool's timeout.

use super::connection::connect;
use super::options::STATEMENT_TIMEOUT;
use super::{PostgresOptions, PostgresStore, SchemaState, migration, sql};
use crate::domain::Fault;

/// Version, capacity, settings and schema of a PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerProfile {
    /// Major version of the server.
    pub version: i64,
    /// Maximum number of connections that all nodes can open together.
    pub connections: i64,
    /// Setting that limits the number of connections: `max_connections`, or a CONNECTION LIMIT.
    pub limited_by: String,
    /// Character set encoding of the database, such as `UTF8`.
    pub encoding: String,
    /// Set if the server has applied the startup options of the connection, such as
    /// `statement_timeout`. A pooler may drop them.
    pub options_applied: bool,
    /// Set if the pooler supports prepared statements, but its sessions do not have the settings
    /// that statements outside of a transaction rely on.
    pub lacks_settings: bool,
    /// Set if `synchronous_commit` is off, so that a committed change may be lost when the server
    /// crashes.
    pub asynchronous_commit: bool,
    /// Cause for which the role cannot see commits that wait for a synchronous standby, with the
    /// statement that changes it. `None` if it can, or if there is no synchronous replication.
    pub hides_waiting_commits: Option<&'static str>,
    pub schema: SchemaState,
}

/// Columns of the query for a [`ServerProfile`]: version, `max_connections` without the reserved
/// ones, connection limits of the role and the database, encoding, `statement_timeout`,
/// `synchronous_commit`, the settings that are compared with [`SETTINGS`], and what hides waiting
/// commits.
type ProfileRow = (i64, i64, i64, i64, String, String, String, String, String);

/// Settings of the sessions of a pooler that supports prepared statements. They are those of the
/// role or the database, since a pooler accepts no others.
const SETTINGS: &str = "2s 1500ms hex read committed";

const PROFILE: &str = "SELECT current_setting('server_version_num')::bigint / 10000,
    current_setting('max_connections')::bigint
        - current_setting('superuser_reserved_connections')::bigint,
    COALESCE((SELECT rolconnlimit FROM pg_roles
        WHERE rolname = current_user AND NOT rolsuper), -1)::bigint,
    COALESCE((SELECT datconnlimit FROM pg_database
        WHERE datname = current_database()), -1)::bigint,
    current_setting('server_encoding'), current_setting('statement_timeout'),
    current_setting('synchronous_commit'),
    concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'),
        current_setting('bytea_output'), current_setting('default_transaction_isolation')),
    CASE
        WHEN COALESCE(current_setting('synchronous_standby_names', true), '') = '' THEN ''
        WHEN current_setting('track_activities') = 'off' THEN 'setting'
        WHEN pg_has_role(session_user, 'USAGE') THEN ''
        WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN ''
        ELSE 'role' END";

impl PostgresStore {
    /// Reads version, capacity, settings and schema of a database.
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
        let (version, server, role, database, encoding, timeout, commit, settings, hidden) = row;
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
            lacks_settings: options.prepared && settings != SETTINGS,
            asynchronous_commit: commit == "off",
            hides_waiting_commits: match hidden.as_str() {
                "setting" => Some("track_activities is off; set it to on"),
                "role" => {
                    Some("SET ROLE took the privilege away; GRANT pg_read_all_stats to that role")
                }
                _ => None,
            },
            schema: migration::state(&mut connection).await?,
        })
    }
}

impl ServerProfile {
    /// Checks that the character set encoding of the database is UTF-8.
    ///
    /// # Errors
    /// Fails if the database has another encoding.
    pub fn require_utf8(&self) -> Result<(), Fault> {
        if self.encoding == "UTF8" {
            return Ok(());
        }
        let encoding = &self.encoding;
        Err(Fault::Unavailable(format!(
            "the database has the encoding {encoding}, but the service needs UTF8"
        )))
    }

    /// Checks that the sessions of a pooler have the settings that the service relies on.
    ///
    /// # Errors
    /// Fails if they do not, with the statement that sets them.
    pub fn require_settings(&self) -> Result<(), Fault> {
        if !self.lacks_settings {
            return Ok(());
        }
        Err(Fault::Unavailable(
            "DATABASE_POOLER=prepared needs settings of the role or the database, such as: ALTER \
             ROLE name SET statement_timeout = '2s'; the others are lock_timeout = '1500ms', \
             bytea_output = 'hex' and default_transaction_isolation = 'read committed'"
                .to_owned(),
        ))
    }

    /// Returns a warning if a pooler seems to have dropped the startup options of the connection,
    /// otherwise `None`.
    #[must_use]
    pub fn pooler_warning(&self) -> Option<&'static str> {
        (!self.options_applied).then_some(
            "the database ignores the options of a connection, as a pooler such as PgBouncer does; \
             set DATABASE_POOLER=1, and MIGRATE_URL to the database itself",
        )
    }
}
