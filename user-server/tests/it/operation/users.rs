//! Accounts: create, find, set-email, send-reset and sessions.

use std::path::Path;

use serde_json::Value;
use user_proto::{Register, ResetPassword};

use crate::smtp::{Action, SENDER, Sink};
use crate::support::{
    NEW_PASSWORD, PASSWORD, Process, RunOutput, login, outcome, run_in, run_with_input,
};

fn user(folder: &Path, arguments: &[&str]) -> RunOutput {
    run_in(folder, &[&["user"], arguments].concat(), &[])
}

/// Starts a server that sends its emails to this mail server.
fn start_with(sink: &Sink) -> Process {
    let port = sink.port.to_string();
    Process::start(&[
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", port.as_str()),
        ("SMTP_TLS", "none"),
        ("MAIL_FROM", SENDER),
    ])
}

#[tokio::test]
async fn an_operator_sees_why_a_code_has_not_arrived() {
    let sink = Sink::start(vec![("RCPT", Action::Reply("550 5.1.1 unknown"))]).await;
    let process = start_with(&sink);
    let (client, folder) = (process.client(), process.location());
    let gone = Register {
        username: "gone".into(),
        email: "gone@example.org".into(),
        password: PASSWORD.into(),
    };
    let registered = client.call(gone).await.unwrap();
    let began = std::time::Instant::now();
    let listed = loop {
        let listed = user(folder, &["emails", "Gone@example.org"]);
        if listed.output.contains("given up") {
            break listed;
        }
        assert!(began.elapsed() < crate::support::TEST_TIMEOUT, "{listed:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    let verification = registered.verification_id.to_string();
    let expected =
        format!("to gone@example.org (verification {verification}): 1 attempt, given up at ");
    assert!(listed.output.contains(&expected), "{listed:?}");
    assert_eq!(listed.error, "");
    let variant = user(folder, &["emails", "gone+x@example.org"]);
    assert!(variant.output == listed.output && variant.error.contains("+suffix"), "{variant:?}");
    let json = user(folder, &["emails", "gone@example.org", "--json"]);
    let json: Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!(
        (json["state"].as_str(), json["verification_id"].as_str()),
        (Some("given_up"), Some(verification.as_str()))
    );
    // The log has the reason, under the id of the email.
    let id = json["id"].as_str().unwrap();
    let log = process.log();
    let line = log.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("550 5.1.1"), "{line}");
    let found = user(folder, &["find", "gone"]);
    assert!(found.code == Some(1) && found.error.contains("user emails ADDRESS"), "{found:?}");
    let none = user(folder, &["emails", "other@example.org"]);
    assert!(none.code == Some(1) && none.error.contains("there is no email to"), "{none:?}");
    assert!(none.error.contains("no registration, password reset or change of email was"));
    let invalid = user(folder, &["emails", "gone"]);
    assert!(invalid.error.contains("expected an email address"), "{invalid:?}");
}

#[tokio::test]
async fn an_operator_sees_when_a_deferred_email_is_sent_again() {
    let sink = Sink::start(vec![("RCPT", Action::Reply("450 4.2.0 greylisted"))]).await;
    let process = start_with(&sink);
    let folder = process.location();
    let later = Register {
        username: "later".into(),
        email: "later@example.org".into(),
        password: PASSWORD.into(),
    };
    process.client().call(later).await.unwrap();
    let began = std::time::Instant::now();
    let listed = loop {
        let listed = user(folder, &["emails", "later@example.org"]);
        if listed.output.contains("next attempt at ") && !listed.output.contains("being sent") {
            break listed;
        }
        assert!(began.elapsed() < crate::support::TEST_TIMEOUT, "{listed:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert!(listed.output.contains(" attempt, next attempt at "), "{listed:?}");
    let json = user(folder, &["emails", "later@example.org", "--json"]);
    let json: Value = serde_json::from_str(&json.output).unwrap();
    assert!(["due", "sending"].contains(&json["state"].as_str().unwrap()), "{json}");
    let log = process.log();
    assert!(log.contains("450 4.2.0"), "{log}");
}

#[tokio::test]
async fn an_operator_creates_finds_and_changes_an_account_beside_the_server() {
    let process = Process::start(&[]);
    let (client, folder) = (process.client(), process.location());
    let create = |arguments: &[&str], input: &str| {
        run_with_input(folder, &[&["user", "create"], arguments].concat(), input.as_bytes())
    };
    let created = create(&["Ada", "ada@example.org", "--password-stdin"], &format!("{PASSWORD}\n"));
    assert!(created.code == Some(0) && created.output.starts_with("created Ada ("), "{created:?}");
    outcome(client.call(login("ada", PASSWORD)).await).unwrap();
    for (arguments, input, reason) in [
        (["ADA", "b@example.org"], PASSWORD, "another account has the username ADA"),
        (["bob", "Ada@example.org"], PASSWORD, "another account has the email address"),
        (["\u{430}dmin", "b@example.org"], PASSWORD, "username: mixes letters"),
        (["bob", "no address"], PASSWORD, "email: "),
        (["bob", "b@example.org"], "password", "too common"),
        (["bob", "b@example.org"], "short", "at least 8 characters"),
    ] {
        let refused = create(&[&arguments[..], &["--password-stdin"]].concat(), input);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.error.contains(reason), "{refused:?}");
        assert!(!refused.error.contains(PASSWORD), "{refused:?}");
    }
    // Without a password, only a reset opens the account.
    let bob = create(&["bob", "bob@example.org", "--json"], "");
    let bob: Value = serde_json::from_str(&bob.output).unwrap();
    let id = bob["id"].as_str().unwrap();
    let sent = user(folder, &["send-reset", id, "--json"]);
    let sent: Value = serde_json::from_str(&sent.output).unwrap();
    let code = process.emails().code("bob@example.org", 1).await;
    let reset = ResetPassword {
        verification_id: sent["verification_id"].as_str().unwrap().parse().unwrap(),
        code: code.as_str().into(),
        new_password: NEW_PASSWORD.into(),
    };
    client.call(reset).await.unwrap();
    outcome(client.call(login("bob", NEW_PASSWORD)).await).unwrap();

    let found = user(folder, &["find", "BO", "--json"]);
    let found: Value = serde_json::from_str(&found.output).unwrap();
    assert_eq!((&found["id"], &found["sessions"]), (&bob["id"], &1.into()));
    assert!(found["created_at"].as_str().unwrap().ends_with('Z'), "{found}");
    assert_eq!(user(folder, &["create", "carol", "carol@example.org"]).code, Some(0));
    let sessions = user(folder, &["sessions", "carol"]);
    assert_eq!((sessions.code, sessions.output.as_str()), (Some(0), ""));
    assert_eq!(sessions.error.trim_end(), "carol has no open session");
    let nobody = user(folder, &["find", "zz"]);
    assert_eq!((nobody.code, nobody.output.as_str()), (Some(1), ""));
    assert!(user(folder, &["find", "b"]).error.contains("at least two letters"));

    let set = user(folder, &["set-email", "bob", "robert@example.org"]);
    assert!(set.code == Some(0) && set.output.contains("is now robert@example.org"), "{set:?}");
    outcome(client.call(login("robert@example.org", NEW_PASSWORD)).await).unwrap();
    let taken = user(folder, &["set-email", "bob", "ada@example.org"]);
    assert!(taken.code == Some(1) && taken.error.contains("another account"), "{taken:?}");
    let sessions = user(folder, &["sessions", "bob", "--json"]);
    let lines: Vec<Value> =
        sessions.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{sessions:?}");
    assert!(lines.iter().all(|line| line["last_used_at"].as_str().unwrap().ends_with('Z')));
    let shown = user(folder, &["sessions", "bob"]);
    assert!(shown.code == Some(0) && shown.output.contains("created 20"), "{shown:?}");
    for kind in ["created", "email_set", "reset_requested"] {
        let rows = run_in(folder, &["audit", "list", "--kind", kind, "--json"], &[]);
        let row: Value = serde_json::from_str(rows.output.lines().last().unwrap()).unwrap();
        assert!(row["operator"].is_string(), "{row}");
    }
}
