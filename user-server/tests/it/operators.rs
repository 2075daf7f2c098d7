//! Operator commands beside a running server, on both databases.

use serde_json::Value;
use user_proto::ErrorCode;
use user_proto::client::Client;
use user_proto::{GetUser, RefreshToken};

use crate::support::{
    Account, PASSWORD, Process, RunOutput, TEST_TIMEOUT, check, code_of, login, on_behalf_of,
    outcome, postgres, run_in,
};

/// A server, and the settings that it shares with commands.
struct Console {
    process: Process,
    settings: Vec<(&'static str, String)>,
}

impl Console {
    fn open(settings: Vec<(&'static str, String)>) -> Self {
        let process = Process::start(&borrowed(&settings));
        Self { process, settings }
    }

    fn try_user(&self, arguments: &[&str]) -> RunOutput {
        run_in(self.process.location(), &[&["user"], arguments].concat(), &borrowed(&self.settings))
    }

    /// Runs a `user` command that must succeed. Returns its output.
    fn run_user(&self, arguments: &[&str]) -> String {
        let result = self.try_user(arguments);
        assert_eq!(result.code, Some(0), "{arguments:?}: {result:?}");
        result.output
    }
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Waits until a token is rejected with `code`: the server reads the revocation log four times a
/// second.
async fn wait_until_rejected(client: &Client, token: &str, code: ErrorCode) {
    let began = std::time::Instant::now();
    while check(client, token).await != Some(code) {
        assert!(began.elapsed() < TEST_TIMEOUT, "the token was not rejected with {code:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn manage_accounts(console: &Console) {
    let client = console.process.client();
    let ada: Account = console.process.account(&client, "ada").await;
    let id = ada.session.user_id.to_string();
    let shown = console.run_user(&["show", "ADA@example.org"]);
    assert!(
        shown.contains(&id) && shown.contains("sessions  1") && shown.contains("disabled  no"),
        "{shown}"
    );
    assert!(
        !shown.contains("$c") && shown.contains("$argon2id$v=19$m=19456,t=2,p=1"),
        "the cost without the hash: {shown}"
    );
    let line: Value = serde_json::from_str(&console.run_user(&["list", "--json"])).unwrap();
    assert_eq!((line["username"].as_str(), line["id"].as_str()), (Some("ada"), Some(id.as_str())));
    assert_eq!(console.run_user(&["list", "--after", "ada"]), "");

    assert!(console.run_user(&["end-sessions", &id]).contains("1 session ended"));
    wait_until_rejected(&client, &ada.access(), ErrorCode::SESSION_REVOKED).await;
    let refresh =
        RefreshToken { refresh_token: ada.session.refresh_token.expose_str().unwrap().into() };
    assert_eq!(code_of(&client, refresh).await, ErrorCode::SESSION_REVOKED);

    let session = outcome(client.call(login("ada", PASSWORD)).await).unwrap();
    let access = session.access_token.expose_str().unwrap();
    assert!(console.run_user(&["disable", "Ada"]).contains("1 session ended"));
    wait_until_rejected(&client, access, ErrorCode::SESSION_REVOKED).await;
    let refresh =
        RefreshToken { refresh_token: session.refresh_token.expose_str().unwrap().into() };
    assert_eq!(code_of(&client, refresh).await, ErrorCode::SESSION_REVOKED);
    assert_eq!(
        code_of(&client, login("ada", "tides rise at ten")).await,
        ErrorCode::INVALID_CREDENTIALS
    );
    assert_eq!(code_of(&client, login("ada", PASSWORD)).await, ErrorCode::ACCOUNT_DISABLED);
    assert!(console.run_user(&["show", "ada"]).contains("disabled  since "));
    console.run_user(&["enable", "ada"]);
    let session = outcome(client.call(login("ada", PASSWORD)).await).unwrap();
    let access = session.access_token.expose_str().unwrap().to_owned();
    assert_eq!(check(&client, &access).await, None);

    for _ in 0..5 {
        let wrong = client
            .call_with(login("ada@example.org", "tides rise at ten"), on_behalf_of("192.0.2.7"))
            .await;
        assert_eq!(outcome(wrong).map(drop), Err(ErrorCode::INVALID_CREDENTIALS));
    }
    let limited =
        client.call_with(login("ada@example.org", PASSWORD), on_behalf_of("192.0.2.7")).await;
    assert_eq!(outcome(limited).map(drop), Err(ErrorCode::RATE_LIMITED));
    console.run_user(&["unlock", "ada"]);
    let again =
        client.call_with(login("ada@example.org", PASSWORD), on_behalf_of("192.0.2.7")).await;
    outcome(again).unwrap();

    let unconfirmed = console.try_user(&["delete", "ada"]);
    assert!(unconfirmed.code == Some(1) && unconfirmed.error.contains("--yes"), "{unconfirmed:?}");
    outcome(client.call(GetUser { access_token: access.as_str().into() }).await).unwrap();
    assert!(console.run_user(&["delete", "ada", "--yes", "--json"]).contains(&id));
    wait_until_rejected(&client, &access, ErrorCode::SESSION_REVOKED).await;
    assert_eq!(code_of(&client, login("ada", PASSWORD)).await, ErrorCode::INVALID_CREDENTIALS);
    let emails = console.process.emails().wait_for("ada@example.org", 2).await;
    assert!(emails.iter().any(|email| email.subject.contains("deleted")), "{emails:?}");
    for deleted in ["ada", "nobody@example.org", id.as_str()] {
        let result = console.try_user(&["show", deleted]);
        assert!(result.code == Some(1) && result.error.contains("no account"), "{result:?}");
    }
    assert_eq!(console.try_user(&["show", "not a name"]).code, Some(1));
}

#[tokio::test]
async fn accounts_are_managed_beside_the_embedded_server() {
    manage_accounts(&Console::open(Vec::new())).await;
}

#[tokio::test]
async fn accounts_are_managed_beside_a_server_on_postgres() {
    let Some(server) = postgres() else { return };
    let secret = "a secret of at least thirty-two bytes".to_owned();
    let mail_dir = "user-data/mails".to_owned();
    let settings =
        vec![("PostgreSQL", server.database()), ("JWTSECRETKEY", secret), ("MAIL_DIR", mail_dir)];
    manage_accounts(&Console::open(settings)).await;
}

#[tokio::test]
async fn a_command_sends_no_emails() {
    let process = Process::start(&[]);
    let client = process.client();
    process.account(&client, "ada").await;
    let before = process.emails().all().len();
    for _ in 0..3 {
        assert_eq!(run_in(process.location(), &["user", "list"], &[]).code, Some(0));
    }
    outcome(client.call(login("ada", PASSWORD)).await).unwrap();
    assert_eq!(process.emails().all().len(), before);
    // Without a running server, the same command opens the database itself.
    let folder = process.kill().await;
    assert!(run_in(folder.path(), &["user", "list"], &[]).output.contains("ada@example.org"));
}
