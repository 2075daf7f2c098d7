//! One life with every message: right, wrong, used up, and broken, with a secret in each.

use std::fmt::Write as _;
use std::time::Duration;

use user_proto::client::Client;
use user_proto::{
    Common, ConfirmEmail, DeleteUser, ErrorCode, GetUser, Login, Logout, Ping, RefreshToken, Register, RequestMessage,
    RequestPasswordReset, ResendCode, ResetPassword, Secret, UpdateUser, VerifyEmail, VerifyToken,
};

use super::search::Secrets;
use crate::support::{Mails, Process, Wire, on_behalf_of, raw_frame, request_frame, update};

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

async fn code(mails: &Mails, secrets: &mut Secrets, address: &str, count: usize) -> String {
    let code = mails.code(address, count).await;
    secrets.note_users("a code", &code);
    code
}

fn login<'a>(name: &'a str, password: &'a str) -> Login<'a> {
    Login { login: name.into(), password: password.into() }
}

/// Lives it against a process; what clients were told that was no success. Nobody is connected any more then.
pub async fn live(process: &Process, mails: &Mails, secrets: &mut Secrets) -> String {
    let mut teller = Teller { client: process.client(), said: String::new() };
    let password = secrets.password("the password");
    let register = |email, password| Register { username: CANARY.into(), email, password };
    let id = teller.gets(register(ADDRESS.into(), password.as_str().into())).await.verification_id;
    teller.is_refused(register("no address".into(), password.as_str().into())).await;
    let mailed = code(mails, secrets, ADDRESS, 1).await;
    for guess in ["000000", "E", &password] {
        teller.is_refused(VerifyEmail { verification_id: id, code: guess.into(), username: None }).await;
    }
    teller.is_refused(ResendCode { verification_id: id }).await;
    let verify = VerifyEmail { verification_id: id, code: mailed.as_str().into(), username: None };
    let (access, refresh) = tokens!(secrets, teller.gets(verify.clone()).await);
    teller.is_refused(verify).await;
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
    let moved = teller.gets(UpdateUser { email: Some("moved@example.org".into()), ..proved.clone() }).await;
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
    teller.is_refused(DeleteUser { access_token: access_token(), current_password: wrong.as_str().into() }).await;

    // Another account comes and goes; the first one stays, to be found.
    let leaver = secrets.password("the password of who leaves");
    let email = "leaver@example.org";
    let username = "leaver".into();
    let left = Register { username, email: email.into(), password: leaver.as_str().into() };
    let verification_id = teller.gets(left).await.verification_id;
    let mailed = code(mails, secrets, email, 1).await;
    let verify = VerifyEmail { verification_id, code: mailed.as_str().into(), username: None };
    let (access, _) = tokens!(secrets, teller.gets(verify).await);
    teller.gets(DeleteUser { access_token: access.into(), current_password: leaver.as_str().into() }).await;
    teller.gets(Ping {}).await;
    teller.client.close().await;
    broken(process, secrets, &mut teller.said).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    teller.said
}

async fn code_of_reset(mails: &Mails, secrets: &mut Secrets) -> String {
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

/// Frames that can't be, with a password in each.
async fn broken(process: &Process, secrets: &mut Secrets, said: &mut String) {
    let password = secrets.password("a password in a broken frame");
    let bytes = password.as_bytes();
    let whole = request_frame(2, login(CANARY, &password), &Common::default());
    let traced = Common { traceparent: Some(password.as_str().into()), ..Common::default() };
    let mut wire = Wire::connect(process.address).await;
    // Of no type; cut short; with bytes too many; in a tag that must be known; in place of an address.
    for (kind, body) in [
        (0x3F, bytes.to_vec()),
        (0x02, whole[9..whole.len() - 3].to_vec()),
        (0x02, [&whole[9..], bytes].concat()),
        (0x02, [&whole[9..], &[0xEE, 0, 4], &bytes[..4]].concat()),
        (0x02, [&whole[9..], &[0xE1, 0, 24], &bytes[..24]].concat()),
        (0x03, [&[0xFF, 0xFF], bytes].concat()),
    ] {
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
    writeln!(said, "{:?}", wire.ends_with(ErrorCode::FRAME_TOO_LONG).await).unwrap();
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
    teller.asks(Register { username: "late".into(), email, password: password.as_str().into() }).await;
    teller.asks(login(CANARY, &password)).await;
    teller.asks(RefreshToken { refresh_token: password.as_str().into() }).await;
    teller.asks(GetUser { access_token: password.as_str().into() }).await;
    teller.client.close().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    teller.said
}
