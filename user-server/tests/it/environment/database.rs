//! PostgreSQL with settings that the service did not choose.

use user_proto::{ErrorCode, Login, Register, VerifyToken};

use super::{finding, name, settings, wait_for_store};
use crate::postgres::node;
use crate::support::{PASSWORD, Pgbouncer, code_of, postgres, run_in};

#[test]
fn a_database_that_is_not_utf8_is_refused_with_a_hint() {
    let Some(server) = postgres() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (encoding, database) in [("LATIN1", "env_latin1"), ("SQL_ASCII", "env_ascii")] {
        let create = format!(
            "CREATE DATABASE {database} ENCODING '{encoding}' TEMPLATE template0 \
             LC_COLLATE 'C' LC_CTYPE 'C'"
        );
        assert!(server.psql("postgres", &create));
        let url = server.url(database);
        let start = run_in(folder.path(), &[], &settings(&url));
        assert_eq!(start.code, Some(1), "{start:?}");
        for part in [encoding, "needs UTF8", "hint: Create a database with"] {
            assert!(start.error.contains(part), "{start:?}");
        }
        let check = run_in(folder.path(), &["check"], &settings(&url));
        assert_eq!(check.code, Some(1), "{check:?}");
        assert!(finding(&check, "PostgreSQL").starts_with("WRONG"), "{check:?}");
        assert!(!server.psql(database, "SELECT 1 FROM users"), "nothing was migrated");
    }
}

/// The statements rely on row locks. Under `serializable`, concurrent logins would fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serializable_default_causes_no_failures() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let set =
        format!("ALTER DATABASE {} SET default_transaction_isolation = 'serializable'", name(&url));
    assert!(server.psql("postgres", &set));
    let node = node(&url, &[]).await;
    let client = node.client();
    node.account(&client, "ada").await;
    let mut logins = tokio::task::JoinSet::new();
    for client in node.clients().into_iter().cycle().take(48) {
        logins.spawn(async move { client.call(Login::new("ada".into(), PASSWORD.into())).await });
    }
    while let Some(login) = logins.join_next().await {
        let code = login.unwrap().err().and_then(|error| error.code());
        assert_ne!(code, Some(ErrorCode::UNAVAILABLE));
        assert_ne!(code, Some(ErrorCode::INTERNAL));
    }
    node.stop().await;
}

/// A trigger fails two of three attempts, as a serialization failure or a deadlock would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_another_one_prevented_is_repeated() {
    let Some(server) = postgres() else { return };
    for code in ["40001", "40P01"] {
        let url = server.database();
        let node = node(&url, &[]).await;
        let client = node.client();
        node.account(&client, "ada").await;
        let trigger = format!(
            "CREATE SEQUENCE attempts;
             CREATE FUNCTION prevent() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('attempts') % 3 <> 0 THEN
                     RAISE EXCEPTION 'prevented' USING ERRCODE = '{code}';
                 END IF; RETURN NEW; END $$;
             CREATE TRIGGER prevent BEFORE INSERT ON sessions
                 FOR EACH ROW EXECUTE FUNCTION prevent()"
        );
        assert!(server.psql(name(&url), &trigger));
        for _ in 0..4 {
            node.login(&client, "ada").await;
        }
        // More conflicts than attempts are reported, and not as a bug of the service.
        let always = "ALTER SEQUENCE attempts MAXVALUE 1000000 INCREMENT 3";
        assert!(server.psql(name(&url), always));
        assert!(server.psql(name(&url), "SELECT setval('attempts', 1)"));
        let login = Login::new("ada".into(), PASSWORD.into());
        assert_eq!(code_of(&client, login).await, ErrorCode::UNAVAILABLE);
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_is_degraded_and_still_verifies_tokens() {
    let Some(server) = postgres() else { return };
    let (url, folder) = (server.database(), tempfile::tempdir().unwrap());
    let node = node(&url, &[("METRICS_ADDR", "127.0.0.1:0")]).await;
    let monitor = node.service.monitor_address().unwrap();
    let client = node.client();
    let ada = node.account(&client, "ada").await;
    wait_for_store(monitor, false).await;

    let database = name(&url);
    let read_only = |on: &str| {
        format!(
            "ALTER DATABASE {database} SET default_transaction_read_only = {on};
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        )
    };
    assert!(server.psql("postgres", &read_only("on")));
    let body = wait_for_store(monitor, true).await;
    assert_eq!(body["store"]["reachable"], true, "{body}");
    assert_eq!(body["store"]["writable"], false, "{body}");
    let check = run_in(folder.path(), &["check"], &settings(&url));
    assert_eq!(check.code, Some(1), "{check:?}");
    let statements = finding(&check, "statements");
    for part in ["read-only", "primary server", "default_transaction_read_only is on"] {
        assert!(statements.contains(part), "{part}: {check:?}");
    }
    let disabled = run_in(folder.path(), &["user", "disable", "ada"], &settings(&url));
    assert_eq!(disabled.code, Some(1), "{disabled:?}");
    let named = format!("/{database}: cannot execute");
    for part in ["error: cannot use the database", &named, "read-only", "hint: Name the primary"] {
        assert!(disabled.error.contains(part), "{part}: {disabled:?}");
    }
    let verify = VerifyToken { access_token: ada.session.access_token.clone() };
    client.call(verify).await.unwrap();
    let register = Register {
        username: "bob".into(),
        email: "bob@example.org".into(),
        password: PASSWORD.into(),
    };
    assert_eq!(code_of(&client, register).await, ErrorCode::UNAVAILABLE);
    // A node can start: it serves reads and token checks.
    let other = crate::postgres::node(&url, &[]).await;
    assert_eq!(
        code_of(&other.client(), Login::new("ada".into(), PASSWORD.into())).await,
        ErrorCode::UNAVAILABLE
    );
    other.stop().await;

    assert!(server.psql("postgres", &read_only("off")));
    wait_for_store(monitor, false).await;
    node.login(&client, "ada").await;
    node.stop().await;
}

#[test]
fn a_pooler_without_its_setting_is_named() {
    let Some(server) = postgres() else { return };
    let direct = server.database();
    let folder = tempfile::tempdir().unwrap();
    // One that refuses the options of a connection, and one that ignores them.
    for ignored in ["extra_float_digits", "extra_float_digits,options"] {
        let more = format!("ignore_startup_parameters = {ignored}\n");
        let Some(pooler) = Pgbouncer::with(server, &more) else { return };
        let url = pooler.url(name(&direct));
        let check = run_in(folder.path(), &["check"], &settings(&url));
        assert_eq!(check.code, Some(1), "{check:?}");
        let line = finding(&check, "PostgreSQL");
        assert!(line.starts_with("WRONG") && line.contains("DATABASE_POOLER=1"), "{check:?}");
    }
    let Some(pooler) = Pgbouncer::before(server) else { return };
    let url = pooler.url(name(&direct));
    let any_port = [&settings(&url)[..], &[("TCP_PORT", "0")]].concat();
    let start = run_in(folder.path(), &[], &any_port);
    assert_eq!(start.code, Some(1), "{start:?}");
    assert!(start.error.contains("hint: If PostgreSQL names a pooler"), "{start:?}");
}

#[test]
fn the_cause_of_a_failed_connection_is_stated_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("postgresql://u:geheim@127.0.0.1:1/users", "onnection refused"),
        ("postgresql://u:geheim@[::1]:1/users", "[::1]:1/users: "),
        ("postgresql://u:geheim@nowhere.invalid/users?sslmode=disable", "nowhere.invalid"),
        ("postgresql://u:gehe/im@db/users", "%2F"),
        ("host=nowhere.invalid password=geheim dbname=users sslmode=disable", "nowhere.invalid"),
    ];
    for (url, cause) in cases {
        for command in [&[][..], &["check"], &["migrate"], &["user", "list"], &["fsck"]] {
            let run = run_in(folder.path(), command, &settings(url));
            let shown = format!("{}{}", run.output, run.error);
            assert!(matches!(run.code, Some(1 | 64)), "{url} {command:?}: {shown}");
            assert!(shown.contains(cause), "{url} {command:?}: {shown}");
            for hidden in ["internal", "os error", "geheim", "im@db", "Error {", "pool timed out"] {
                assert!(!shown.contains(hidden), "{url} {command:?}: {shown}");
            }
        }
    }
    let Some(server) = postgres() else { return };
    let cases = [("no_such_database", "does not exist"), ("postgres", "permission denied")];
    for (database, cause) in cases {
        let url = server.url(database).replace("//tests@", "//tests:geheim@");
        let url = if database == "postgres" {
            assert!(server.psql("postgres", "CREATE ROLE env_stranger LOGIN"));
            assert!(server.psql("postgres", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"));
            url.replace("//tests:", "//env_stranger:")
        } else {
            url
        };
        let start = run_in(folder.path(), &[], &settings(&url));
        assert_eq!(start.code, Some(1), "{start:?}");
        assert!(start.error.contains(cause), "{start:?}");
        for hidden in ["internal", " at line ", "geheim"] {
            assert!(!start.error.contains(hidden), "{start:?}");
        }
    }
}
