//! The program that writes the fixtures of the current schema version, or of the version of another
//! build of the server.

use user_proto::client::Client;
use user_proto::{Common, DeleteUser, ErrorCode, IdempotencyKey, Logout, RefreshToken, Secret};
use user_server::domain::{Clock, SystemClock};

use super::fixture::{Database, Fixture, KEY, Pending, Tokens};
use super::sql_dump;
use crate::support::{
    Account, PASSWORD, Process, SECRET, code_of, login, on_behalf_of, postgres, register,
    request_reset, run_in, update_with_password,
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes files; CONTRIBUTING.md says when to run it"]
async fn write_upgrade_fixtures() {
    for database in Database::ALL {
        println!("{}", write(database).await);
    }
}

/// Writes the fixture of a database with the schema of the server, which is this build, or the one
/// in the variable `TEST_SERVER`. Returns the schema version and size.
async fn write(database: Database) -> String {
    let url = postgres().expect("PostgreSQL is installed").database();
    let mut settings = vec![("JWTSECRETKEY", SECRET), ("MAIL_DIR", "user-data/mails")];
    if database == Database::Postgres {
        settings.push(("PostgreSQL", url.as_str()));
    }
    let mut process = Process::start(&settings);
    let mut fixture = fill(&process, &settings).await;
    process.signal("TERM");
    assert_eq!(process.wait().await, Some(0));
    fixture.made_at_ms = SystemClock.now().0;
    let path = process.data().join("users.db");
    let (schema, statements) = match database {
        Database::Sqlite => {
            (sql_dump::schema_of_sqlite(&path).await, sql_dump::dump_sqlite(&path).await)
        }
        Database::Postgres => {
            (sql_dump::schema_of_postgres(&url).await, sql_dump::dump_postgres(&url))
        }
    };
    fixture.write(database, schema, &statements);
    format!("{}: schema {schema}, {} bytes", database.name(), statements.len())
}

/// Creates users in every state. Returns what they hold.
async fn fill(process: &Process, settings: &[(&str, &str)]) -> Fixture {
    let client = process.client();
    let mut fixture = Fixture { secret: SECRET.to_owned(), ..Fixture::default() };
    let ada = process.account(&client, "ada").await;
    let second = client.call(login("ada", PASSWORD)).await.unwrap();
    let refresh_token = second.refresh_token.clone();
    let refreshed = client.call(RefreshToken { refresh_token }).await.unwrap();
    let refreshed = tokens("ada", &refreshed.access_token, &refreshed.refresh_token);

    let bob = process.account(&client, "bob").await;
    let logout = Logout { token: bob.session.refresh_token.clone(), all_sessions: None };
    client.call(logout).await.unwrap();
    let gus = process.account(&client, "gus").await;
    let access_token = gus.session.access_token.clone();
    client.call(DeleteUser { access_token, current_password: PASSWORD.into() }).await.unwrap();
    let hal = process.account(&client, "hal").await;
    let disable = ["user", "disable", "hal"];
    let disabled = tokio::task::block_in_place(|| run_in(process.location(), &disable, settings));
    assert_eq!(disabled.code, Some(0), "{disabled:?}");
    fixture.ended = vec![of("bob", &bob), of("gus", &gus), of("hal", &hal)];

    let id = client.call(register("cyd", "cyd@example.org")).await.unwrap().verification_id;
    let code = process.emails().code("cyd@example.org", 1).await;
    fixture.registration = Pending::new(id, "cyd@example.org", &code);

    let eve = process.account(&client, "eve").await;
    let id = client.call(request_reset(&eve.email)).await.unwrap().verification_id;
    let code = process.emails().code(&eve.email, 2).await;
    fixture.reset = Pending::new(id, &eve.email, &code);
    let wrong = client.call_with(login("eve", "not the password"), on_behalf_of("192.0.2.7"));
    assert!(wrong.await.is_err());

    let dan = process.account(&client, "dan").await;
    let address = "daniel@example.org";
    let access = dan.access();
    let mut change = update_with_password(&access);
    change.email = Some(address.into());
    let id = client.call(change).await.unwrap().verification_id.unwrap();
    let code = process.emails().code(address, 1).await;
    fixture.email_change = Pending::new(id, address, &code);
    fixture.sessions = vec![of("ada", &ada), refreshed, of("dan", &dan)];

    fixture.unsent = register_without_email(process, &client).await;
    fixture
}

/// Registers an account while no email can be sent, under an idempotency key.
async fn register_without_email(process: &Process, client: &Client) -> Pending {
    let folder = process.emails().0;
    std::fs::rename(&folder, folder.with_extension("away")).unwrap();
    std::fs::write(&folder, "not a folder").unwrap();
    let keyed = Common { idempotency_key: Some(IdempotencyKey(KEY)), ..Common::default() };
    let request = register("fay", "fay@example.org");
    let registered = client.call_with(request, keyed).await.unwrap();
    // The email is queued, and its first attempt fails.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(code_of(client, login("fay", PASSWORD)).await, ErrorCode::INVALID_CREDENTIALS);
    Pending::new(registered.verification_id, "fay@example.org", "")
}

fn of(username: &str, account: &Account) -> Tokens {
    tokens(username, &account.session.access_token, &account.session.refresh_token)
}

fn tokens(username: &str, access: &Secret<'_>, refresh: &Secret<'_>) -> Tokens {
    let text = |secret: &Secret<'_>| secret.expose_str().unwrap().to_owned();
    Tokens { username: username.to_owned(), access: text(access), refresh: text(refresh) }
}
