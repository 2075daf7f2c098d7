//! Roles with fewer privileges or connections than the service needs.

use user_server::store::{PostgresStore, SqliteStore, TABLES};

use super::{finding, name, settings, with_user};
use crate::support::{Postgres, postgres, run_in};

/// Creates a database with tables, and a role that does not own it.
fn database_and_role(server: &Postgres, role: &str, options: &str) -> (String, String) {
    let url = server.database();
    let folder = tempfile::tempdir().unwrap();
    let migrated = run_in(folder.path(), &["migrate"], &settings(&url));
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    assert!(server.psql("postgres", &format!("CREATE ROLE {role} LOGIN {options}")));
    assert!(server.psql(name(&url), "REVOKE CREATE ON SCHEMA public FROM PUBLIC"));
    let other = with_user(&url, role);
    (url, other)
}

#[test]
fn check_fails_if_the_role_may_not_create_tables() {
    let Some(server) = postgres() else { return };
    let (url, limited) = database_and_role(server, "env_no_tables", "");
    assert!(server.psql(name(&url), "GRANT ALL ON ALL TABLES IN SCHEMA public TO env_no_tables"));
    let folder = tempfile::tempdir().unwrap();
    let check = run_in(folder.path(), &["check"], &settings(&limited));
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(finding(&check, "migrations").contains("permission denied"), "{check:?}");
    assert!(finding(&check, "statements").starts_with("good"), "{check:?}");
    // Whoever migrates by hand with another role needs no such privilege.
    let by_hand = [&settings(&limited)[..], &[("MIGRATE", "off")]].concat();
    let check = run_in(folder.path(), &["check"], &by_hand);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(
        server.psql(
            name(&url),
            "SELECT 1/(1-COUNT(*)) FROM pg_class WHERE relname LIKE 'user_server%'"
        )
    );
}

#[test]
fn check_fails_if_the_role_may_not_acquire_the_lease_of_migrations() {
    let Some(server) = postgres() else { return };
    let (url, limited) = database_and_role(server, "env_no_lease", "");
    let folder = tempfile::tempdir().unwrap();
    for missing in ["SELECT", "INSERT", "UPDATE", "DELETE"] {
        let grant = format!(
            "GRANT CREATE ON SCHEMA public TO env_no_lease;
             GRANT ALL ON ALL TABLES IN SCHEMA public TO env_no_lease;
             REVOKE {missing} ON migration_lease FROM env_no_lease"
        );
        assert!(server.psql(name(&url), &grant));
        let check = run_in(folder.path(), &["check"], &settings(&limited));
        let line = finding(&check, "migrations");
        assert!(line.starts_with("WRONG") && line.contains("migration_lease"), "{check:?}");
        // Whoever migrates by hand with another role needs no such privilege.
        let by_hand = [&settings(&limited)[..], &[("MIGRATE", "off")]].concat();
        let check = run_in(folder.path(), &["check"], &by_hand);
        assert_eq!(check.code, Some(0), "{check:?}");
    }
    // A migration may change a table or replace a function, for which no privilege can be granted.
    assert!(server.psql(name(&url), "GRANT ALL ON migration_lease TO env_no_lease"));
    let own = |of: &str| {
        let change = format!(
            "DO $$ DECLARE name text; BEGIN
                 FOR name IN {of} LOOP
                     EXECUTE format('ALTER %s OWNER TO env_no_lease', name);
                 END LOOP;
             END $$"
        );
        assert!(server.psql(name(&url), &change));
    };
    let expect = |object: &str| {
        let check = run_in(folder.path(), &["check"], &settings(&limited));
        let line = finding(&check, "migrations");
        assert!(line.starts_with("WRONG") && line.contains("must be owner of"), "{check:?}");
        assert!(line.contains(object) && line.contains("MIGRATE_URL"), "{check:?}");
    };
    expect("table");
    own("SELECT 'TABLE ' || relname FROM pg_class
         WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace");
    expect("function");
    // A function of another application does not matter.
    let other = "CREATE FUNCTION other_v1() RETURNS int LANGUAGE sql AS 'SELECT 1'";
    assert!(server.psql(name(&url), other));
    own("SELECT 'FUNCTION ' || oid::regprocedure::text FROM pg_proc
         WHERE pronamespace = 'public'::regnamespace AND proname <> 'other_v1'");
    let check = run_in(folder.path(), &["check"], &settings(&limited));
    assert_eq!(check.code, Some(0), "{check:?}");
}

#[test]
fn check_runs_each_lock_and_change_and_leaves_nothing_behind() {
    let Some(server) = postgres() else { return };
    let (url, limited) = database_and_role(server, "env_reader", "");
    let by_hand = [&settings(&limited)[..], &[("MIGRATE", "off")]].concat();
    let folder = tempfile::tempdir().unwrap();
    for (table, _) in TABLES {
        // All privileges but those on one table, and without only one kind of change.
        for missing in ["ALL", "UPDATE", "INSERT", "DELETE", "SELECT"] {
            let grant = format!(
                "GRANT SELECT ON _sqlx_migrations TO env_reader;
                 GRANT ALL ON ALL TABLES IN SCHEMA public TO env_reader;
                 REVOKE {missing} ON {table} FROM env_reader"
            );
            if missing != "ALL" && *table != "sessions" {
                continue;
            }
            assert!(server.psql(name(&url), &grant));
            let check = run_in(folder.path(), &["check"], &by_hand);
            let line = finding(&check, "statements");
            assert!(line.starts_with("WRONG") && line.contains(table), "{missing}: {check:?}");
        }
    }
    assert!(server.psql(name(&url), "GRANT ALL ON ALL TABLES IN SCHEMA public TO env_reader"));
    let check = run_in(folder.path(), &["check"], &by_hand);
    assert_eq!(check.code, Some(0), "{check:?}");
}

/// Every table is rehearsed, also one that a later migration adds.
#[tokio::test]
async fn every_table_of_the_schema_is_rehearsed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.db");
    drop(SqliteStore::open(&path).await.unwrap());
    let database = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let select = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
                  AND name NOT LIKE '_sqlx_%' ORDER BY name";
    let tables: Vec<String> = sqlx::query_scalar(select).fetch_all(&database).await.unwrap();
    let mut listed: Vec<&str> = TABLES.iter().map(|(table, _)| *table).collect();
    listed.sort_unstable();
    assert_eq!(tables, listed);
    // PostgreSQL has further versions, which create stored functions.
    assert!(PostgresStore::newest_schema() >= SqliteStore::newest_schema());
}

#[test]
fn check_looks_at_the_connection_limit_of_the_role() {
    let Some(server) = postgres() else { return };
    let (url, limited) = database_and_role(server, "env_few", "CONNECTION LIMIT 5");
    assert!(server.psql(name(&url), "GRANT ALL ON ALL TABLES IN SCHEMA public TO env_few"));
    let by_hand = [&settings(&limited)[..], &[("MIGRATE", "off")]].concat();
    let folder = tempfile::tempdir().unwrap();
    let check = run_in(folder.path(), &["check"], &by_hand);
    let line = finding(&check, "connections");
    assert!(
        line.starts_with("WRONG") && line.contains("5 (the role's CONNECTION LIMIT)"),
        "{check:?}"
    );
    assert!(server.psql("postgres", "ALTER ROLE env_few CONNECTION LIMIT 16"));
    let check = run_in(folder.path(), &["check"], &by_hand);
    assert!(finding(&check, "connections").contains("capacity for 2 nodes"), "{check:?}");
    let limit = format!("ALTER DATABASE {} CONNECTION LIMIT 7", name(&url));
    assert!(server.psql("postgres", &limit));
    let check = run_in(folder.path(), &["check"], &by_hand);
    assert!(finding(&check, "connections").contains("7 (the database's limit)"), "{check:?}");
}
