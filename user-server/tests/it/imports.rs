//! Users that are brought along: by the binary, from files and tables, into both databases and out
//! again.

mod exports;
mod files;
mod million;
mod tables;

use std::path::Path;
use std::time::{Duration, Instant};

use user_proto::{ErrorCode, LoggedIn};
use uuid::Uuid;

use crate::support::{
    Process, RunOutput, code_of, login, long_deadline, on_behalf_of, outcome, postgres, run_in,
};

/// What everybody in these tests has.
const PASSWORD: &str = "tides rise at nine";

fn bcrypt(cost: u32) -> String {
    bcrypt::hash(PASSWORD, cost).unwrap()
}

/// A row of a file.
struct Person {
    id: Uuid,
    name: String,
    hash: String,
}

fn person(name: &str, hash: &str) -> Person {
    Person { id: Uuid::new_v4(), name: name.to_owned(), hash: hash.to_owned() }
}

fn csv(people: &[Person]) -> String {
    let line = |person: &Person| {
        let Person { id, name, hash } = person;
        format!("{id},{name},{name}@example.org,\"{hash}\",2023-11-14T22:13:20Z,true\n")
    };
    "id,username,email,password,created_at,verified\n".to_owned()
        + &people.iter().map(line).collect::<String>()
}

fn import(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> RunOutput {
    run_in(folder, &[&["import"], arguments].concat(), settings)
}

/// The settings of a server on a new database of PostgreSQL; none where it is missing.
fn on_postgres() -> Option<Vec<(&'static str, String)>> {
    let secret = "a secret of at least thirty-two bytes".to_owned();
    Some(vec![
        ("PostgreSQL", postgres()?.database()),
        ("JWTSECRETKEY", secret),
        ("MAIL_DIR", "mails".to_owned()),
    ])
}

#[tokio::test]
async fn an_imported_user_logs_in_and_has_a_hash_of_ours_after() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(80);
    let people = [
        person("ada", &bcrypt(6)),
        person("grace", &bcrypt(6).replace("$2b$", "$2y$")),
        person("hedy", &bcrypt::hash(&long, 6).unwrap().replace("$2b$", "$2a$")),
        // From the command line tool of the reference implementation.
        person(
            "joan",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        ),
    ];
    std::fs::write(folder.path().join("users.csv"), csv(&people)).unwrap();
    let said = import(folder.path(), &["users.csv"], &[]);
    assert_eq!(
        (said.code, said.output.as_str()),
        (Some(0), "4 imported, 0 already present, 0 rejected\n"),
        "{said:?}"
    );

    let process = Process::start_in(folder, &[]);
    let client = process.client();
    assert_eq!(
        code_of(&client, login("ada", "tides rise at ten")).await,
        ErrorCode::INVALID_CREDENTIALS
    );
    for (person, password) in people.iter().zip([PASSWORD, PASSWORD, &long, "password"]) {
        let reply: LoggedIn<'_> =
            outcome(client.call(login(&person.name, password)).await).unwrap();
        assert_eq!(reply.user_id, person.id, "{}", person.name);
        let shown = run_in(process.location(), &["user", "show", &person.name], &[]).output;
        assert!(shown.contains("$argon2id$v=19$m=19456,t=2,p=1"), "{shown}");
        outcome(client.call(login(&person.name, password)).await).unwrap();
    }
    // Bcrypt took the first 72 bytes of it; the hash of now takes all.
    assert_eq!(code_of(&client, login("hedy", &long[..72])).await, ErrorCode::INVALID_CREDENTIALS);
    assert!(!process.log().contains("$2"), "{}", process.log());
}

#[tokio::test]
async fn a_refused_login_takes_as_long_whatever_hash_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    // Some hundred milliseconds: far longer than an own hash, on any machine.
    let people = [person("slow", &bcrypt(13)), person("fast", &bcrypt(4))];
    std::fs::write(folder.path().join("users.csv"), csv(&people)).unwrap();
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
    // Only from below: from above, a busy machine decides.
    assert!(
        others > slow / 2,
        "a bcrypt hash of cost 13 is refused after {slow:?}, and others after {others:?}"
    );
    let began = Instant::now();
    outcome(client.call_with(login("fast", PASSWORD), long_deadline()).await).unwrap();
    eprintln!("refused after {slow:?} and {others:?}, let in after {:?}", began.elapsed());
}
