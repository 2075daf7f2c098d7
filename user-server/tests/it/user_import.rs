//! Import and export of users by the binary: from files and tables, into both databases.

mod export;
mod files;
mod million_users;
mod tables;

use std::path::Path;
use std::time::{Duration, Instant};

use user_proto::{ErrorCode, LoggedIn};
use uuid::Uuid;

use crate::support::{
    Process, RunOutput, code_of, login, long_deadline, on_behalf_of, outcome, postgres, run_in,
};

/// Password of every user in these tests.
const PASSWORD: &str = "tides rise at nine";

fn bcrypt(cost: u32) -> String {
    bcrypt::hash(PASSWORD, cost).unwrap()
}

/// A row of an import file.
struct UserRow {
    id: Uuid,
    name: String,
    hash: String,
}

fn user_row(name: &str, hash: &str) -> UserRow {
    UserRow { id: Uuid::new_v4(), name: name.to_owned(), hash: hash.to_owned() }
}

fn csv(rows: &[UserRow]) -> String {
    let line = |row: &UserRow| {
        let UserRow { id, name, hash } = row;
        format!("{id},{name},{name}@example.org,\"{hash}\",2023-11-14T22:13:20Z,true\n")
    };
    "id,username,email,password,created_at,verified\n".to_owned()
        + &rows.iter().map(line).collect::<String>()
}

fn import(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> RunOutput {
    run_in(folder, &[&["import"], arguments].concat(), settings)
}

/// Returns the settings of a server on a new PostgreSQL database, or `None` if PostgreSQL is not
/// installed.
fn on_postgres() -> Option<Vec<(&'static str, String)>> {
    let secret = "a secret of at least thirty-two bytes".to_owned();
    Some(vec![
        ("PostgreSQL", postgres()?.database()),
        ("JWTSECRETKEY", secret),
        ("MAIL_DIR", "mails".to_owned()),
    ])
}

#[tokio::test]
async fn an_imported_user_logs_in_and_is_rehashed() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(80);
    let rows = [
        user_row("ada", &bcrypt(6)),
        user_row("grace", &bcrypt(6).replace("$2b$", "$2y$")),
        user_row("hedy", &bcrypt::hash(&long, 6).unwrap().replace("$2b$", "$2a$")),
        // Created by the command-line tool of the reference implementation.
        user_row(
            "joan",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        ),
    ];
    std::fs::write(folder.path().join("users.csv"), csv(&rows)).unwrap();
    let result = import(folder.path(), &["users.csv"], &[]);
    assert_eq!(
        (result.code, result.output.as_str()),
        (Some(0), "4 imported, 0 already present, 0 rejected\n"),
        "{result:?}"
    );

    let process = Process::start_in(folder, &[]);
    let client = process.client();
    assert_eq!(
        code_of(&client, login("ada", "tides rise at ten")).await,
        ErrorCode::INVALID_CREDENTIALS
    );
    for (row, password) in rows.iter().zip([PASSWORD, PASSWORD, &long, "password"]) {
        let reply: LoggedIn<'_> = outcome(client.call(login(&row.name, password)).await).unwrap();
        assert_eq!(reply.user_id, row.id, "{}", row.name);
        let shown = run_in(process.location(), &["user", "show", &row.name], &[]).output;
        assert!(shown.contains("$argon2id$v=19$m=19456,t=2,p=1"), "{shown}");
        outcome(client.call(login(&row.name, password)).await).unwrap();
    }
    // bcrypt used only the first 72 bytes; the new hash covers all of them.
    assert_eq!(code_of(&client, login("hedy", &long[..72])).await, ErrorCode::INVALID_CREDENTIALS);
    assert!(!process.log().contains("$2"), "{}", process.log());
}

#[tokio::test]
async fn a_refused_login_takes_as_long_with_any_stored_hash() {
    let folder = tempfile::tempdir().unwrap();
    // Several hundred milliseconds: on any machine, far longer than a default hash.
    let rows = [user_row("slow", &bcrypt(13)), user_row("fast", &bcrypt(4))];
    std::fs::write(folder.path().join("users.csv"), csv(&rows)).unwrap();
    assert_eq!(import(folder.path(), &["users.csv"], &[]).code, Some(0));
    let process = Process::start_in(folder, &[]);
    let client = process.client();
    let wrong = async |name: &'static str, number: u32| {
        let (began, mut common) = (Instant::now(), long_deadline());
        common.client_address = on_behalf_of(&format!("192.0.2.{number}")).client_address;
        let refused =
            outcome(client.call_with(login(name, "tides rise at ten"), common).await).map(drop);
        assert_eq!(refused, Err(ErrorCode::INVALID_CREDENTIALS));
        began.elapsed()
    };
    let (mut slow, mut others) = (Duration::MAX, Duration::MAX);
    for number in 0..3 {
        slow = slow.min(wrong("slow", number).await);
        others = others.min(wrong("fast", number).await).min(wrong("nobody", number).await);
    }
    // Only a lower bound: on a busy machine there is no upper one.
    assert!(
        others > slow / 2,
        "a bcrypt hash of cost 13 is refused after {slow:?}, and others after {others:?}"
    );
    let began = Instant::now();
    outcome(client.call_with(login("fast", PASSWORD), long_deadline()).await).unwrap();
    eprintln!("refused after {slow:?} and {others:?}, accepted after {:?}", began.elapsed());
}
