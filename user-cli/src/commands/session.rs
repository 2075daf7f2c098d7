//! Sessions: log in, check, refresh, log out.

use serde_json::Value;
use user_proto::{
    EmailVerified, LoggedIn, Login, Logout, RefreshToken, TokenRefreshed, VerifyToken,
};

use super::{Context, Failure};
use crate::args;
use crate::context::{Kind, Told};
use crate::state::Session;
use crate::{human, secrets};

pub(super) fn login(context: &mut Context<'_>, args: &args::Login) -> Result<(), Failure> {
    context.load()?;
    let password = secrets::password(context, "Password", args.password_stdin)?;
    let logged_in = context
        .ask(Login { login: args.login.as_str().into(), password: password.as_str().into() })?;
    let kept = context.keep_session(&logged_in);
    context.show(&logged_in, &kept.told("Logged in.", args.show.show_tokens))?;
    Ok(())
}

pub(super) fn verify(context: &mut Context<'_>, args: &args::Verify) -> Result<(), Failure> {
    context.load()?;
    let token = context.token(Kind::Access, &args.token)?;
    let verified = context.ask(VerifyToken { access_token: token.as_str().into() })?;
    let told = match verified.stale_ms {
        None => Told::new("The token is good."),
        Some(_) => Told::new(
            "The token was good when the server last knew; what was revoked since is missing.",
        ),
    };
    context.show_with(&verified, &[("valid", Value::Bool(true), "yes".to_owned())], &told)?;
    Ok(())
}

pub(super) fn refresh(context: &mut Context<'_>, args: &args::Refresh) -> Result<(), Failure> {
    context.load()?;
    let token = context.token(Kind::Refresh, &args.token)?;
    let refreshed = context.ask(RefreshToken { refresh_token: token.as_str().into() })?;
    let kept = context.keep_session(&refreshed);
    context.show(&refreshed, &kept.told("Refreshed.", args.show.show_tokens))?;
    Ok(())
}

pub(super) fn logout(context: &mut Context<'_>, args: &args::Logout) -> Result<(), Failure> {
    context.load()?;
    let token = context.token(Kind::Access, &args.token)?;
    let ended = context
        .ask(Logout { token: token.as_str().into(), all_sessions: args.all.then_some(()) })?;
    context.forget_session(&token, None);
    context.show(&ended, &Told::new("Logged out."))?;
    Ok(())
}

/// A reply that brings the tokens of a session.
pub(super) trait Tokens {
    fn session(&self) -> Session;
}

/// The replies that do have the same fields, and no type in common.
macro_rules! tokens {
    ($($reply:ident)*) => {$(
        impl Tokens for $reply<'_> {
            fn session(&self) -> Session {
                let now = human::unix_now();
                Session {
                    user_id: self.user_id.to_string(),
                    session_id: self.session_id.to_string(),
                    access_token: self.access_token.expose_str().unwrap_or_default().to_owned(),
                    access_expires_at: now + u64::from(self.access_expires_in),
                    refresh_token: self.refresh_token.expose_str().unwrap_or_default().to_owned(),
                    refresh_expires_at: now + u64::from(self.refresh_expires_in),
                    over_tls: false,
                }
            }
        }
    )*};
}

tokens! { LoggedIn EmailVerified TokenRefreshed }

/// Whether the tokens of a reply could be stored.
pub(super) struct Kept(bool);

impl Kept {
    pub(super) fn told(&self, headline: &str, reveal: bool) -> Told {
        let secret = if self.0 {
            "kept (--show-tokens prints it)"
        } else {
            "not kept, and not shown (--show-tokens prints it)"
        };
        Told { headline: headline.to_owned(), next: None, reveal, secret }
    }
}

impl Context<'_> {
    /// Stores the tokens of a reply in place of those before.
    pub(super) fn keep_session(&mut self, reply: &impl Tokens) -> Kept {
        let mut session = reply.session();
        session.over_tls = self.tls().is_some();
        self.state.session = Some(session);
        Kept(self.save())
    }

    /// Forgets the stored session, where `token` or the user is its own.
    pub(super) fn forget_session(&mut self, token: &str, user_id: Option<&str>) {
        let is_users = self
            .state
            .session
            .as_ref()
            .is_some_and(|session| Some(session.user_id.as_str()) == user_id);
        if self.is_stored(token) || is_users {
            self.state.session = None;
            self.save();
        }
    }
}
