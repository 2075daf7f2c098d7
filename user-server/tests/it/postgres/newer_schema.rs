//! A schema of a later version: additions that nodes of this version must tolerate.

use tokio::sync::OnceCell;
use user_server::store::{PostgresOptions, PostgresStore};

use crate::support::postgres;

/// Statements that expand the schema as a later version may: a column in each table, a table, and a
/// row in the table of migrations.
pub const EXPAND: &str = "DO $$ DECLARE t text; BEGIN
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('ALTER TABLE %I ADD COLUMN of_a_later_version bigint', t); END LOOP;
    CREATE TABLE of_a_later_version (id bigint PRIMARY KEY);
    INSERT INTO _sqlx_migrations VALUES (9999, 'later', now(), true, '\\x00', 0); END $$";

/// Returns the URL of an empty database of a later version, or `None` if PostgreSQL is not
/// installed.
pub async fn url_of_a_later_version() -> Option<String> {
    static NAME: OnceCell<String> = OnceCell::const_new();
    let server = postgres()?;
    let name = NAME.get_or_init(|| async {
        let url = server.database();
        PostgresStore::migrate(&PostgresOptions::parse(&url, 1, false).unwrap()).await.unwrap();
        let name = url.rsplit('/').next().unwrap();
        assert!(server.psql(name, EXPAND));
        name.to_owned()
    });
    Some(server.database_from(name.await))
}
