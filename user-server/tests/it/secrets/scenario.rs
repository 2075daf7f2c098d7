//! A scenario with every message: valid, invalid, used up, and malformed, with a secret in each.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use user_proto::client::{Client, Config, Tls, TlsOptions};
use user_proto::{
    Common, ConfirmEmail, DeleteUser, EmailVerified, ErrorCode, GetUser, Login, Logout, Ping,
    RefreshToken, Register, RequestMessage, RequestPasswordReset, ResendCode, ResetPassword,
    Secret, UpdateUser, VerifyEmail, VerifyToken,
};

use user_server::keys::Key;
use uuid::Uuid;

use super::search::Secrets;
use crate::support::{
    Authority, EmailFolder, Process, TEST_TIMEOUT, Wire, on_behalf_of, raw_frame, request_frame,
    update,
};
use crate::tls;

/// Username, which is not secret and is stored.
pub const CANARY: &str = "canary-the-user";
/// Client address, which is not secret and is logged.
pub const NETWORK: &str = "192.0.2.77";
const ADDRESS: &str = "canary@example.org";

/// A client that records the errors that it gets.
struct Recorder {
    inner: Client,
    errors: String,
}

impl Recorder {
    async fn call<M: RequestMessage>(&mut self, request: M) -> Option<M::Reply> {
        match self.inner.call_with(request, on_behalf_of(NETWORK)).await {
            Ok(reply) => Some(reply),
            Err(error) => {
                writeln!(self.errors, "{error} {error:?}").unwrap();
                None
            }
        }
    }

    async fn expect_reply<M: RequestMessage>(&mut self, request: M) -> M::Reply {
        let before = self.errors.len();
        self.call(request).await.unwrap_or_else(|| panic!("refused: {}", &self.errors[before..]))
    }

    async fn expect_error<M: RequestMessage>(&mut self, request: M) {
        assert!(self.call(request).await.is_none());
    }
}

fn text(secret: &Secret<'_>) -> String {
    secret.expose_str().unwrap().to_owned()
}

/// Adds both tokens of a reply to the secrets and returns them.
macro_rules! tokens {
    ($secrets:ident, $reply:expr) => {{
        let reply = $reply;
        let (access, refresh) = (text(&reply.access_token), text(&reply.refresh_token));
        $secrets.add_of_user("an access token", &access);
        $secrets.add_of_user("a refresh token", &refresh);
        (access, refresh)
    }};
}

async fn code(emails: &EmailFolder, secrets: &mut Secrets, address: &str, count: usize) -> String {
    let code = emails.code(address, count).await;
    secrets.add_of_user("a code", &code);
    code
}

fn login<'a>(name: &'a str, password: &'a str) -> Login<'a> {
    Login::new(name.into(), password.into())
}

/// A process under test, its emails, its CA, and the secret that it signs with.
pub struct Target<'a> {
    pub process: &'a Process,
    pub emails: &'a EmailFolder,
    pub tls: Option<&'a Authority>,
    pub key: &'a str,
}

impl Target<'_> {
    fn client(&self) -> Client {
        let Some(authority) = self.tls else { return self.process.client() };
        let options =
            TlsOptions { authorities: Some(authority.pem.as_bytes()), ..TlsOptions::default() };
        let config = Config { tls: Some(Tls::new(&options).unwrap()), ..Config::default() };
        Client::with_config(self.process.address.to_string(), config)
    }
}

/// Returns an expired access token of this service.
fn expired(key: &str, session: &EmailVerified<'_>) -> String {
    let kid = Key::new(key.as_bytes()).unwrap().kid;
    let header = format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"{kid}"}}"#);
    let claims = serde_json::json!({
        "iss": super::ISSUER,
        "aud": "user-service",
        "sub": session.user_id.to_string(),
        "sid": session.session_id.to_string(),
        "jti": Uuid::new_v4().to_string(),
        "iat": 1_700_000_000,
        "exp": 1_700_000_900,
    });
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// Runs the scenario against a process, and closes every connection. Returns the errors that the
/// clients got.
pub async fn run(target: &Target<'_>, secrets: &mut Secrets) -> String {
    let emails = target.emails;
    let mut client = Recorder { inner: target.client(), errors: String::new() };
    let password = secrets.password("the password");
    let register = |email, password| Register { username: CANARY.into(), email, password };
    let id = client
        .expect_reply(register(ADDRESS.into(), password.as_str().into()))
        .await
        .verification_id;
    client.expect_error(register("no address".into(), password.as_str().into())).await;
    let mailed = code(emails, secrets, ADDRESS, 1).await;
    for guess in ["000000", "E", &password] {
        client.expect_error(VerifyEmail::new(id, guess.into())).await;
    }
    client.expect_error(ResendCode { verification_id: id }).await;
    let verify = VerifyEmail::new(id, mailed.as_str().into());
    let session = client.expect_reply(verify.clone()).await;
    let old = expired(target.key, &session);
    secrets.add_of_user("an expired access token", &old);
    let (access, refresh) = tokens!(secrets, session);
    client.expect_error(verify).await;
    client.expect_error(VerifyToken { access_token: old.as_str().into() }).await;
    assert!(client.errors.contains("TOKEN_EXPIRED"), "{}", client.errors);
    client.expect_error(GetUser { access_token: old.as_str().into() }).await;
    client.expect_error(update(&old)).await;
    client.expect_error(Logout { token: old.as_str().into(), all_sessions: Some(()) }).await;
    client.expect_error(register("other@example.org".into(), password.as_str().into())).await;

    let wrong = secrets.password("a wrong password");
    client.expect_error(login(CANARY, &wrong)).await;
    client.expect_error(login("nobody", &wrong)).await;
    // Users do type their password into the wrong field.
    client.expect_error(login(&password, &wrong)).await;
    let (other_access, _) = tokens!(secrets, client.expect_reply(login(ADDRESS, &password)).await);
    client.expect_reply(VerifyToken { access_token: access.as_str().into() }).await;
    client.expect_error(VerifyToken { access_token: refresh.as_str().into() }).await;
    client.expect_error(VerifyToken { access_token: format!("{access}x").into() }).await;
    client.expect_reply(GetUser { access_token: access.as_str().into() }).await;

    let wrong_proof =
        UpdateUser { current_password: Some(wrong.as_str().into()), ..update(&access) };
    client
        .expect_error(UpdateUser { email: Some("moved@example.org".into()), ..wrong_proof })
        .await;
    let right_proof =
        UpdateUser { current_password: Some(password.as_str().into()), ..update(&access) };
    let weak = UpdateUser { new_password: Some("password1".into()), ..right_proof.clone() };
    client.expect_error(weak).await;
    let changed = client
        .expect_reply(UpdateUser { email: Some("moved@example.org".into()), ..right_proof.clone() })
        .await;
    let (access_token, verification_id) =
        (access.as_str().into(), changed.verification_id.unwrap());
    let mailed = code(emails, secrets, "moved@example.org", 1).await;
    let confirm = ConfirmEmail { access_token, verification_id, code: mailed.as_str().into() };
    client.expect_error(ConfirmEmail { code: "E".into(), ..confirm.clone() }).await;
    client.expect_reply(confirm).await;
    let second = secrets.password("the second password");
    client
        .expect_reply(UpdateUser { new_password: Some(second.as_str().into()), ..right_proof })
        .await;
    client.expect_error(VerifyToken { access_token: other_access.into() }).await;

    // A token that is two generations old is treated as stolen, and ends the session.
    let first = RefreshToken { refresh_token: refresh.as_str().into() };
    let (_, next) = tokens!(secrets, client.expect_reply(first.clone()).await);
    tokens!(secrets, client.expect_reply(RefreshToken { refresh_token: next.into() }).await);
    client.expect_error(first).await;
    client.expect_error(GetUser { access_token: access.as_str().into() }).await;
    client.expect_error(Logout { token: old.as_str().into(), all_sessions: None }).await;

    let request = RequestPasswordReset { email: "moved@example.org".into() };
    let verification_id = client.expect_reply(request).await.verification_id;
    // The first email contains the code of the change.
    let mailed = code_of_reset(emails, secrets).await;
    let third = secrets.password("the third password");
    let reset = |code: &str| ResetPassword {
        verification_id,
        code: code.to_owned().into(),
        new_password: third.clone().into(),
    };
    client.expect_error(reset("AAAAA-AAAAA")).await;
    client.expect_reply(reset(&mailed)).await;
    client.expect_error(reset(&mailed)).await;
    let (access, _) = tokens!(secrets, client.expect_reply(login(CANARY, &third)).await);
    client.expect_reply(Logout { token: access.as_str().into(), all_sessions: None }).await;
    client.expect_error(Logout { token: third.as_str().into(), all_sessions: None }).await;
    let (access, _) = tokens!(secrets, client.expect_reply(login(CANARY, &third)).await);
    let access_token = || access.as_str().into();
    client
        .expect_error(DeleteUser {
            access_token: access_token(),
            current_password: wrong.as_str().into(),
        })
        .await;

    // Another account is created and deleted; the first one remains as a canary.
    let other_password = secrets.password("the password of a deleted user");
    let email = "leaver@example.org";
    let username = "leaver".into();
    let register_other =
        Register { username, email: email.into(), password: other_password.as_str().into() };
    let verification_id = client.expect_reply(register_other).await.verification_id;
    let mailed = code(emails, secrets, email, 1).await;
    let verify = VerifyEmail::new(verification_id, mailed.as_str().into());
    let (access, _) = tokens!(secrets, client.expect_reply(verify).await);
    client
        .expect_reply(DeleteUser {
            access_token: access.into(),
            current_password: other_password.as_str().into(),
        })
        .await;
    client.expect_reply(Ping {}).await;
    client.inner.close().await;
    match target.tls {
        None => broken(target.process, secrets, &mut client.errors).await,
        Some(authority) => {
            broken_over_tls(target.process, authority, secrets, &mut client.errors).await
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    client.errors
}

async fn code_of_reset(emails: &EmailFolder, secrets: &mut Secrets) -> String {
    for count in 1..9 {
        let code = emails.code("moved@example.org", count).await;
        // Ten letters and a dash.
        if code.len() > 6 {
            secrets.add_of_user("a code of a reset", &code);
            return code;
        }
    }
    panic!("no email with a code of a reset");
}

/// Returns malformed bodies: of an unknown type, truncated, with trailing bytes, with an unknown
/// even tag, with an invalid address, and with a field longer than its frame.
fn bodies(whole: &[u8], bytes: &[u8]) -> [(u8, Vec<u8>); 6] {
    [
        (0x3F, bytes.to_vec()),
        (0x02, whole[9..whole.len() - 3].to_vec()),
        (0x02, [&whole[9..], bytes].concat()),
        (0x02, [&whole[9..], &[0xEE, 0, 4], &bytes[..4]].concat()),
        (0x02, [&whole[9..], &[0xE1, 0, 24], &bytes[..24]].concat()),
        (0x03, [&[0xFF, 0xFF], bytes].concat()),
    ]
}

/// Sends malformed frames over TLS, and one after which the stream cannot be parsed.
async fn broken_over_tls(
    process: &Process,
    authority: &Authority,
    secrets: &mut Secrets,
    errors: &mut String,
) {
    let password = secrets.password("a password in a broken frame inside TLS");
    let whole = request_frame(2, login(CANARY, &password), &Common::default());
    let mut stream =
        tls::dial(process.address, authority.client_config(None, tls::ALPN)).await.unwrap();
    for (id, (kind, body)) in (7..).zip(bodies(&whole, password.as_bytes())) {
        stream.write_all(&raw_frame(kind, id, &body)).await.unwrap();
    }
    stream.write_all(&[&70_000_u32.to_be_bytes(), password.as_bytes()].concat()).await.unwrap();
    stream.flush().await.unwrap();
    let mut answers = Vec::new();
    // The connection may end in any way.
    let _ = tokio::time::timeout(TEST_TIMEOUT, stream.read_to_end(&mut answers)).await;
    assert!(answers.len() > 6 * 9, "{answers:?}");
    *errors += &String::from_utf8_lossy(&answers);
}

/// Sends malformed frames, each with a password in it.
async fn broken(process: &Process, secrets: &mut Secrets, errors: &mut String) {
    let password = secrets.password("a password in a broken frame");
    let bytes = password.as_bytes();
    let whole = request_frame(2, login(CANARY, &password), &Common::default());
    let traced = Common { traceparent: Some(password.as_str().into()), ..Common::default() };
    let mut wire = Wire::connect(process.address).await;
    for (kind, body) in bodies(&whole, bytes) {
        wire.send(&raw_frame(kind, 7, &body)).await;
        let refusal = wire.refusal(7).await;
        assert_eq!(refusal.code.0 >> 8, 1, "{refusal:?}");
        writeln!(errors, "{refusal:?}").unwrap();
    }
    wire.send(&request_frame(8, login("nobody", &password), &traced)).await;
    writeln!(errors, "{:?}", wire.refusal(8).await).unwrap();
    // A frame in two halves, of which the first is buffered.
    wire.send(&whole[..whole.len() - 4]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    wire.send(&whole[whole.len() - 4..]).await;
    writeln!(errors, "{:?}", wire.refusal(2).await).unwrap();
    wire.send(&[&70_000_u32.to_be_bytes(), bytes].concat()).await;
    writeln!(errors, "{:?}", wire.expect_close_with(ErrorCode::FRAME_TOO_LONG).await).unwrap();
    // A client that disconnects within a frame.
    let mut wire = Wire::connect(process.address).await;
    wire.send(&whole[..whole.len() - 1]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Sends requests while another service is down. Returns the errors.
pub async fn run_during_outage(process: &Process, secrets: &mut Secrets) -> String {
    let mut client = Recorder { inner: process.client(), errors: String::new() };
    let password = secrets.password("a password during an outage");
    let email = "late@example.org".into();
    client
        .call(Register { username: "late".into(), email, password: password.as_str().into() })
        .await;
    client.call(login(CANARY, &password)).await;
    client.call(RefreshToken { refresh_token: password.as_str().into() }).await;
    client.call(GetUser { access_token: password.as_str().into() }).await;
    client.inner.close().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    client.errors
}
