//! A secret that was lost or replaced: it is reported, and never replaced in silence.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{PASSWORD, Process, SECRET, TEST_TIMEOUT, login, outcome, postgres, run_in};

const OTHER: &str = "another secret of the nodes of more than thirty-two bytes";

fn finding(output: &str, component: &str) -> String {
    let line = output.lines().find(|line| line.split_whitespace().nth(1) == Some(component));
    line.unwrap_or_else(|| panic!("no {component} in: {output}")).to_owned()
}

/// Waits until the audit log names the key: it is sealed within seconds.
async fn wait_until_sealed(folder: &Path, settings: &[(&str, &str)]) {
    let began = Instant::now();
    while run_in(folder, &["audit", "verify"], settings).code != Some(0) {
        assert!(began.elapsed() < TEST_TIMEOUT, "the audit log is never sealed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_database_that_lost_its_secret_is_refused_and_gets_no_new_one() {
    let process = Process::start(&[]);
    process.account(&process.client(), "ada").await;
    wait_until_sealed(process.location(), &[]).await;
    let secret = process.data().join("jwt-secret");
    let kept = std::fs::read(&secret).unwrap();
    let folder = process.kill().await;
    let listed = run_in(folder.path(), &["keys", "list"], &[]);
    let kid = listed.output.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    std::fs::remove_file(&secret).unwrap();
    let commands: [&[&str]; 5] = [
        &[],
        &["keys", "list"],
        &["audit", "verify"],
        &["user", "unlock", "ada"],
        &["user", "send-reset", "ada"],
    ];
    for command in commands {
        let run = run_in(folder.path(), command, &[("TCP_PORT", "0")]);
        assert_eq!(run.code, Some(1), "{command:?}: {run:?}");
        for part in [&format!("was used with the key {kid}"), "jwt-secret", "hint: Restore"] {
            assert!(run.error.contains(part), "{command:?}: {run:?}");
        }
        assert!(!secret.exists(), "{command:?} created a secret");
    }
    let check = run_in(folder.path(), &["check"], &[("TCP_PORT", "0")]);
    assert_eq!(check.code, Some(1), "{check:?}");
    let keys = finding(&check.output, "keys");
    assert!(keys.starts_with("WRONG") && keys.contains(&kid), "{check:?}");
    let backup = run_in(folder.path(), &["backup", "copy"], &[]);
    assert!(backup.output.contains("but no secret"), "{backup:?}");
    assert!(!secret.exists(), "neither created one");

    // The secret that was lost can also be accepted, or a new one be created on purpose.
    let old = String::from_utf8(kept).unwrap();
    Process::start_in(folder, &[("JWTSECRETKEY_ACCEPT", old.trim())]);
}

#[tokio::test]
async fn a_new_secret_for_a_lost_one_is_created_only_on_purpose() {
    let process = Process::start(&[]);
    process.account(&process.client(), "ada").await;
    wait_until_sealed(process.location(), &[]).await;
    let secret = process.data().join("jwt-secret");
    let folder = process.kill().await;
    let new = run_in(folder.path(), &["keys", "new"], &[]).output;
    std::fs::write(&secret, new).unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let check = run_in(folder.path(), &["check"], &[("TCP_PORT", "0")]);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(finding(&check.output, "keys").starts_with("WARN"), "{check:?}");
    let process = Process::start_in(folder, &[]);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(process.log().contains("the database was last used with the key"), "{}", process.log());
    outcome(process.client().call(login("ada", PASSWORD)).await).unwrap();
}

#[tokio::test]
async fn another_secret_on_postgres_is_reported() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let with = |secret| [("PostgreSQL", url.as_str()), ("JWTSECRETKEY", secret), ("MAIL_DIR", "m")];
    let process = Process::start(&with(SECRET));
    let client = process.client();
    let register = crate::support::register("ada", "ada@example.org");
    let registered = client.call(register).await.unwrap();
    let emails = crate::support::EmailFolder(process.location().join("m"));
    let code = emails.code("ada@example.org", 1).await;
    client.call(crate::support::verify_email(registered.verification_id, &code)).await.unwrap();
    wait_until_sealed(process.location(), &with(SECRET)).await;
    let folder = process.kill().await;
    let check = run_in(folder.path(), &["check"], &with(SECRET));
    assert!(finding(&check.output, "keys").starts_with("good"), "{check:?}");
    let check = run_in(folder.path(), &["check"], &with(OTHER));
    assert_eq!(check.code, Some(0), "{check:?}");
    let keys = finding(&check.output, "keys");
    assert!(keys.starts_with("WARN") && keys.contains("JWTSECRETKEY_ACCEPT"), "{check:?}");
    let process = Process::start_in(folder, &with(OTHER));
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    for part in ["the database was last used with the key", "JWTSECRETKEY_ACCEPT", "A lost secret"]
    {
        assert!(process.log().contains(part), "{part}: {}", process.log());
    }
}

#[tokio::test]
async fn a_check_fails_if_every_key_is_retired() {
    let settings = [("JWTSECRETKEY", SECRET), ("TCP_PORT", "0")];
    let process = Process::start(&settings);
    process.account(&process.client(), "ada").await;
    let folder = process.kill().await;
    let listed = run_in(folder.path(), &["keys", "list"], &settings);
    let kid = listed.output.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let retired = run_in(folder.path(), &["keys", "retire", &kid, "--force"], &settings);
    assert_eq!(retired.code, Some(0), "{retired:?}");
    let check = run_in(folder.path(), &["check"], &settings);
    assert_eq!(check.code, Some(1), "{check:?}");
    let keys = finding(&check.output, "keys");
    assert!(keys.starts_with("WRONG") && keys.contains("every key is retired"), "{check:?}");
    let accept = [settings[0], settings[1], ("JWTSECRETKEY_ACCEPT", OTHER)];
    let check = run_in(folder.path(), &["check"], &accept);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(finding(&check.output, "keys").starts_with("WARN"), "{check:?}");
}

#[test]
fn a_secret_in_the_data_folder_that_is_too_short_fails_the_check() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run_in(folder.path(), &["migrate"], &[]).code, Some(0));
    let secret = folder.path().join("user-data/jwt-secret");
    std::fs::write(&secret, "short").unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let check = run_in(folder.path(), &["check"], &[("TCP_PORT", "0")]);
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(finding(&check.output, "keys").contains("is shorter than 32 bytes"), "{check:?}");
}
