//! The server on the database of every earlier schema version: it migrates the schema, sessions
//! stay live or ended, codes stay valid, and emails in flight are sent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use user_proto::client::Client;
use user_proto::{Common, ConfirmEmail, ErrorCode, GetUser, IdempotencyKey, RefreshToken};
use user_server::domain::{Clock, ShiftedClock, SystemClock};

use super::fixture::{self, Database, Fixture, KEY, Tokens};
use crate::support::{
    NEW_PASSWORD, PASSWORD, TestServer, check, code_of, login, outcome, postgres, register, reset,
    run_in, verify_email,
};

/// Time between the last change of the earlier version and the start of this one.
const PAUSE: Duration = Duration::from_secs(5);
/// Longer than the pause after the first failed attempt to send an email.
const RETRY: Duration = Duration::from_secs(90);

#[test]
fn the_newest_schema_version_has_a_fixture() {
    for database in Database::ALL {
        let (name, newest) = (database.name(), database.newest_schema());
        assert_eq!(
            database.schemas().last(),
            Some(&newest),
            "the newest migration of {name} is {newest:04}, but tests/upgrades has no database of \
             that schema; to write it, run: cargo test -p user-server --test it -- --ignored \
             write_upgrade_fixtures"
        );
    }
}

/// A database that has applied a migration does not apply it again.
#[test]
fn a_migration_does_not_change_after_its_database_was_written() {
    for database in Database::ALL {
        for schema in database.schemas() {
            let (name, changed) = (database.name(), fixture::changed_migrations(database, schema));
            assert!(
                changed.is_empty(),
                "the migrations {changed:?} of {name} have changed since the database of schema \
                 {schema:04} was written. Add a new migration instead. If no release contains \
                 them, this is enough: cargo test -p user-server --test it -- --ignored \
                 write_upgrade_fixtures"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_of_earlier_versions_serve_their_users() {
    for schema in Database::Sqlite.schemas() {
        println!("schema {schema}");
        let folder = tempfile::tempdir().unwrap();
        fixture::load_sqlite(schema, &folder.path().join("users.db")).await;
        upgrade(Database::Sqlite, schema, folder, None).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_of_earlier_versions_serve_their_users_on_postgresql() {
    let Some(server) = postgres() else { return };
    for schema in Database::Postgres.schemas() {
        println!("schema {schema}");
        let url = fixture::load_postgres(schema, server).await;
        upgrade(Database::Postgres, schema, tempfile::tempdir().unwrap(), Some(&url)).await;
    }
}

/// Upgrades the database of a fixture, and uses everything that its users hold.
async fn upgrade(database: Database, schema: i64, folder: tempfile::TempDir, url: Option<&str>) {
    let fixture = Fixture::read(database, schema);
    let home = folder.path().to_owned();
    let (data, mails) = (home.to_str().unwrap(), home.join("mails"));
    let mut settings = vec![("DATA_DIR", data), ("JWTSECRETKEY", fixture.secret.as_str())];
    settings.push(("MAIL_DIR", mails.to_str().unwrap()));
    settings.extend(url.map(|url| ("PostgreSQL", url)));
    expect_dry_run(database, schema, &home, &settings);

    let server = TestServer::start_at(folder, &settings, clock_of(&fixture)).await;
    let client = server.client();
    expect_sessions(&client, &fixture).await;
    expect_codes(&client, &fixture).await;
    expect_unsent_email(&server, &client, &fixture).await;
    for command in [["audit", "verify"].as_slice(), &["fsck"]] {
        let result = tokio::task::block_in_place(|| run_in(&home, command, &settings));
        assert_eq!(result.code, Some(0), "{command:?}: {result:?}");
        assert!(result.output.contains("good "), "{command:?}: {result:?}");
    }
    let pending = tokio::task::block_in_place(|| run_in(&home, &["migrate"], &settings));
    assert!(pending.output.contains("is up to date"), "{pending:?}");
    server.stop().await;
}

/// Returns a clock that shows the time shortly after the fixture was written.
fn clock_of(fixture: &Fixture) -> Arc<ShiftedClock> {
    let clock = Arc::new(ShiftedClock::default());
    let (now, start) = (SystemClock.now(), fixture.made_at().plus(PAUSE));
    clock.set_back(now.since(start));
    clock.advance(start.since(now));
    clock
}

/// Asserts that `migrate --dry-run` lists the missing migrations, and changes nothing.
fn expect_dry_run(database: Database, schema: i64, home: &Path, settings: &[(&str, &str)]) {
    let missing = database.migrations_after(schema);
    for _ in 0..2 {
        let run = || run_in(home, &["migrate", "--dry-run"], settings);
        let result = tokio::task::block_in_place(run);
        assert_eq!(result.code, Some(0), "{result:?}");
        let listed: Vec<&str> =
            result.output.lines().filter_map(|line| line.strip_prefix("would apply ")).collect();
        assert_eq!(listed, missing);
        let last = match missing.is_empty() {
            true => format!("is up to date: schema {schema},"),
            false => format!("schema {schema}, would become {}", database.newest_schema()),
        };
        assert!(result.output.contains(&last), "{last}: {result:?}");
    }
}

async fn expect_sessions(client: &Client, fixture: &Fixture) {
    for Tokens { username, access, refresh } in &fixture.sessions {
        assert_eq!(check(client, access).await, None, "{username}");
        let refresh_token = refresh.as_str().into();
        let refreshed = outcome(client.call(RefreshToken { refresh_token }).await).unwrap();
        assert_eq!(check(client, refreshed.access_token.expose_str().unwrap()).await, None);
        let access_token = access.as_str().into();
        let user = outcome(client.call(GetUser { access_token }).await).unwrap();
        assert_eq!(&*user.username, username);
    }
    for Tokens { username, access, refresh } in &fixture.ended {
        assert_eq!(check(client, access).await, Some(ErrorCode::SESSION_REVOKED), "{username}");
        let refresh = RefreshToken { refresh_token: refresh.as_str().into() };
        assert_eq!(code_of(client, refresh).await, ErrorCode::SESSION_REVOKED, "{username}");
    }
    let [ada, bob, gus, hal] = ["ada", "bob", "gus", "hal"].map(|name| login(name, PASSWORD));
    for active in [ada, bob] {
        outcome(client.call(active).await).unwrap();
    }
    assert_eq!(code_of(client, gus).await, ErrorCode::INVALID_CREDENTIALS);
    assert_eq!(code_of(client, hal).await, ErrorCode::ACCOUNT_DISABLED);
}

async fn expect_codes(client: &Client, fixture: &Fixture) {
    let Fixture { registration, email_change, reset: forgotten, .. } = fixture;
    let verify = verify_email(registration.id(), &registration.code);
    let session = outcome(client.call(verify).await).unwrap();
    assert_eq!(check(client, session.access_token.expose_str().unwrap()).await, None);

    let confirm = ConfirmEmail {
        access_token: fixture.sessions.last().unwrap().access.as_str().into(),
        verification_id: email_change.id(),
        code: email_change.code.as_str().into(),
    };
    let confirmed = outcome(client.call(confirm).await).unwrap();
    assert_eq!(*confirmed.email, *email_change.email);

    outcome(client.call(reset(forgotten.id(), &forgotten.code)).await).unwrap();
    assert_eq!(
        code_of(client, login(&forgotten.email, PASSWORD)).await,
        ErrorCode::INVALID_CREDENTIALS
    );
    outcome(client.call(login(&forgotten.email, NEW_PASSWORD)).await).unwrap();
}

/// Asserts that the email in flight is sent, and that its registration has the outcome of before.
async fn expect_unsent_email(server: &TestServer, client: &Client, fixture: &Fixture) {
    let (email, id) = (&fixture.unsent.email, fixture.unsent.id());
    let keyed = Common { idempotency_key: Some(IdempotencyKey(KEY)), ..Common::default() };
    let again = outcome(client.call_with(register("fay", email), keyed).await).unwrap();
    assert_eq!(again.verification_id, id);
    server.advance_outbox(client, RETRY).await;
    let code = server.emails.code(email, 1).await;
    outcome(client.call(verify_email(id, &code)).await).unwrap();
}
