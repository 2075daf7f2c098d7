//! A schema that is one version ahead: what a later version may add, so that nodes of this one go
//! on beside it.

use tokio::sync::OnceCell;
use user_server::store::{PostgresOptions, PostgresStore};

use crate::support::postgres;

/// Expands the schema as a later version may: a column in each table, a table, and a row that says
/// so.
pub const LATER: &str = "DO $$ DECLARE t text; BEGIN
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('ALTER TABLE %I ADD COLUMN of_a_later_version bigint', t); END LOOP;
    CREATE TABLE of_a_later_version (id bigint PRIMARY KEY);
    INSERT INTO _sqlx_migrations VALUES (9999, 'later', now(), true, '\\x00', 0); END $$";

/// An empty database of a later version; `None` where PostgreSQL is not installed.
pub async fn url_of_a_later_version() -> Option<String> {
    static NAME: OnceCell<String> = OnceCell::const_new();
    let server = postgres()?;
    let name = NAME.get_or_init(|| async {
        let url = server.database();
        PostgresStore::migrate(&PostgresOptions::parse(&url, 1, false).unwrap()).await.unwrap();
        let name = url.rsplit('/').next().unwrap();
        assert!(server.psql(name, LATER));
        name.to_owned()
    });
    Some(server.database_from(name.await))
}
