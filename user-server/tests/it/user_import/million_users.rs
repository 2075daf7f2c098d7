//! Import of a million users: its speed, and the latency of logins and token checks compared with a
//! thousand users.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use user_proto::VerifyToken;

use crate::support::{Process, login, outcome};

use super::{PASSWORD, import, on_postgres};

const FEW: usize = 1000;
const MANY: usize = 1_000_000;
const LOGINS: usize = 101;
const CHECKS: usize = 5001;

/// Duration of an import, and median durations of a login and of a token check.
struct Figures {
    import: Duration,
    login: Duration,
    check: Duration,
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Imports `users` users with one default hash, and logs in as some of them, spread over the whole
/// table.
async fn measure(users: usize, settings: &[(&str, &str)]) -> Figures {
    let folder = tempfile::tempdir().unwrap();
    let source = Process::start(&[]);
    source.account(&source.client(), "source").await;
    let exported =
        crate::support::run_in(source.location(), &["export", "--format", "jsonl"], &[]).output;
    let hash: serde_json::Value = serde_json::from_str(exported.lines().next().unwrap()).unwrap();
    let hash = hash["password_hash"].as_str().unwrap();
    let mut text = String::from("id,username,email,password_hash,created_at,verified\n");
    for number in 0..users {
        let id = uuid::Uuid::new_v4();
        writeln!(text, "{id},user{number},user{number}@example.org,\"{hash}\",1700000000,true")
            .unwrap();
    }
    std::fs::write(folder.path().join("users.csv"), text).unwrap();
    let began = Instant::now();
    let result = import(folder.path(), &["users.csv"], settings);
    let took = began.elapsed();
    assert_eq!(
        result.output,
        format!("{users} imported, 0 already present, 0 rejected\n"),
        "{result:?}"
    );

    let process = Process::start_in(folder, settings);
    let client = process.client();
    let (mut logins, mut checks, mut token) = (Vec::new(), Vec::new(), String::new());
    for number in 0..LOGINS {
        let name = format!("user{}", number * (users / LOGINS));
        let began = Instant::now();
        let session = outcome(client.call(login(&name, PASSWORD)).await).unwrap();
        logins.push(began.elapsed());
        token = session.access_token.expose_str().unwrap().to_owned();
    }
    for _ in 0..CHECKS {
        let began = Instant::now();
        outcome(client.call(VerifyToken { access_token: token.as_str().into() }).await).unwrap();
        checks.push(began.elapsed());
    }
    Figures { import: took, login: median(logins), check: median(checks) }
}

/// Returns the rows of the table for one database; none if the database is not installed.
async fn compare(
    database: &str,
    settings: impl Fn() -> Option<Vec<(&'static str, String)>>,
) -> Vec<String> {
    let mut rows = Vec::new();
    for users in [FEW, MANY] {
        let Some(settings) = settings() else { break };
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let Figures { import, login, check } = measure(users, &settings).await;
        let rate = users as f64 / import.as_secs_f64();
        rows.push(format!(
            "| {database} | {users} | {import:.1?} | {rate:.0} | {login:.1?} | {check:.1?} |"
        ));
    }
    rows
}

#[tokio::test]
#[ignore = "a million users take minutes; docs/OPERATIONS.md has the command"]
async fn long_a_million_users() {
    eprintln!(
        "| database | users | import | users a second | login p50 | token check p50 |\n|---|---|---|---|---|---|"
    );
    for row in compare("SQLite", || Some(Vec::new()))
        .await
        .into_iter()
        .chain(compare("PostgreSQL", on_postgres).await)
    {
        eprintln!("{row}");
    }
}
