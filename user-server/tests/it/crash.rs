//! The process killed at any point: what was answered is there, no code is dead, and there is no
//! half user.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use user_proto::client::{Client, Config};
use user_proto::{ErrorCode, GetUser};
use user_server::domain::{AuditFilter, Store};
use user_server::store::{PostgresOptions, PostgresStore, SqliteStore};
use uuid::Uuid;

use crate::support::{
    EmailFolder, Inbox, Journey, LEASE, LOST, PASSWORD, Postgres, Process, SECRET, SimulatedUser,
    TestServer, Workload, check, code_of, free_port, login, postgres, register, run_in,
    verify_email, verify_users,
};

const WORKERS: usize = 8;

/// The killed process's folder under a service whose clock can be turned, so that no lease has to
/// be waited for.
async fn reopen(folder: TempDir) -> TestServer {
    let data = folder.path().join("user-data");
    let server = TestServer::start_in(folder, &[("DATA_DIR", data.to_str().unwrap())]).await;
    server.clock.advance(LEASE);
    server
}

#[tokio::test]
async fn killed_between_any_two_steps_a_registration_goes_on() {
    let address = "ada@example.org";
    let process = Process::start(&[]);
    let id = process.client().call(register("ada", address)).await.unwrap().verification_id;
    let process = Process::start_in(process.kill().await, &[]);
    assert_eq!(
        code_of(&process.client(), login("ada", PASSWORD)).await,
        ErrorCode::INVALID_CREDENTIALS
    );
    // It may have been killed with the mail in its hands; then the mail comes again, with the same
    // code.
    let server = reopen(process.kill().await).await;
    let code = server.emails.code(address, 1).await;
    let process = Process::start_in(server.stop().await, &[]);
    for _ in 0..2 {
        assert_eq!(
            code_of(&process.client(), verify_email(id, "E")).await,
            ErrorCode::INVALID_CODE
        );
    }
    let process = Process::start_in(process.kill().await, &[]);
    let session = process.client().call(verify_email(id, &code)).await.unwrap();
    let process = Process::start_in(process.kill().await, &[]);
    let client = process.client();
    assert_eq!(
        code_of(&client, verify_email(id, &code)).await,
        ErrorCode::CODE_EXPIRED,
        "it was used once"
    );
    assert_eq!(check(&client, session.access_token.expose_str().unwrap()).await, None);
    let user = client.call(GetUser { access_token: session.access_token.clone() }).await.unwrap();
    assert_eq!((&*user.username, &*user.email), ("ada", address));
    assert_eq!(client.call(login("ada", PASSWORD)).await.unwrap().user_id, session.user_id);
}

/// Shows that each change that was answered has its row of the audit, and no change has two; once
/// all is sealed.
async fn audited(store: &dyn Store, lives: &[SimulatedUser]) {
    let began = Instant::now();
    while store.unsealed().await.unwrap().rows > 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "it is not sealed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut rows: HashMap<(String, Uuid), usize> = HashMap::new();
    for entry in
        store.entries(&AuditFilter { limit: u32::MAX, ..AuditFilter::default() }).await.unwrap()
    {
        assert!(entry.seal.is_some(), "{entry:?}");
        let subject = || Uuid::from_slice(entry.subject.as_deref().unwrap_or_default()).ok();
        *rows
            .entry((entry.kind.clone(), entry.user_id.or_else(subject).unwrap_or_default()))
            .or_default() += 1;
    }
    let mut wrong = Vec::new();
    for life in lives {
        for (kind, id, expected) in life.audit_events() {
            let found = rows.get(&(kind.name().to_owned(), id)).copied().unwrap_or_default();
            if !expected.contains(&found) {
                wrong.push(format!("{found} rows of {}, not {expected:?}: {life:?}", kind.name()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Kills the service every now and then until so many registrations have been answered, and looks
/// at all of them afterwards; what clients saw. On a folder of its own, or on a database.
async fn killed_under_load(
    database: Option<&Postgres>,
    registrations: usize,
    pause: Duration,
) -> String {
    let (mail_folder, port) = (tempfile::tempdir().unwrap(), free_port().to_string());
    let (mails, url) = (mail_folder.path().to_str().unwrap(), database.map(Postgres::database));
    // The full size takes longer than codes and tokens usually live.
    let mut settings = vec![("MAIL_DIR", mails), ("JWTSECRETKEY", SECRET)];
    settings.extend([("OTP_EXPIRY", "60"), ("ACCESS_TOKEN_EXPIRY", "60")]);
    settings.extend(url.as_deref().map(|url| ("PostgreSQL", url)));
    let here = [settings.as_slice(), &[("TCP_PORT", port.as_str())]].concat();

    let mut process = Process::start(&here);
    let world =
        Workload::new(Inbox::new(&EmailFolder(mail_folder.path().to_owned())), registrations);
    let config = Config { max_backoff: Duration::from_millis(200), ..Config::default() };
    let clients = (0..WORKERS)
        .map(|_| Client::with_config(process.address.to_string(), config.clone()))
        .collect();
    let reach = |number| if number % 2 == 0 { Journey::Full } else { Journey::Registration };
    let running = world.spawn(clients, reach);
    let where_ = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    let mut kills = 0;
    while world.remaining() > 0 {
        // At a time that differs from kill to kill.
        let jitter = f64::from(Uuid::new_v4().as_bytes()[0]) / 255.0;
        tokio::time::sleep(pause.mul_f64(0.5 + jitter)).await;
        process = Process::start_in(process.kill().await, &here);
        kills += 1;
    }
    let lives: Vec<SimulatedUser> = running.join_all().await.into_iter().flatten().collect();
    assert_eq!(lives.len(), registrations);
    world.stats.assert_only(&["OK", LOST]);

    let folder = process.kill().await;
    let data = folder.path().join("user-data");
    settings.push(("DATA_DIR", data.to_str().unwrap()));
    let server = TestServer::start_in(folder, &settings).await;
    let store: Arc<dyn Store> = match &url {
        Some(url) => Arc::new(PostgresStore::open(&PostgresOptions::parse(url, 2, false).unwrap())),
        None => Arc::new(SqliteStore::open_read_only(&data.join("users.db"))),
    };
    audited(&*store, &lives).await;
    for command in [["audit", "verify"].as_slice(), &["fsck"]] {
        let said = tokio::task::block_in_place(|| run_in(mail_folder.path(), command, &settings));
        assert!(said.code == Some(0) && said.output.contains("good "), "{command:?}: {said:?}");
    }
    server.clock.advance(LEASE);
    verify_users(&server, &world.inbox, lives).await;
    server.stop().await;
    world
        .stats
        .table(&format!("{where_}: {registrations} registrations, {kills} kills, nothing lost"))
}

/// Few registrations and many kills.
const SMALL: (usize, Duration) = (200, Duration::from_millis(900));
const FULL: (usize, Duration) = (10_000, Duration::from_secs(4));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_it_loses_nothing_that_was_answered() {
    killed_under_load(None, SMALL.0, SMALL.1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_it_loses_nothing_on_postgresql() {
    let Some(database) = postgres() else { return };
    killed_under_load(Some(database), SMALL.0, SMALL.1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "ten thousand registrations take minutes; docs/FAULTS.md has the command and the figures"]
async fn long_killed_under_load_it_loses_nothing_that_was_answered() {
    println!("{}", killed_under_load(None, FULL.0, FULL.1).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "ten thousand registrations take minutes; docs/FAULTS.md has the command and the figures"]
async fn long_killed_under_load_it_loses_nothing_on_postgresql() {
    let Some(database) = postgres() else { return };
    println!("{}", killed_under_load(Some(database), FULL.0, FULL.1).await);
}
