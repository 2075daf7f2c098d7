//! One life with every message: right, wrong, used up, and broken, with a secret in each.

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

/// A name, which is no secret and is stored.
pub const CANARY: &str = "canary-the-user";
/// An address, which is no secret and is written down.
pub const NETWORK: &str = "192.0.2.77";
const ADDRESS: &str = "canary@example.org";

/// Asks, and writes down what a refusal says.
struct Teller {
    client: Client,
    said: String,
}

impl Teller {
    async fn asks<M: RequestMessage>(&mut self, request: M) -> Option<M::Reply> {
        match self.client.call_with(request, on_behalf_of(NETWORK)).await {
            Ok(reply) => Some(reply),
            Err(error) => {
                writeln!(self.said, "{error} {error:?}").unwrap();
                None
            }
        }
    }

    async fn gets<M: RequestMessage>(&mut self, request: M) -> M::Reply {
        let before = self.said.len();
        self.asks(request).await.unwrap_or_else(|| panic!("refused: {}", &self.said[before..]))
    }

    async fn is_refused<M: RequestMessage>(&mut self, request: M) {
        assert!(self.asks(request).await.is_none());
    }
}

fn text(secret: &Secret<'_>) -> String {
    secret.expose_str().unwrap().to_owned()
}

/// Notes both tokens of a reply, and gives them.
macro_rules! tokens {
    ($secrets:ident, $reply:expr) => {{
        let reply = $reply;
        let (access, refresh) = (text(&reply.access_token), text(&reply.refresh_token));
        $secrets.note_users("an access token", &access);
        $secrets.note_users("a refresh token", &refresh);
        (access, refresh)
    }};
}

async fn code(mails: &EmailFolder, secrets: &mut Secrets, address: &str, count: usize) -> String {
    let code = mails.code(address, count).await;
    secrets.note_users("a code", &code);
    code
}

fn login<'a>(name: &'a str, password: &'a str) -> Login<'a> {
    Login::new(name.into(), password.into())
}

/// How a process is reached, and the secret that it signs with.
pub struct Door<'a> {
    pub process: &'a Process,
    pub mails: &'a EmailFolder,
    pub tls: Option<&'a Authority>,
    pub key: &'a str,
}

impl Door<'_> {
    fn client(&self) -> Client {
        let Some(authority) = self.tls else { return self.process.client() };
        let options =
            TlsOptions { authorities: Some(authority.pem.as_bytes()), ..TlsOptions::default() };
        let config = Config { tls: Some(Tls::new(&options).unwrap()), ..Config::default() };
        Client::with_config(self.process.address.to_string(), config)
    }
}

/// A token that this service made, and that has expired since.
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

/// Lives it against a process; what clients were told that was no success. Nobody is connected any
/// more then.
pub async fn live(door: &Door<'_>, secrets: &mut Secrets) -> String {
    let mails = door.mails;
    let mut teller = Teller { client: door.client(), said: String::new() };
    let password = secrets.password("the password");
    let register = |email, password| Register { username: CANARY.into(), email, password };
    let id = teller.gets(register(ADDRESS.into(), password.as_str().into())).await.verification_id;
    teller.is_refused(register("no address".into(), password.as_str().into())).await;
    let mailed = code(mails, secrets, ADDRESS, 1).await;
    for guess in ["000000", "E", &password] {
        teller.is_refused(VerifyEmail::new(id, guess.into())).await;
    }
    teller.is_refused(ResendCode { verification_id: id }).await;
    let verify = VerifyEmail::new(id, mailed.as_str().into());
    let session = teller.gets(verify.clone()).await;
    let old = expired(door.key, &session);
    secrets.note_users("an expired access token", &old);
    let (access, refresh) = tokens!(secrets, session);
    teller.is_refused(verify).await;
    teller.is_refused(VerifyToken { access_token: old.as_str().into() }).await;
    assert!(teller.said.contains("TOKEN_EXPIRED"), "{}", teller.said);
    teller.is_refused(GetUser { access_token: old.as_str().into() }).await;
    teller.is_refused(update(&old)).await;
    teller.is_refused(Logout { token: old.as_str().into(), all_sessions: Some(()) }).await;
    teller.is_refused(register("other@example.org".into(), password.as_str().into())).await;

    let wrong = secrets.password("a wrong password");
    teller.is_refused(login(CANARY, &wrong)).await;
    teller.is_refused(login("nobody", &wrong)).await;
    // The password in the wrong field is what people type.
    teller.is_refused(login(&password, &wrong)).await;
    let (again, _) = tokens!(secrets, teller.gets(login(ADDRESS, &password)).await);
    teller.gets(VerifyToken { access_token: access.as_str().into() }).await;
    teller.is_refused(VerifyToken { access_token: refresh.as_str().into() }).await;
    teller.is_refused(VerifyToken { access_token: format!("{access}x").into() }).await;
    teller.gets(GetUser { access_token: access.as_str().into() }).await;

    let unproved = UpdateUser { current_password: Some(wrong.as_str().into()), ..update(&access) };
    teller.is_refused(UpdateUser { email: Some("moved@example.org".into()), ..unproved }).await;
    let proved = UpdateUser { current_password: Some(password.as_str().into()), ..update(&access) };
    let weak = UpdateUser { new_password: Some("password1".into()), ..proved.clone() };
    teller.is_refused(weak).await;
    let moved =
        teller.gets(UpdateUser { email: Some("moved@example.org".into()), ..proved.clone() }).await;
    let (access_token, verification_id) = (access.as_str().into(), moved.verification_id.unwrap());
    let mailed = code(mails, secrets, "moved@example.org", 1).await;
    let confirm = ConfirmEmail { access_token, verification_id, code: mailed.as_str().into() };
    teller.is_refused(ConfirmEmail { code: "E".into(), ..confirm.clone() }).await;
    teller.gets(confirm).await;
    let second = secrets.password("the second password");
    teller.gets(UpdateUser { new_password: Some(second.as_str().into()), ..proved }).await;
    teller.is_refused(VerifyToken { access_token: again.into() }).await;

    // Two steps behind is theft, and ends the session.
    let first = RefreshToken { refresh_token: refresh.as_str().into() };
    let (_, next) = tokens!(secrets, teller.gets(first.clone()).await);
    tokens!(secrets, teller.gets(RefreshToken { refresh_token: next.into() }).await);
    teller.is_refused(first).await;
    teller.is_refused(GetUser { access_token: access.as_str().into() }).await;
    teller.is_refused(Logout { token: old.as_str().into(), all_sessions: None }).await;

    let request = RequestPasswordReset { email: "moved@example.org".into() };
    let verification_id = teller.gets(request).await.verification_id;
    // The first of the mails was the code of the change.
    let mailed = code_of_reset(mails, secrets).await;
    let third = secrets.password("the third password");
    let reset = |code: &str| ResetPassword {
        verification_id,
        code: code.to_owned().into(),
        new_password: third.clone().into(),
    };
    teller.is_refused(reset("AAAAA-AAAAA")).await;
    teller.gets(reset(&mailed)).await;
    teller.is_refused(reset(&mailed)).await;
    let (access, _) = tokens!(secrets, teller.gets(login(CANARY, &third)).await);
    teller.gets(Logout { token: access.as_str().into(), all_sessions: None }).await;
    teller.is_refused(Logout { token: third.as_str().into(), all_sessions: None }).await;
    let (access, _) = tokens!(secrets, teller.gets(login(CANARY, &third)).await);
    let access_token = || access.as_str().into();
    teller
        .is_refused(DeleteUser {
            access_token: access_token(),
            current_password: wrong.as_str().into(),
        })
        .await;

    // Another account comes and goes; the first one stays, to be found.
    let leaver = secrets.password("the password of who leaves");
    let email = "leaver@example.org";
    let username = "leaver".into();
    let left = Register { username, email: email.into(), password: leaver.as_str().into() };
    let verification_id = teller.gets(left).await.verification_id;
    let mailed = code(mails, secrets, email, 1).await;
    let verify = VerifyEmail::new(verification_id, mailed.as_str().into());
    let (access, _) = tokens!(secrets, teller.gets(verify).await);
    teller
        .gets(DeleteUser { access_token: access.into(), current_password: leaver.as_str().into() })
        .await;
    teller.gets(Ping {}).await;
    teller.client.close().await;
    match door.tls {
        None => broken(door.process, secrets, &mut teller.said).await,
        Some(authority) => {
            broken_over_tls(door.process, authority, secrets, &mut teller.said).await
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    teller.said
}

async fn code_of_reset(mails: &EmailFolder, secrets: &mut Secrets) -> String {
    for count in 1..9 {
        let code = mails.code("moved@example.org", count).await;
        // Ten letters and a dash.
        if code.len() > 6 {
            secrets.note_users("a code of a reset", &code);
            return code;
        }
    }
    panic!("no mail of a reset");
}

/// Of no type; cut short; with bytes too many; in a tag that must be known; in place of an address;
/// longer than it is.
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

/// The same inside TLS, and one after which the stream can't be read any more.
async fn broken_over_tls(
    process: &Process,
    authority: &Authority,
    secrets: &mut Secrets,
    said: &mut String,
) {
    let password = secrets.password("a password in a broken frame inside TLS");
    let whole = request_frame(2, login(CANARY, &password), &Common::default());
    let mut stream =
        tls::dial(process.address, authority.client_config(None, tls::OURS)).await.unwrap();
    for (id, (kind, body)) in (7..).zip(bodies(&whole, password.as_bytes())) {
        stream.write_all(&raw_frame(kind, id, &body)).await.unwrap();
    }
    stream.write_all(&[&70_000_u32.to_be_bytes(), password.as_bytes()].concat()).await.unwrap();
    stream.flush().await.unwrap();
    let mut answers = Vec::new();
    // However the connection ends.
    let _ = tokio::time::timeout(TEST_TIMEOUT, stream.read_to_end(&mut answers)).await;
    assert!(answers.len() > 6 * 9, "{answers:?}");
    *said += &String::from_utf8_lossy(&answers);
}

/// Frames that can't be, with a password in each.
async fn broken(process: &Process, secrets: &mut Secrets, said: &mut String) {
    let password = secrets.password("a password in a broken frame");
    let bytes = password.as_bytes();
    let whole = request_frame(2, login(CANARY, &password), &Common::default());
    let traced = Common { traceparent: Some(password.as_str().into()), ..Common::default() };
    let mut wire = Wire::connect(process.address).await;
    for (kind, body) in bodies(&whole, bytes) {
        wire.send(&raw_frame(kind, 7, &body)).await;
        let refusal = wire.refusal(7).await;
        assert_eq!(refusal.code.0 >> 8, 1, "{refusal:?}");
        writeln!(said, "{refusal:?}").unwrap();
    }
    wire.send(&request_frame(8, login("nobody", &password), &traced)).await;
    writeln!(said, "{:?}", wire.refusal(8).await).unwrap();
    // Two halves, of which the first waits in memory.
    wire.send(&whole[..whole.len() - 4]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    wire.send(&whole[whole.len() - 4..]).await;
    writeln!(said, "{:?}", wire.refusal(2).await).unwrap();
    wire.send(&[&70_000_u32.to_be_bytes(), bytes].concat()).await;
    writeln!(said, "{:?}", wire.expect_close_with(ErrorCode::FRAME_TOO_LONG).await).unwrap();
    // One that leaves inside a frame.
    let mut wire = Wire::connect(process.address).await;
    wire.send(&whole[..whole.len() - 1]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// What is asked while a part is away; what was told.
pub async fn in_trouble(process: &Process, secrets: &mut Secrets) -> String {
    let mut teller = Teller { client: process.client(), said: String::new() };
    let password = secrets.password("a password while a part is away");
    let email = "late@example.org".into();
    teller
        .asks(Register { username: "late".into(), email, password: password.as_str().into() })
        .await;
    teller.asks(login(CANARY, &password)).await;
    teller.asks(RefreshToken { refresh_token: password.as_str().into() }).await;
    teller.asks(GetUser { access_token: password.as_str().into() }).await;
    teller.client.close().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    teller.said
}
