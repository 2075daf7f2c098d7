//! Constructors of requests, and the outcomes of calls.

use std::time::Duration;

use user_proto::client::{self, Client};
use user_proto::{
    Common, ErrorCode, Login, Register, RequestMessage, RequestPasswordReset, ResetPassword,
    UpdateUser, VerifyEmail, VerifyToken,
};
use uuid::Uuid;

use super::{PASSWORD, TestServer, on_behalf_of};

/// Another password that the blocklist does not contain.
pub const NEW_PASSWORD: &str = "the engine weaves algebra";
/// Text that cannot be a code: an E is not a digit, and the codes of resets have two groups.
pub const NO_CODE: &str = "E";

pub fn register<'a>(username: &'a str, email: &'a str) -> Register<'a> {
    Register { username: username.into(), email: email.into(), password: PASSWORD.into() }
}

pub fn verify_email(verification_id: Uuid, code: &str) -> VerifyEmail<'_> {
    VerifyEmail::new(verification_id, code.into())
}

pub fn login<'a>(login: &'a str, password: &'a str) -> Login<'a> {
    Login::new(login.into(), password.into())
}

pub fn request_reset(email: &str) -> RequestPasswordReset<'_> {
    RequestPasswordReset { email: email.into() }
}

pub fn reset<'a>(verification_id: Uuid, code: &'a str) -> ResetPassword<'a> {
    ResetPassword { verification_id, code: code.into(), new_password: NEW_PASSWORD.into() }
}

/// Returns an update without changes, to be filled in.
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

/// Like [`update`], with the current password.
pub fn update_with_password(access_token: &str) -> UpdateUser<'_> {
    UpdateUser { current_password: Some(PASSWORD.into()), ..update(access_token) }
}

/// Verifies an access token. Returns the code of the refusal, or `None` if the token is valid.
pub async fn check(client: &Client, access_token: &str) -> Option<ErrorCode> {
    outcome(client.call(VerifyToken { access_token: access_token.into() }).await).err()
}

/// Reduces the result of a call to its reply or the code of its refusal.
///
/// # Panics
/// If the server did not answer.
pub fn outcome<R>(result: Result<R, client::Error>) -> Result<R, ErrorCode> {
    match result {
        Ok(reply) => Ok(reply),
        Err(client::Error::Refused(error)) => Err(error.code),
        Err(error) => panic!("no answer: {error}"),
    }
}

/// Makes a call for an end user at this address, and returns the code of its refusal and the time
/// after which to retry.
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

/// The common tags with a deadline of 30 s: many hashes on few cores take long.
pub fn long_deadline() -> Common<'static> {
    Common { deadline_ms: Some(30_000), ..Common::default() }
}

/// Makes a call, and repeats it while it is answered BUSY, as a client library does: one end user
/// has only a part of a connection.
pub async fn call_patiently<M: RequestMessage + Clone>(
    client: &Client,
    request: M,
    common: Common<'static>,
) -> Result<M::Reply, ErrorCode> {
    loop {
        match outcome(client.call_with(request.clone(), common.clone()).await) {
            Err(ErrorCode::BUSY) => tokio::time::sleep(Duration::from_millis(50)).await,
            other => return other,
        }
    }
}

/// Runs the tasks concurrently, and returns their results in order.
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

/// Counts the refusals with this code.
pub fn count<R>(results: &[Result<R, ErrorCode>], code: ErrorCode) -> usize {
    results.iter().filter(|result| result.as_ref().err() == Some(&code)).count()
}

impl TestServer {
    /// Advances the clock, and notifies the outbox worker by a request that queues an email.
    pub async fn advance_outbox(&self, client: &Client, span: Duration) {
        self.clock.advance(span);
        client.call(request_reset("nobody@nowhere.example")).await.unwrap();
    }
}
