//! What commands print: no text of others controls the terminal, and errors name what is wrong.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::Value;
use user_proto::{DeleteUser, ErrorCode, Register, Secret};

use crate::support::{PASSWORD, Process, postgres, refused, run_in};

const ESCAPE: &str = "\u{1b}[31m";

#[tokio::test]
async fn the_name_of_an_operator_is_a_line_of_text() {
    let process = Process::start(&[]);
    process.account(&process.client(), "ada").await;
    for name in ["", "  ", "a\nforged  row", &format!("{ESCAPE}red"), &"x".repeat(5000)] {
        let command = ["user", "unlock", "ada", "--operator", name];
        let run = run_in(process.location(), &command, &[]);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(!run.error.contains('\u{1b}'), "{run:?}");
    }
    // The name from the environment is not checked before, so it is replaced.
    let user = format!("{ESCAPE}eve\nforged");
    let run = run_in(process.location(), &["user", "unlock", "ada"], &[("USER", &user)]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let list = run_in(process.location(), &["audit", "list", "--kind", "unlocked"], &[]);
    assert_eq!(list.output.lines().count(), 1, "{list:?}");
    assert!(list.output.contains("operator \u{fffd}[31meve\u{fffd}forged"), "{list:?}");
}

#[test]
fn an_error_does_not_control_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run_in(folder.path(), &["migrate"], &[]).code, Some(0));
    for (command, settings) in [
        (&["user", "show", ESCAPE][..], &[][..]),
        (&["frob\u{1b}[31m"], &[]),
        (&["user", "list", "--limit", ESCAPE], &[]),
        (&["check"], &[("LOG", ESCAPE)]),
        (&["check"], &[("LISTEN_ADDR", ESCAPE)]),
        (&["--env-file", ESCAPE, "check"], &[]),
    ] {
        let run = run_in(folder.path(), command, settings);
        assert_ne!(run.code, Some(0), "{command:?}: {run:?}");
        assert!(!run.error.contains('\u{1b}'), "{command:?}: {run:?}");
    }
}

#[tokio::test]
async fn a_closed_pipe_is_no_error_and_a_full_output_is_named() {
    let process = Process::start(&[]);
    process.account(&process.client(), "ada").await;
    let run = |output: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_user-server"));
        command.current_dir(process.location()).env_clear().args(["audit", "list"]);
        command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut closed = run(Stdio::piped());
    drop(closed.stdout.take());
    let closed = closed.wait_with_output().unwrap();
    assert_eq!((closed.status.code(), closed.stderr.as_slice()), (Some(0), &b""[..]));
    let full = run(File::options().write(true).open("/dev/full").unwrap().into());
    let full = full.wait_with_output().unwrap();
    let error = String::from_utf8(full.stderr).unwrap();
    assert_eq!(full.status.code(), Some(1), "{error}");
    assert!(error.contains("cannot write standard output: No space left"), "{error}");
}

#[test]
fn a_file_that_cannot_be_used_is_explained_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("names.csv"), "name,email\n").unwrap();
    std::fs::write(
        folder.path().join("numbers.csv"),
        "id,username,email,password_hash,verified\n17,ada,ada@example.org,x,true\n",
    )
    .unwrap();
    for (command, code, error, hint) in [
        (["import", "/nope.csv"], 2, "cannot read /nope.csv", "Check the path"),
        (["import", "names.csv"], 2, "expected exactly one column `id`", "An id is a UUID"),
        (["import", "numbers.csv"], 1, "id: not a UUID", "An id is a UUID"),
        (["restore", "/nope"], 1, "/nope: No such file", "Check the path"),
        (["restore", "names.csv"], 1, "is not a usable backup", "`user-server backup` wrote"),
    ] {
        let run = run_in(folder.path(), &command, &[]);
        assert_eq!(run.code, Some(code), "{run:?}");
        assert!(run.error.contains(error), "{run:?}");
        let hints = run.error.split_once("hint: ").unwrap_or_else(|| panic!("{run:?}")).1;
        assert!(hints.contains(hint), "{run:?}");
    }
}

#[test]
fn a_port_that_is_in_use_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let port = address.port().to_string();
    let address = address.to_string();
    for (variable, settings) in [
        ("TCP_PORT", &[("TCP_PORT", port.as_str())][..]),
        ("METRICS_ADDR", &[("TCP_PORT", "0"), ("METRICS_ADDR", &address)]),
    ] {
        let run = run_in(folder.path(), &[], settings);
        assert!(run.error.contains("Another process listens there"), "{run:?}");
        assert!(run.error.contains(&format!("another port with {variable}")), "{run:?}");
    }
}

#[test]
fn a_folder_that_may_not_be_read_is_not_missing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run_in(folder.path(), &["migrate"], &[]).code, Some(0));
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let data = folder.path().join("user-data");
    let mut command = Command::new(env!("CARGO_BIN_EXE_user-server"));
    command.args(["backup", "/tmp/never-written"]).env_clear().env("DATA_DIR", &data);
    std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    let Ok(run) = command.output() else {
        return crate::support::left_out("a folder of another user (it needs root)");
    };
    let error = String::from_utf8(run.stderr).unwrap();
    if error.is_empty() {
        return crate::support::left_out("a folder of another user (the program is in one)");
    }
    assert!(error.contains("Permission denied") && !error.contains("does not exist"), "{error}");
}

#[tokio::test]
async fn empty_names_and_wrong_current_passwords_are_explained() {
    let process = Process::start(&[]);
    let client = process.client();
    let ada = process.account(&client, "ada").await;
    let message = async |username: &str, password: &str| {
        let request = Register {
            username: username.to_owned().into(),
            email: "b@example.org".into(),
            password: Secret::from(password.to_owned()),
        };
        refused(client.call(request).await).message.into_owned()
    };
    assert_eq!(message("", PASSWORD).await, "must be at least 3 characters");
    assert_eq!(message("bob", "").await, "must be at least 8 characters");
    let access = ada.access();
    let delete = DeleteUser {
        access_token: access.as_str().into(),
        current_password: "not the password".into(),
    };
    let wrong = refused(client.call(delete).await);
    assert_eq!(wrong.code, ErrorCode::INVALID_CREDENTIALS);
    assert_eq!(wrong.message, "the current password is wrong");
}

#[tokio::test]
async fn repeated_changes_say_that_nothing_changed() {
    let process = Process::start(&[]);
    process.account(&process.client(), "ada").await;
    let user = |arguments: &[&str]| {
        let run = run_in(process.location(), &[&["user"], arguments].concat(), &[]);
        assert_eq!(run.code, Some(0), "{run:?}");
        run.output
    };
    let rows = |kind: &str| {
        let list = run_in(process.location(), &["audit", "list", "--kind", kind], &[]);
        list.output.lines().count()
    };
    assert!(user(&["enable", "ada"]).contains("already enabled: ada"));
    assert!(user(&["set-email", "ada", "ada@example.org"]).contains("is already"));
    assert!(user(&["disable", "ada"]).starts_with("disabled ada"));
    assert!(user(&["disable", "ada"]).contains("already disabled: ada"));
    assert_eq!((rows("enabled"), rows("email_set"), rows("disabled")), (0, 0, 1));
    // The account is also found by its login, and a registration has its verification.
    let list = run_in(process.location(), &["audit", "list", "--user", "ada"], &[]);
    assert!(list.code == Some(0) && list.output.contains("disabled"), "{list:?}");
    let registered = run_in(process.location(), &["audit", "list", "--kind", "registered"], &[]);
    assert!(registered.output.contains("verification "), "{registered:?}");
    let wrong = format!("{}@1", "0".repeat(64));
    let began = std::time::Instant::now();
    let expect = loop {
        let run = run_in(process.location(), &["audit", "verify", "--expect", &wrong], &[]);
        if !run.error.contains("nothing to verify") && !run.error.contains("after it") {
            break run;
        }
        assert!(began.elapsed() < crate::support::TEST_TIMEOUT, "{run:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert!(expect.error.contains("row 1 is not the one given with --expect"), "{expect:?}");
    let nobody = run_in(process.location(), &["user", "find", "zz"], &[]);
    assert!(nobody.code == Some(1) && nobody.error.contains("begins with \"zz\""), "{nobody:?}");
}

#[tokio::test]
async fn status_names_the_reason_of_what_is_degraded() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let settings = [
        ("PostgreSQL", url.as_str()),
        ("JWTSECRETKEY", crate::support::SECRET),
        ("MAIL_DIR", "mails"),
        ("METRICS_ADDR", "127.0.0.1:0"),
        ("REDIS_URL", "redis://127.0.0.1:1"),
    ];
    let process = Process::start(&settings);
    let monitor = process.monitor().to_string();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let status = run_in(process.location(), &["status", "--addr", &monitor], &[]);
    assert!(status.output.contains("cache (Redis does not answer; see the log)"), "{status:?}");
    let json = run_in(process.location(), &["status", "--json", "--addr", &monitor], &[]);
    let json: Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!(json["degraded"], serde_json::json!(["cache"]));
}

#[tokio::test]
async fn sessions_of_a_database_in_use_do_not_end_by_mistake() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let settings = [
        ("PostgreSQL", url.as_str()),
        ("JWTSECRETKEY", crate::support::SECRET),
        ("MAIL_DIR", "mails"),
    ];
    let process = Process::start(&settings);
    let restore = |more: &[&str]| {
        let command = [&["restore", "--after-pg-restore"], more].concat();
        run_in(process.location(), &command, &settings)
    };
    let refused = restore(&[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    for part in ["a node is running", name, "--force"] {
        assert!(refused.error.contains(part), "{part}: {refused:?}");
    }
    let forced = restore(&["--force"]);
    assert!(forced.code == Some(0) && forced.output.contains("ended 0 sessions"), "{forced:?}");
}

#[tokio::test]
async fn two_signals_at_once_are_one() {
    let mut process = Process::start(&[("DRAIN_DELAY", "1")]);
    process.signal("TERM");
    process.signal("TERM");
    assert_eq!(process.wait().await, Some(0));
    assert!(!process.log().contains("second signal"), "{}", process.log());
    let mut process = Process::start(&[("DRAIN_DELAY", "60")]);
    process.signal("TERM");
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    process.signal("TERM");
    assert_eq!(process.wait().await, Some(0));
    assert!(process.log().contains("second signal"), "{}", process.log());
}

#[test]
fn keys_new_needs_no_settings() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("JWTSECRETKEY_FILE", "not-yet"), ("TCP_PORT", "not a number")];
    let new = run_in(folder.path(), &["keys", "new"], &settings);
    assert!(new.code == Some(0) && new.error.contains("umask 077"), "{new:?}");
}
