//! The service on PostgreSQL: one node, several nodes, and an unresponsive database.

mod abandoned;
mod commands;
mod lock_waits;
mod newer_schema;
mod pooler;
mod revocations;
mod several_hosts;
mod silence;
mod tls;
mod transaction_limit;
mod waiting_commits;
mod waiting_logins;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use user_proto::client;
use user_proto::{ErrorCode, GetUser, Logout, RefreshToken, VerifyToken};
use user_server::domain::{EmailConfirmation, Purpose};
use user_server::store::{PostgresOptions, PostgresStore};

use self::waiting_logins::until_waiting;
use crate::contract::fixture::{
    DAY, Db, NOW, at, change, change_address, guess, register, send_all, user,
};
use crate::contract::refuse_functions;
use crate::contract::sweep;
use crate::support::{Changes, Postgres, SECRET, TestServer, code_of, postgres};
use crate::tour;
pub use newer_schema::url_of_a_later_version;
pub use pooler::set_defaults;

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

/// Only the unique index detects an account of a transaction that is still open. Its error would
/// contain the address, which the stored function keeps out of the log of PostgreSQL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_taken_by_a_concurrent_transaction_uses_up_the_code() {
    let Some(server) = postgres() else { return };
    for without_function in [false, true] {
        let url = server.database();
        let options = PostgresOptions::parse(&url, 4, false).unwrap();
        PostgresStore::migrate(&options).await.unwrap();
        if without_function {
            refuse_functions(&url).await;
        }
        let db: Db = Arc::new(PostgresStore::open(&options));
        let (ada, first) = user(&db, "ada").await;
        let address = format!("new.{without_function}@example.org");
        let id = change_address(&db, change(&ada, &first), &address, NOW).await;
        send_all(&db, NOW).await;
        let guess = guess(&db, id, Purpose::EmailChange, NOW).await;

        let other = sqlx::PgPool::connect(&url).await.unwrap();
        let mut open = other.begin().await.unwrap();
        let insert = "INSERT INTO users (id, username, username_key, email, email_key, mailbox,
                                         password_hash, created_at)
            SELECT gen_random_uuid(), 'x', 'x', $1, $1, $1, password_hash, 0 FROM users";
        sqlx::query(insert).bind(&address).execute(&mut *open).await.unwrap();
        let confirming = tokio::spawn({
            let (db, guess) = (db.clone(), guess.clone());
            async move { db.confirm_email_at(&guess, NOW).await.unwrap() }
        });
        until_waiting(&other, "confirm_email").await;
        open.commit().await.unwrap();
        assert!(matches!(confirming.await.unwrap(), EmailConfirmation::EmailTaken));
        let again = db.confirm_email_at(&guess, NOW).await.unwrap();
        assert!(matches!(again, EmailConfirmation::Spent));
        assert_eq!(db.user(ada.id).await.unwrap().unwrap().email, "ada@example.org");
        let is_logged = server.log().contains(&format!("(email_key)=({address})"));
        assert_eq!(is_logged, without_function);
        db.close().await;
        other.close().await;
    }
}

/// A variable of a stored function with the name of a column makes every statement that could mean
/// either fail. Functions outlive their version, so a later migration must not add such a column.
#[tokio::test]
async fn no_column_has_the_name_of_a_variable_of_a_function() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    PostgresStore::migrate(&PostgresOptions::parse(&url, 2, false).unwrap()).await.unwrap();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let columns = "SELECT column_name::text FROM information_schema.columns
                   WHERE table_schema = 'public'";
    let columns: Vec<String> = sqlx::query_scalar(columns).fetch_all(&pool).await.unwrap();
    let bodies = "SELECT prosrc FROM pg_proc JOIN pg_language ON pg_language.oid = prolang
                  WHERE pronamespace = 'public'::regnamespace AND lanname = 'plpgsql'";
    let bodies: Vec<String> = sqlx::query_scalar(bodies).fetch_all(&pool).await.unwrap();
    let mut variables = BTreeSet::new();
    for body in &bodies {
        let Some((_, declared)) = body.split_once("DECLARE") else { continue };
        let declared = declared.split("BEGIN").next().unwrap();
        variables.extend(declared.lines().filter_map(|line| line.split_whitespace().next()));
    }
    assert!(variables.contains("now") && variables.len() > 10, "{variables:?}");
    let both: Vec<&String> =
        columns.iter().filter(|name| variables.contains(name.as_str())).collect();
    assert!(both.is_empty(), "{both:?}");
    pool.close().await;
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
                IF (SELECT COUNT(*) FROM gone) > 200 THEN RAISE 'too many'; END IF;
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
