//! Short words for long requests.

use std::time::Duration;

use user_proto::client::{self, Client};
use user_proto::{
    Common, ErrorCode, Login, Register, RequestMessage, RequestPasswordReset, ResetPassword,
    UpdateUser, VerifyEmail, VerifyToken,
};
use uuid::Uuid;

use super::{PASSWORD, TestServer, on_behalf_of};

/// Another password that no dictionary has.
pub const NEW_PASSWORD: &str = "the engine weaves algebra";
/// A code that is none: an E is no digit, and the codes of resets have two groups.
pub const NO_CODE: &str = "E";

pub fn register<'a>(username: &'a str, email: &'a str) -> Register<'a> {
    Register { username: username.into(), email: email.into(), password: PASSWORD.into() }
}

pub fn verify_email(verification_id: Uuid, code: &str) -> VerifyEmail<'_> {
    VerifyEmail { verification_id, code: code.into(), username: None }
}

pub fn login<'a>(login: &'a str, password: &'a str) -> Login<'a> {
    Login { login: login.into(), password: password.into() }
}

pub fn reset_of(email: &str) -> RequestPasswordReset<'_> {
    RequestPasswordReset { email: email.into() }
}

pub fn reset<'a>(verification_id: Uuid, code: &'a str) -> ResetPassword<'a> {
    ResetPassword { verification_id, code: code.into(), new_password: NEW_PASSWORD.into() }
}

/// An update that changes nothing yet.
pub fn update(access_token: &str) -> UpdateUser<'_> {
    let access_token = access_token.into();
    UpdateUser {
        access_token,
        username: None,
        email: None,
        new_password: None,
        current_password: None,
    }
}

/// The same with the password that proves who wishes it.
pub fn proved(access_token: &str) -> UpdateUser<'_> {
    UpdateUser { current_password: Some(PASSWORD.into()), ..update(access_token) }
}

/// What a token check says: nothing, or what is wrong with the token.
pub async fn check(client: &Client, access_token: &str) -> Option<ErrorCode> {
    outcome(client.call(VerifyToken { access_token: access_token.into() }).await).err()
}

/// What a call gave: its reply, or the code that it was refused with.
pub fn outcome<R>(result: Result<R, client::Error>) -> Result<R, ErrorCode> {
    match result {
        Ok(reply) => Ok(reply),
        Err(client::Error::Refused(error)) => Err(error.code),
        Err(error) => panic!("no answer: {error}"),
    }
}

/// The code that a call for an end user at this address was refused with, and how long it has to
/// wait.
pub async fn refused_at<M: RequestMessage>(
    client: &Client,
    ip: &str,
    request: M,
) -> (ErrorCode, Option<Duration>) {
    match client.call_with(request, on_behalf_of(ip)).await {
        Err(client::Error::Refused(error)) => {
            (error.code, error.retry_after_ms.map(|ms| Duration::from_millis(ms.into())))
        }
        Err(error) => panic!("no answer: {error}"),
        Ok(_) => panic!("not refused"),
    }
}

/// A caller who can wait: many hashes on few cores take their time.
pub fn patient() -> Common<'static> {
    Common { deadline_ms: Some(30_000), ..Common::default() }
}

/// Runs all of them at once; what each gave.
pub async fn together<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// How many of the results are refusals of this code.
pub fn count<R>(results: &[Result<R, ErrorCode>], code: ErrorCode) -> usize {
    results.iter().filter(|result| result.as_ref().err() == Some(&code)).count()
}

impl TestServer {
    /// Turns the clock, and wakes the outbox as a request does that queues a mail.
    pub async fn turn(&self, client: &Client, span: Duration) {
        self.clock.advance(span);
        client.call(reset_of("nobody@nowhere.example")).await.unwrap();
    }
}
