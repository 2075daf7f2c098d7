//! A change under an idempotency key: done once, answered as often as it is asked for.

use bytes::BytesMut;
use user_proto::limits::MAX_FRAME;
use user_proto::{Common, IdempotencyKey, Reply, Request};
use uuid::Uuid;
use zeroize::Zeroize;

use super::{Handler, replies};
use crate::domain::records::Done;
use crate::domain::{Caller, Failure, Fault};
use crate::idempotency::Turn;

/// Whether a request changes anything.
pub(super) fn changes(request: &Request<'_>) -> bool {
    match request {
        Request::Register(_)
        | Request::Login(_)
        | Request::UpdateUser(_)
        | Request::DeleteUser(_)
        | Request::VerifyEmail(_)
        | Request::ResendCode(_)
        | Request::RefreshToken(_)
        | Request::Logout(_)
        | Request::RequestPasswordReset(_)
        | Request::ResetPassword(_)
        | Request::ConfirmEmail(_) => true,
        Request::VerifyToken(_) | Request::GetUser(_) | Request::Ping(_) => false,
    }
}

impl Handler {
    /// Does a request under its key, or tells again what came of it.
    pub(super) async fn once(
        &self,
        key: IdempotencyKey,
        request: Request<'_>,
        caller: Caller,
    ) -> Result<Reply<'static>, Failure> {
        match self.idempotency.claim(key.0, &Said::by(&request)?.0, &caller).await? {
            Turn::Again(done, kid) => self.again(request, key, &done, &kid).await,
            Turn::First(claim) => {
                let answer = self.dispatch(request, &Caller { claim: Some(claim), ..caller }).await;
                if answer.is_err() {
                    self.idempotency.release(claim).await;
                }
                answer
            }
        }
    }

    /// The reply of a request that was done before.
    async fn again(
        &self,
        request: Request<'_>,
        key: IdempotencyKey,
        done: &Done,
        kid: &str,
    ) -> Result<Reply<'static>, Failure> {
        let users = &self.users;
        let missing = || Fault::internal("an idempotency key does not say what its reply needs");
        let code_sent = || done.verification_id.map(|id| users.code_sent(id)).ok_or_else(missing);
        let grant = async || {
            let session = done.session.as_ref().ok_or_else(missing)?;
            self.tokens.grant_again(session, kid, Uuid::from_bytes(key.0), done.at).await
        };
        Ok(match request {
            Request::Register(_) => replies::registered(code_sent()?).into(),
            Request::ResendCode(_) => replies::resent(code_sent()?).into(),
            Request::RequestPasswordReset(_) => replies::reset_requested(code_sent()?).into(),
            Request::Login(_) => replies::logged_in(&grant().await?).into(),
            Request::VerifyEmail(_) => replies::email_verified(&grant().await?).into(),
            Request::RefreshToken(_) => replies::refreshed(&grant().await?).into(),
            Request::UpdateUser(r) => {
                replies::updated(users.changed_before(r.access_token.expose(), done).await?).into()
            }
            Request::ConfirmEmail(r) => replies::email_confirmed(
                users.changed_before(r.access_token.expose(), done).await?.user,
            )
            .into(),
            Request::DeleteUser(_) => {
                user_proto::UserDeleted { user_id: done.user_id.ok_or_else(missing)? }.into()
            }
            Request::Logout(_) => {
                user_proto::LoggedOut { sessions_ended: done.sessions_ended }.into()
            }
            Request::ResetPassword(_) => {
                user_proto::PasswordReset { sessions_ended: done.sessions_ended }.into()
            }
            Request::VerifyToken(_) | Request::GetUser(_) | Request::Ping(_) => {
                return Err(missing().into());
            }
        })
    }
}

/// All that a request says but its common tags, in its one form. Wiped afterwards, since it holds
/// passwords.
struct Said(BytesMut);

impl Said {
    fn by(request: &Request<'_>) -> Result<Self, Fault> {
        // As large as it can become, so that it never moves and leaves a copy.
        let mut said = Self(BytesMut::with_capacity(MAX_FRAME));
        request.encode(0, &Common::default(), &mut said.0).map_err(Fault::internal)?;
        Ok(said)
    }
}

impl Drop for Said {
    fn drop(&mut self) {
        self.0.as_mut().zeroize();
    }
}
