//! The service on PostgreSQL: one node, several nodes, behind a connection pooler, and with an
//! unresponsive database.

mod newer_schema;
mod several_hosts;
mod silence;
mod tls;
mod transaction_limit;
mod waiting_logins;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use user_proto::client;
use user_proto::{ErrorCode, GetUser, Logout, RefreshToken, VerifyToken};
use user_server::domain::{
    ConnectionPools, EmailConfirmation, Fault, LogPart, Purpose, RevocationLog, Timestamp,
};
use user_server::store::{PostgresOptions, PostgresStore};
use uuid::Uuid;

use crate::contract::fixture::{
    DAY, Db, NOW, at, change, change_address, guess, register, send_all, user,
};
use crate::contract::{counters, sweep};
use crate::support::{
    Changes, Pgbouncer, Postgres, Process, SECRET, TestServer, code_of, postgres, run_in,
};
use crate::tour;
pub use newer_schema::url_of_a_later_version;

/// Starts a node on a shared database, with its own folder for emails.
pub async fn node(url: &str, more: &[(&str, &str)]) -> TestServer {
    let folder = tempfile::tempdir().unwrap();
    let mail_dir = folder.path().join("mails").to_str().unwrap().to_owned();
    let mut settings =
        vec![("PostgreSQL", url), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", mail_dir.as_str())];
    settings.extend_from_slice(more);
    TestServer::start_in(folder, &settings).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_passes_on_postgres() {
    let Some(server) = postgres() else { return };
    tour::run(node(&server.database(), &[]).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_format_of_bytes_that_the_database_sets_does_not_matter() {
    let Some(server) = postgres() else { return };
    let direct = server.database();
    let name = direct.rsplit('/').next().unwrap();
    let escape = format!("ALTER DATABASE {name} SET bytea_output = 'escape'");
    assert!(server.psql("postgres", &escape));
    let options = PostgresOptions::parse(&direct, 2, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let pooler = Pgbouncer::before(server);
    let pooled = pooler.as_ref().map(|pooler| pooler.url(name));
    for (url, pooler) in
        std::iter::once((direct.clone(), false)).chain(pooled.map(|url| (url, true)))
    {
        let db: Db =
            Arc::new(PostgresStore::open(&PostgresOptions::parse(&url, 2, pooler).unwrap()));
        counters::a_charge_of_values_that_were_read_before_loses_nothing(&db).await;
        db.close().await;
        assert!(server.psql(name, "DELETE FROM counters"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_passes_behind_a_pooler() {
    let Some(server) = postgres() else { return };
    let Some(pooler) = Pgbouncer::before(server) else { return };
    let direct = server.database();
    let name = direct.rsplit('/').next().unwrap();
    let pooled = pooler.url(name);
    tour::run(node(&pooled, &[("DATABASE_POOLER", "1"), ("MIGRATE_URL", &direct)]).await).await;
}

/// Sets what the statements of a node rely on that runs them outside of transactions.
pub fn set_defaults(server: &Postgres, database: &str) {
    for setting in [
        "statement_timeout = '2s'",
        "lock_timeout = '1500ms'",
        "bytea_output = 'hex'",
        "default_transaction_isolation = 'read committed'",
    ] {
        assert!(server.psql("postgres", &format!("ALTER DATABASE {database} SET {setting}")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_passes_behind_a_pooler_with_prepared_statements() {
    let Some(server) = postgres() else { return };
    let Some(pooler) = Pgbouncer::with_prepared_statements(server) else { return };
    let direct = server.database();
    let name = direct.rsplit('/').next().unwrap();
    set_defaults(server, name);
    let pooled = pooler.url(name);
    let settings = [("DATABASE_POOLER", "prepared"), ("MIGRATE_URL", direct.as_str())];
    tour::run(node(&pooled, &settings).await).await;
}

#[test]
fn a_pooler_with_prepared_statements_needs_settings_of_the_database() {
    let Some(server) = postgres() else { return };
    let Some(pooler) = Pgbouncer::before(server) else { return };
    let direct = server.database();
    let name = direct.rsplit('/').next().unwrap();
    let pooled = pooler.url(name);
    let settings = [
        ("PostgreSQL", pooled.as_str()),
        ("JWTSECRETKEY", SECRET),
        ("MAIL_DIR", "mails"),
        ("DATABASE_POOLER", "prepared"),
        ("MIGRATE_URL", direct.as_str()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let missing = "needs settings of the role or the database";
    let start = run_in(folder.path(), &[], &settings);
    assert!(start.code == Some(1) && start.error.contains(missing), "{start:?}");
    let check = run_in(folder.path(), &["check"], &settings);
    assert!(check.code == Some(1) && check.output.contains(missing), "{check:?}");
    set_defaults(server, name);
    drop(pooler);
    let pooler = Pgbouncer::before(server).unwrap();
    let pooled = pooler.url(name);
    let settings = [&[("PostgreSQL", pooled.as_str())], &settings[1..]].concat();
    let check = run_in(folder.path(), &["check"], &settings);
    assert_eq!(check.code, Some(0), "{check:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_together_migrate_once() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { node(&url, &[]).await })
        })
        .collect();
    for start in starts {
        start.await.unwrap().stop().await;
    }
    let later = "INSERT INTO _sqlx_migrations VALUES (9999, 'later', now(), true, '\\x00', 0)";
    assert!(server.psql(url.rsplit('/').next().unwrap(), later));
    node(&url, &[]).await.stop().await;
}

/// A migration of a later version runs while nodes of this version serve requests with prepared
/// statements.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_keeps_serving_while_a_later_version_adds_columns() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let node = node(&url, &[]).await;
    let client = node.client();
    let bob = node.account(&client, "bob").await;
    client.call(GetUser { access_token: bob.session.access_token.clone() }).await.unwrap();
    client.call(RefreshToken { refresh_token: bob.session.refresh_token.clone() }).await.unwrap();
    assert!(server.psql(url.rsplit('/').next().unwrap(), newer_schema::EXPAND));
    for _ in 0..8 {
        client.call(GetUser { access_token: bob.session.access_token.clone() }).await.unwrap();
        node.login(&client, "bob").await;
    }
    tour::run(node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_on_one_node_ends_on_all() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let (one, other) = (node(&url, &[]).await, node(&url, &[]).await);
    let (here, there) = (one.client(), other.client());
    // The email is sent by whichever node claims it first; each writes to its own folder.
    let registered = one.register(&here, "ada", "ada@example.org").await;
    let code = tokio::select! {
        code = one.emails.code("ada@example.org", 1) => code,
        code = other.emails.code("ada@example.org", 1) => code,
    };
    let verify = crate::support::verify_email(registered.verification_id, &code);
    let session = there.call(verify).await.unwrap();
    let check = || VerifyToken { access_token: session.access_token.clone() };
    here.call(check()).await.unwrap();

    let uses = (0..64).map(|index| {
        let client = if index % 2 == 0 { here.clone() } else { there.clone() };
        let refresh_token = session.refresh_token.clone();
        tokio::spawn(async move { client.call(RefreshToken { refresh_token }).await.unwrap() })
    });
    let mut successors = HashSet::new();
    for refreshed in uses.collect::<Vec<_>>() {
        successors.insert(refreshed.await.unwrap().refresh_token.expose().to_vec());
    }
    assert_eq!(successors.len(), 1, "one successor on all nodes");

    here.call(Logout { token: session.access_token.clone(), all_sessions: None }).await.unwrap();
    assert_eq!(
        code_of(&here, check()).await,
        ErrorCode::SESSION_REVOKED,
        "at once on the node where it ended"
    );
    let began = Instant::now();
    while there.call(check()).await.is_ok() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the other node never rejects the session"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(code_of(&there, check()).await, ErrorCode::SESSION_REVOKED);
    one.stop().await;
    other.stop().await;
}

/// Only the unique index detects an account of a transaction that is still open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_taken_by_a_concurrent_transaction_uses_up_the_code() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let options = PostgresOptions::parse(&url, 4, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let db: Db = Arc::new(PostgresStore::open(&options));
    let (ada, first) = user(&db, "ada").await;
    let id = change_address(&db, change(&ada, &first), "new@example.org", NOW).await;
    send_all(&db, NOW).await;
    let guess = guess(&db, id, Purpose::EmailChange, NOW).await;

    let other = sqlx::PgPool::connect(&url).await.unwrap();
    let mut open = other.begin().await.unwrap();
    let insert = "INSERT INTO users (id, username, username_key, email, email_key, mailbox, password_hash, created_at)
        SELECT gen_random_uuid(), 'x', 'x', 'new@example.org', 'new@example.org', 'new@example.org', password_hash, 0 FROM users";
    sqlx::query(insert).execute(&mut *open).await.unwrap();
    let confirming = tokio::spawn({
        let (db, guess) = (db.clone(), guess.clone());
        async move { db.confirm_email_at(&guess, NOW).await.unwrap() }
    });
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE users%'";
    while sqlx::query_scalar::<_, i64>(waits).fetch_one(&other).await.unwrap() == 0 {
        assert!(!confirming.is_finished(), "it does not wait for the index");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    open.commit().await.unwrap();
    assert!(matches!(confirming.await.unwrap(), EmailConfirmation::EmailTaken));
    assert!(matches!(db.confirm_email_at(&guess, NOW).await.unwrap(), EmailConfirmation::Spent));
    assert_eq!(db.user(ada.id).await.unwrap().unwrap().email, "ada@example.org");
}

/// A node that cannot learn of retired keys must not go on accepting their tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_retired_keys_token_checks_become_stale_and_then_unavailable() {
    let Some(database) = postgres() else { return };
    let url = database.database();
    let settings = [
        ("PostgreSQL", url.as_str()),
        ("JWTSECRETKEY", SECRET),
        ("MAIL_DIR", "user-data/mails"),
        ("STALE_LIMIT", "2"),
    ];
    let node = Process::start(&settings);
    let client = node.client();
    let ada = node.account(&client, "ada").await;
    let check = || VerifyToken { access_token: ada.session.access_token.clone() };
    let name = url.rsplit('/').next().unwrap();
    let rename = |from, to| database.psql(name, &format!("ALTER TABLE {from} RENAME TO {to}"));
    assert!(rename("retired_keys", "hidden"));
    let (mut was_stale, began) = (false, Instant::now());
    let code = loop {
        match client.call(check()).await {
            Ok(verified) => was_stale |= verified.stale_ms.is_some_and(|age| age > 1000),
            Err(error) => break error.code(),
        }
        assert!(began.elapsed() < Duration::from_secs(20), "retired keys would be accepted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((was_stale, code), (true, Some(ErrorCode::UNAVAILABLE)));
    let log = node.log();
    assert!(log.contains("cannot read the revocation log and the retired keys"), "{log}");
    assert!(rename("hidden", "retired_keys"));
    while client.call(check()).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "it does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    node.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unresponsive_database_fails_requests_and_loses_nothing() {
    let Some(database) = Postgres::dedicated() else { return };
    let server = node(&database.database(), &[("STALE_LIMIT", "3")]).await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let get = || GetUser { access_token: ada.session.access_token.clone() };
    let check = || VerifyToken { access_token: ada.session.access_token.clone() };
    client.call(get()).await.unwrap();

    database.signal("STOP");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (client, get) = (client.clone(), get());
        tasks.spawn(async move { client.call(get).await });
    }
    let mut was_stale = false;
    let began = Instant::now();
    let unavailable = loop {
        match client.call(check()).await {
            Ok(verified) => was_stale |= verified.stale_ms.is_some_and(|age| age > 1000),
            Err(client::Error::Refused(error)) => break error.code,
            Err(other) => panic!("{other}"),
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "token checks continue beyond STALE_LIMIT"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(was_stale, "stale_ms was reported first");
    assert_eq!(unavailable, ErrorCode::UNAVAILABLE);
    while let Some(call) = tasks.join_next().await {
        let error = call.unwrap().expect_err("no call can succeed");
        let expected = error.code().is_none_or(|code| {
            [ErrorCode::UNAVAILABLE, ErrorCode::DEADLINE_EXCEEDED].contains(&code)
        });
        assert!(expected, "{error}");
    }

    database.signal("CONT");
    let began = Instant::now();
    while client.call(check()).await.is_err() || client.call(get()).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "the service does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The pool has all its connections again: as many calls at once as it has connections, several
    // times over.
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (client, get) = (client.clone(), get());
        tasks.spawn(async move { client.call(get).await.map(|user| user.user_id) });
    }
    while let Some(user) = tasks.join_next().await {
        assert_eq!(user.unwrap().unwrap(), ada.session.user_id);
    }
    server.stop().await;
}

#[test]
fn an_operator_migrates_manually() {
    let Some(server) = postgres() else { return };
    let folder = tempfile::tempdir().unwrap();
    let url = server.database();
    let settings = [
        ("PostgreSQL", url.as_str()),
        ("JWTSECRETKEY", SECRET),
        ("MAIL_DIR", "user-data/mails"),
        ("MIGRATE", "off"),
    ];
    let before = run_in(folder.path(), &[], &settings);
    assert_eq!(before.code, Some(1), "{before:?}");
    let result = run_in(folder.path(), &["migrate"], &settings);
    assert_eq!((result.code, result.error.as_str()), (Some(0), ""), "{result:?}");
    let newest = PostgresStore::newest_schema();
    assert!(result.output.contains(&format!("schema 0 is now {newest}")), "{result:?}");
    let again = run_in(folder.path(), &["migrate"], &settings);
    assert!(again.code == Some(0) && again.output.contains("is up to date"), "{again:?}");
    assert!(server.psql(url.rsplit('/').next().unwrap(), "SELECT * FROM users"));
}

#[test]
fn check_connects_to_the_configured_services() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = run_in(folder.path(), &["check"], &[]);
    assert_eq!((embedded.code, embedded.error.as_str()), (Some(0), ""), "{embedded:?}");
    assert_eq!(embedded.output.matches("good ").count(), 6, "{embedded:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "check changes nothing");

    let Some(server) = postgres() else { return };
    let url = server.database();
    let settings = [("PostgreSQL", url.as_str()), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", "mails")];
    let fresh = run_in(folder.path(), &["check"], &settings);
    assert_eq!(fresh.code, Some(0), "{fresh:?}");
    let newest = format!("the next start updates it to {}", PostgresStore::newest_schema());
    assert!(fresh.output.contains(&newest), "{fresh:?}");

    let by_hand = [&settings[..], &[("MIGRATE", "off")]].concat();
    let behind = run_in(folder.path(), &["check"], &by_hand);
    assert_eq!(behind.code, Some(1), "{behind:?}");
    assert!(
        behind.output.contains("WRONG  schema") && behind.output.contains("user-server migrate"),
        "{behind:?}"
    );

    let closed = "postgresql://tests:hunter2@127.0.0.1:1/users";
    let smtp = [
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", "1"),
        ("SMTP_TLS", "none"),
        ("MAIL_FROM", "u@users.example"),
    ];
    let unreachable = run_in(
        folder.path(),
        &["check"],
        &[&[("PostgreSQL", closed), settings[1]], &smtp[..]].concat(),
    );
    assert_eq!(unreachable.code, Some(1), "{unreachable:?}");
    assert_eq!(unreachable.output.matches("WRONG").count(), 2, "{unreachable:?}");
    assert!(!format!("{unreachable:?}").contains("hunter2"), "{unreachable:?}");
}

/// A step of the sweep that fails does not stop the others, and no transaction deletes many rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_survives_a_failing_step_and_deletes_in_short_transactions() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let options = PostgresOptions::parse(&url, 8, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let db: Db = Arc::new(PostgresStore::open(&options));
    sweep::expired_counters(&db, 1200).await;
    register(&db, "grace", "grace@example.org", "client", NOW).await;
    let triggers = "
        CREATE FUNCTION few() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF (SELECT COUNT(*) FROM gone) > 1000 THEN RAISE 'too many'; END IF;
                RETURN NULL;
            END $$;
        CREATE TRIGGER few AFTER DELETE ON counters REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION few();
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'never'; END $$;
        CREATE TRIGGER refuse BEFORE DELETE ON verifications
            FOR EACH ROW EXECUTE FUNCTION refuse();";
    let database = url.rsplit('/').next().unwrap();
    assert!(server.psql(database, triggers));
    let swept = db.sweep(&sweep::retention(), at(10 * DAY)).await;
    assert!(swept.is_err_and(|fault| fault.to_string().contains("never")));
    assert!(server.psql(database, "DROP TRIGGER refuse ON verifications"));
    assert_eq!(sweep::sweep(&db, at(10 * DAY)).await, 1, "only the verification was left");
}

/// An entry of the revocation log that commits after later ones is found by its number.
#[tokio::test]
async fn a_late_entry_of_the_revocation_log_is_found_by_its_number() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let node = node(&url, &[]).await;
    let options = PostgresOptions::parse(&url, 1, false).unwrap();
    let store = PostgresStore::open(&options);
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let insert = "INSERT INTO revocations (subject, at, kind) VALUES ($1, 1, 1) RETURNING seq";
    let add = || sqlx::query_scalar::<_, i64>(insert).bind(Uuid::new_v4());
    let mut late = pool.begin().await.unwrap();
    let late_number = add().fetch_one(&mut *late).await.unwrap();
    let number = add().fetch_one(&pool).await.unwrap();
    assert!(late_number < number);
    let none = Timestamp(i64::MAX);
    let part = LogPart { after: number, since: none, until: none, numbers: vec![late_number] };
    assert!(store.revocations(&part).await.unwrap().entries.is_empty(), "not committed");
    late.commit().await.unwrap();
    let found = store.revocations(&part).await.unwrap().entries;
    assert_eq!(found.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [late_number]);
    store.close().await;
    node.stop().await;
}

/// A standby may lack the latest revocations, so reading them there does not count.
#[tokio::test]
async fn revocations_are_not_read_from_a_standby() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let options = PostgresOptions::parse(&url, 1, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let primary = PostgresStore::open(&options);
    assert!(primary.revocations(&LogPart::all()).await.is_ok());
    primary.close().await;
    // A function of this name that precedes that of the system.
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    for statement in [
        "CREATE SCHEMA recovery",
        "CREATE FUNCTION recovery.pg_is_in_recovery() RETURNS boolean LANGUAGE sql
         AS 'SELECT true'",
        "DO $$ BEGIN EXECUTE format(
             'ALTER DATABASE %I SET search_path = recovery, public, pg_catalog',
             current_database()); END $$",
    ] {
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    }
    let standby = PostgresStore::open(&options);
    let read = standby.revocations(&LogPart::all()).await;
    assert!(matches!(&read, Err(Fault::ReadOnly(text)) if text.contains("standby")), "{read:?}");
    standby.close().await;
}
