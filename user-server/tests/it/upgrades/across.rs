//! Changes that one version makes and another one reads.

use std::time::{Duration, Instant};

use user_proto::client::Client;
use user_proto::{
    Common, ConfirmEmail, DeleteUser, ErrorCode, GetUser, IdempotencyKey, Logout, RefreshToken,
    Secret,
};
use uuid::Uuid;

use crate::support::{
    EmailFolder, NEW_PASSWORD, PASSWORD, check, code_of, latency_header, latency_row, login,
    on_behalf_of, outcome, register, request_reset, reset, update, update_with_password,
    verify_email,
};

/// The guaranteed time after which a node sees the end of a session on another node.
const GUARANTEE: Duration = Duration::from_secs(1);
/// Sessions to end in each state and direction.
const SESSIONS: usize = 10;
/// Attempts with a wrong password, and how many of them a network may make within seconds.
const ATTEMPTS: usize = 14;
const ALLOWED: std::ops::RangeInclusive<usize> = 5..=9;

/// Times from the end of a session on one version until the other rejects its token.
#[derive(Default)]
pub struct Delays {
    /// Sessions that ended on the old version, checked on the new one.
    pub new: Vec<Duration>,
    /// Sessions that ended on the new version, checked on the old one.
    pub old: Vec<Duration>,
}

impl Delays {
    pub fn table(&self) -> String {
        latency_header("session ended on")
            + &latency_row("old, checked on new", &self.new)
            + &latency_row("new, checked on old", &self.old)
    }
}

/// Makes each change of an account on one node, and relies on it on another.
pub async fn every_change(here: &Client, there: &Client, emails: &EmailFolder) {
    let (name, address) = new_account();
    // A repeat has the same outcome on both.
    let key = IdempotencyKey(*Uuid::new_v4().as_bytes());
    let keyed = || Common { idempotency_key: Some(key), ..Common::default() };
    let registered = outcome(here.call_with(register(&name, &address), keyed()).await).unwrap();
    let repeated = outcome(there.call_with(register(&name, &address), keyed()).await).unwrap();
    assert_eq!(registered.verification_id, repeated.verification_id);
    let code = emails.code(&address, 1).await;
    let verify = verify_email(registered.verification_id, &code);
    let first = text(&outcome(there.call(verify).await).unwrap().access_token);
    assert_eq!(check(here, &first).await, None);

    let session = outcome(here.call(login(&name, PASSWORD)).await).unwrap();
    let refresh = |token: &Secret<'_>| RefreshToken { refresh_token: text(token).into() };
    let session = outcome(there.call(refresh(&session.refresh_token)).await).unwrap();
    let session = outcome(here.call(refresh(&session.refresh_token)).await).unwrap();
    let access = text(&session.access_token);
    assert_eq!(check(there, &access).await, None);

    let renamed = format!("{name}-b");
    let mut change = update(&access);
    change.username = Some(renamed.as_str().into());
    outcome(there.call(change).await).unwrap();
    expect_name(here, &access, &renamed).await;

    let moved = format!("moved-{address}");
    let mut change = update_with_password(&access);
    change.email = Some(moved.as_str().into());
    let change = outcome(here.call(change).await).unwrap();
    let code = emails.code(&moved, 1).await;
    let confirm = ConfirmEmail {
        access_token: access.as_str().into(),
        verification_id: change.verification_id.unwrap(),
        code: code.as_str().into(),
    };
    assert_eq!(*outcome(there.call(confirm).await).unwrap().email, *moved);

    let id = outcome(there.call(request_reset(&moved)).await).unwrap().verification_id;
    let code = emails.code(&moved, 2).await;
    outcome(here.call(reset(id, &code)).await).unwrap();
    for token in [&first, &access] {
        expect_ended(there, token).await;
    }
    let session = outcome(there.call(login(&renamed, NEW_PASSWORD)).await).unwrap();
    let access_token = session.access_token.clone();
    let delete = DeleteUser { access_token, current_password: NEW_PASSWORD.into() };
    outcome(here.call(delete).await).unwrap();
    expect_ended(there, &text(&session.access_token)).await;
    let refused = code_of(there, login(&renamed, NEW_PASSWORD)).await;
    assert_eq!(refused, ErrorCode::INVALID_CREDENTIALS);
    share_limits(here, there).await;
}

/// Asserts that both count the same wrong passwords.
async fn share_limits(here: &Client, there: &Client) {
    let [a, b, ..] = *Uuid::new_v4().as_bytes();
    let (network, name) = (format!("10.250.{a}.{b}"), new_account().0);
    let mut allowed = 0;
    for number in 0..ATTEMPTS {
        let client = if number % 2 == 0 { here } else { there };
        let request = login(&name, PASSWORD);
        match outcome(client.call_with(request, on_behalf_of(&network)).await) {
            Err(ErrorCode::INVALID_CREDENTIALS) => allowed += 1,
            Err(ErrorCode::RATE_LIMITED) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(ALLOWED.contains(&allowed), "{allowed} attempts were allowed");
}

/// Ends sessions on one node, and measures until the other rejects their tokens.
pub async fn ends_of_sessions(
    here: &Client,
    there: &Client,
    emails: &EmailFolder,
    delays: &mut Vec<Duration>,
) {
    let (name, address) = new_account();
    let id = outcome(here.call(register(&name, &address)).await).unwrap().verification_id;
    let code = emails.code(&address, 1).await;
    outcome(here.call(verify_email(id, &code)).await).unwrap();
    for _ in 0..SESSIONS {
        let session = outcome(there.call(login(&name, PASSWORD)).await).unwrap();
        let access = text(&session.access_token);
        assert_eq!(check(there, &access).await, None);
        let logout = Logout { token: access.as_str().into(), all_sessions: None };
        outcome(here.call(logout).await).unwrap();
        delays.push(expect_ended(there, &access).await);
    }
}

/// Waits until a token is rejected. Returns the time that it took.
async fn expect_ended(client: &Client, access: &str) -> Duration {
    let began = Instant::now();
    loop {
        let answer = check(client, access).await;
        let elapsed = began.elapsed();
        match answer {
            Some(code) => {
                assert_eq!(code, ErrorCode::SESSION_REVOKED);
                return elapsed;
            }
            None => assert!(elapsed < GUARANTEE, "the session has not ended"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until a node has the new name.
async fn expect_name(client: &Client, access: &str, name: &str) {
    let began = Instant::now();
    loop {
        let user = outcome(client.call(GetUser { access_token: access.into() }).await).unwrap();
        if *user.username == *name {
            return;
        }
        assert!(began.elapsed() < GUARANTEE, "{user:?}, expected {name}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns a name and an address that nobody has.
fn new_account() -> (String, String) {
    let name = format!("x{}", &Uuid::new_v4().simple().to_string()[..12]);
    let address = format!("{name}@example.org");
    (name, address)
}

fn text(secret: &Secret<'_>) -> String {
    secret.expose_str().unwrap().to_owned()
}
