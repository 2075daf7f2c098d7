//! The operators' commands beside a running server, on both databases.

use serde_json::Value;
use user_proto::ErrorCode;
use user_proto::client::Client;
use user_proto::{GetUser, RefreshToken};

use crate::support::{
    Account, PASSWORD, Process, RunOutput, TEST_TIMEOUT, check, code_of, login, on_behalf_of,
    outcome, postgres, run_in,
};

/// What a command is run with, beside a server of the same settings.
struct Desk {
    process: Process,
    settings: Vec<(&'static str, String)>,
}

impl Desk {
    fn open(settings: Vec<(&'static str, String)>) -> Self {
        let process = Process::start(&borrowed(&settings));
        Self { process, settings }
    }

    fn user(&self, arguments: &[&str]) -> RunOutput {
        run_in(self.process.location(), &[&["user"], arguments].concat(), &borrowed(&self.settings))
    }

    /// What a command prints that has to go well.
    fn done(&self, arguments: &[&str]) -> String {
        let said = self.user(arguments);
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        said.output
    }
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Waits until a token is refused so: the server reads what others end four times a second.
async fn until(client: &Client, token: &str, code: ErrorCode) {
    let began = std::time::Instant::now();
    while check(client, token).await != Some(code) {
        assert!(began.elapsed() < TEST_TIMEOUT, "{code:?} never came");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn day_at_the_desk(desk: &Desk) {
    let client = desk.process.client();
    let ada: Account = desk.process.account(&client, "ada").await;
    let id = ada.session.user_id.to_string();
    let shown = desk.done(&["show", "ADA@example.org"]);
    assert!(
        shown.contains(&id) && shown.contains("sessions  1") && shown.contains("disabled  no"),
        "{shown}"
    );
    assert!(
        !shown.contains("$c") && shown.contains("$argon2id$v=19$m=19456,t=2,p=1"),
        "the class and no hash: {shown}"
    );
    let line: Value = serde_json::from_str(&desk.done(&["list", "--json"])).unwrap();
    assert_eq!((line["username"].as_str(), line["id"].as_str()), (Some("ada"), Some(id.as_str())));
    assert_eq!(desk.done(&["list", "--after", "ada"]), "");

    assert!(desk.done(&["end-sessions", &id]).contains("1 session ended"));
    until(&client, &ada.access(), ErrorCode::SESSION_REVOKED).await;
    let refresh =
        RefreshToken { refresh_token: ada.session.refresh_token.expose_str().unwrap().into() };
    assert_eq!(code_of(&client, refresh).await, ErrorCode::SESSION_REVOKED);

    let session = outcome(client.call(login("ada", PASSWORD)).await).unwrap();
    let access = session.access_token.expose_str().unwrap();
    assert!(desk.done(&["disable", "Ada"]).contains("1 session ended"));
    until(&client, access, ErrorCode::SESSION_REVOKED).await;
    let refresh =
        RefreshToken { refresh_token: session.refresh_token.expose_str().unwrap().into() };
    assert_eq!(code_of(&client, refresh).await, ErrorCode::SESSION_REVOKED);
    assert_eq!(
        code_of(&client, login("ada", "tides rise at ten")).await,
        ErrorCode::INVALID_CREDENTIALS
    );
    assert_eq!(code_of(&client, login("ada", PASSWORD)).await, ErrorCode::ACCOUNT_DISABLED);
    assert!(desk.done(&["show", "ada"]).contains("disabled  since "));
    desk.done(&["enable", "ada"]);
    let session = outcome(client.call(login("ada", PASSWORD)).await).unwrap();
    let access = session.access_token.expose_str().unwrap().to_owned();
    assert_eq!(check(&client, &access).await, None);

    for _ in 0..5 {
        let wrong = client
            .call_with(login("ada@example.org", "tides rise at ten"), on_behalf_of("192.0.2.7"))
            .await;
        assert_eq!(outcome(wrong).map(drop), Err(ErrorCode::INVALID_CREDENTIALS));
    }
    let waits =
        client.call_with(login("ada@example.org", PASSWORD), on_behalf_of("192.0.2.7")).await;
    assert_eq!(outcome(waits).map(drop), Err(ErrorCode::RATE_LIMITED));
    desk.done(&["unlock", "ada"]);
    let again =
        client.call_with(login("ada@example.org", PASSWORD), on_behalf_of("192.0.2.7")).await;
    outcome(again).unwrap();

    let unasked = desk.user(&["delete", "ada"]);
    assert!(unasked.code == Some(1) && unasked.error.contains("--yes"), "{unasked:?}");
    outcome(client.call(GetUser { access_token: access.as_str().into() }).await).unwrap();
    assert!(desk.done(&["delete", "ada", "--yes", "--json"]).contains(&id));
    until(&client, &access, ErrorCode::SESSION_REVOKED).await;
    assert_eq!(code_of(&client, login("ada", PASSWORD)).await, ErrorCode::INVALID_CREDENTIALS);
    let mails = desk.process.emails().wait_for("ada@example.org", 2).await;
    assert!(mails.iter().any(|mail| mail.subject.contains("deleted")), "{mails:?}");
    for gone in ["ada", "nobody@example.org", id.as_str()] {
        let said = desk.user(&["show", gone]);
        assert!(said.code == Some(1) && said.error.contains("no account"), "{said:?}");
    }
    assert_eq!(desk.user(&["show", "not a name"]).code, Some(1));
}

#[tokio::test]
async fn accounts_are_kept_beside_the_embedded_server() {
    day_at_the_desk(&Desk::open(Vec::new())).await;
}

#[tokio::test]
async fn accounts_are_kept_beside_a_server_on_postgres() {
    let Some(server) = postgres() else { return };
    let secret = "a secret of at least thirty-two bytes".to_owned();
    let mails = "user-data/mails".to_owned();
    let settings =
        vec![("PostgreSQL", server.database()), ("JWTSECRETKEY", secret), ("MAIL_DIR", mails)];
    day_at_the_desk(&Desk::open(settings)).await;
}

#[tokio::test]
async fn a_command_leaves_the_mails_to_the_server() {
    let process = Process::start(&[]);
    let client = process.client();
    process.account(&client, "ada").await;
    let before = process.emails().all().len();
    for _ in 0..3 {
        assert_eq!(run_in(process.location(), &["user", "list"], &[]).code, Some(0));
    }
    outcome(client.call(login("ada", PASSWORD)).await).unwrap();
    assert_eq!(process.emails().all().len(), before);
    // With no server there, the same command opens the folder itself.
    let folder = process.kill().await;
    assert!(run_in(folder.path(), &["user", "list"], &[]).output.contains("ada@example.org"));
}
