//! Answered changes survive a kill, a full disk and a missing folder; and no secret is logged.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use user_proto::client::Client;
use user_proto::{
    ErrorCode, GetUser, Login, RefreshToken, Register, UpdateUser, VerifyEmail, VerifyToken,
};

use crate::support::{PASSWORD, Process, TestServer, Wire, code_of, raw_frame, refused};

fn register<'a>(username: &'a str, email: &'a str) -> Register<'a> {
    Register { username: username.into(), email: email.into(), password: PASSWORD.into() }
}

#[tokio::test]
async fn a_restart_after_a_kill_finds_everything() {
    let process = Process::start(&[]);
    let client = process.client();
    let account = process.account(&client, "ada").await;
    let pending = client.call(register("bob", "bob@example.org")).await.unwrap();
    let folder = process.kill().await;

    let process = Process::start_in(folder, &[]);
    let client = process.client();
    let verified =
        client.call(VerifyToken { access_token: account.access().as_str().into() }).await.unwrap();
    assert_eq!(verified.user_id, account.session.user_id);
    client.call(RefreshToken { refresh_token: account.refresh().as_str().into() }).await.unwrap();
    client.call(Login::new("ada".into(), PASSWORD.into())).await.unwrap();
    let code = process.emails().code("bob@example.org", 1).await;
    let verify = VerifyEmail::new(pending.verification_id, code.as_str().into());
    assert_eq!(client.call(verify).await.unwrap().access_expires_in, 900);
}

/// Limits the size of the files that the process writes. Returns false if `prlimit` is not
/// installed.
pub fn limit_file_size(process: &Process, limit: &str) -> bool {
    let limit = format!("--fsize={limit}:unlimited");
    let set = Command::new("prlimit").args(["--pid", &process.id().to_string(), &limit]).status();
    set.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn a_full_disk_fails_requests_and_loses_nothing() {
    // Beyond the limit a write fails as on a full disk, provided that the signal SIGXFSZ is
    // ignored.
    let process = Process::start_under("trap '' XFSZ;", tempfile::tempdir().unwrap(), &[]);
    let client = process.client();
    let account = process.account(&client, "ada").await;
    if !limit_file_size(&process, "1") {
        let _ = writeln!(std::io::stderr(), "left out: a full disk (needs prlimit of util-linux)");
        return;
    }
    let login = Login::new("ada".into(), PASSWORD.into());
    for _ in 0..3 {
        assert_eq!(
            code_of(&client, register("bob", "bob@example.org")).await,
            ErrorCode::UNAVAILABLE
        );
        assert_eq!(code_of(&client, login.clone()).await, ErrorCode::UNAVAILABLE);
        let access_token = account.access();
        client.call(VerifyToken { access_token: access_token.as_str().into() }).await.unwrap();
        client.call(GetUser { access_token: access_token.as_str().into() }).await.unwrap();
    }
    assert!(limit_file_size(&process, "unlimited"));
    client.call(login).await.unwrap();
    client.call(register("bob", "bob@example.org")).await.unwrap();
    process.emails().wait_for("bob@example.org", 1).await;
}

#[tokio::test]
async fn emails_wait_for_their_folder() {
    let server = TestServer::start().await;
    let client = server.client();
    let folder = server.emails.0.clone();
    std::fs::remove_dir_all(&folder).unwrap();
    let first = client.call(register("ada", "ada@example.org")).await.unwrap();
    std::fs::write(&folder, "no folder").unwrap();
    client.call(register("bob", "bob@example.org")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    server.clock.advance(Duration::from_secs(60));
    server.emails.wait_for("bob@example.org", 1).await;
    let code = server.emails.code("ada@example.org", 1).await;
    let verification_id = first.verification_id;
    client.call(VerifyEmail::new(verification_id, code.as_str().into())).await.unwrap();
}

/// Sends passwords, codes, tokens and garbage, as a user and an attacker would. Returns every text
/// that must not be logged.
async fn send_secrets(process: &Process, client: &Client) -> Vec<String> {
    let account = process.account(client, "margaret").await;
    let code = process.emails().code(&account.email, 1).await;
    let wrong = "a password that is wrong 5309";
    let login = Login::new(account.email.as_str().into(), wrong.into());
    assert_eq!(refused(client.call(login).await).code, ErrorCode::INVALID_CREDENTIALS);
    let presented = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtYXJnYXJldCJ9.";
    let verify = VerifyToken { access_token: presented.into() };
    assert_eq!(code_of(client, verify).await, ErrorCode::INVALID_TOKEN);
    let (access, refresh) = (account.access(), account.refresh());
    let refreshed =
        client.call(RefreshToken { refresh_token: refresh.as_str().into() }).await.unwrap();
    let moved = UpdateUser {
        access_token: access.as_str().into(),
        username: None,
        email: Some("hamilton@example.net".into()),
        new_password: None,
        current_password: Some(PASSWORD.into()),
    };
    client.call(moved).await.unwrap();
    let second_code = process.emails().code("hamilton@example.net", 1).await;
    let mut wire = Wire::connect(process.address).await;
    let garbage = "a field that is a secret";
    wire.send(&raw_frame(0x02, 1, garbage.as_bytes())).await;
    wire.refusal(1).await;
    wire.send(format!("GET /?password={garbage} HTTP/1.1\r\n\r\n").as_bytes()).await;
    wire.expect_close_with(ErrorCode::FRAME_TOO_LONG).await;
    let stored_key = std::fs::read_to_string(process.data().join("jwt-secret")).unwrap();
    let text = |secret: &user_proto::Secret<'_>| secret.expose_str().unwrap().to_owned();
    let issued = [
        text(&refreshed.access_token),
        text(&refreshed.refresh_token),
        access,
        refresh,
        code,
        second_code,
        stored_key,
    ];
    let sent = [PASSWORD, wrong, presented, garbage, "margaret@", "hamilton@", "$argon2id$"]
        .map(str::to_owned);
    issued.into_iter().chain(sent).collect()
}

#[tokio::test]
async fn logs_are_json_and_contain_no_secret() {
    let process = Process::start(&[("LOG", "trace")]);
    let client = process.client();
    let secrets = send_secrets(&process, &client).await;
    client.close().await;
    let log = process.log();
    for secret in &secrets {
        let seen = log.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(seen, None, "{secret} is in the log");
    }
    assert!(
        !secrets.iter().any(|secret| process.output().contains(secret.as_str())),
        "{}",
        process.output()
    );
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let count = |name: &str| {
        let of_name = |line: &&Value| line["span"]["request"] == name;
        lines.iter().filter(of_name).filter(|line| line.get("outcome").is_some()).count()
    };
    assert_eq!(
        (
            count("Register"),
            count("Login"),
            count("VerifyEmail"),
            count("RefreshToken"),
            count("UpdateUser")
        ),
        (1, 1, 1, 1, 1)
    );
    for line in lines
        .iter()
        .filter(|line| line.get("outcome").is_some() && line["span"]["request"].is_string())
    {
        assert!(
            line["span"]["id"].is_u64()
                && line["duration_ms"].is_u64()
                && line["outcome"].is_string(),
            "{line}"
        );
    }
    assert!(lines.iter().any(|line| line["outcome"] == "INVALID_CREDENTIALS"));
}
