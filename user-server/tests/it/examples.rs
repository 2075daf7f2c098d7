//! The examples of `user-proto` against a server.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{PASSWORD, Process, left_out};

/// Returns the program of an example, which `cargo test --workspace` builds.
fn example(name: &str) -> Option<PathBuf> {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
    if !path.exists() {
        left_out("the examples of user-proto (cargo build -p user-proto --examples builds them)");
        return None;
    }
    Some(path)
}

/// Runs an example, and returns its output.
async fn run(name: &str, arguments: Vec<String>) -> Option<String> {
    let path = example(name)?;
    let output =
        tokio::task::spawn_blocking(move || Command::new(path).args(arguments).output().unwrap())
            .await
            .unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_of_the_client_run() {
    let server = Process::start(&[("TOKEN_SIGNING", "EdDSA")]);
    let ada = server.account(&server.client(), "ada").await;
    let address = server.address.to_string();
    let arguments = |last: &[&str]| {
        [&[address.as_str()], last].concat().iter().map(|s| s.to_string()).collect()
    };
    let Some(session) = run("session", arguments(&["ada", PASSWORD])).await else { return };
    let user = ada.session.user_id;
    assert!(session.starts_with(&format!("logged in as {user}\nthe token is valid until")));
    assert!(session.ends_with("after the logout, it is refused\n"), "{session}");
    let refused = run("session", arguments(&["ada", "tides rise at ten"])).await;
    assert_eq!(refused.as_deref(), Some("wrong name or password\n"));

    let valid = run("verify", arguments(&[&ada.access()])).await;
    assert_eq!(valid, Some(format!("valid, checked in memory: user {user}\n")));
    let invalid = run("verify", arguments(&["garbage"])).await;
    assert!(invalid.is_some_and(|text| text.starts_with("answer 401: ")));
    server.kill().await;
}
