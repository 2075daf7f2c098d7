//! The stored session: the token that a command uses, and changes of the session after a reply.

use std::borrow::Cow;

use clap::Args;
use user_proto::{ErrorCode, Message, TokenReply};

use crate::context::Context;
use crate::failure::Failure;
use crate::format::unix_now;
use crate::secrets::{self, SecretText};
use crate::show::Summary;
use crate::state::Session;

/// Environment variable with an access token.
const TOKEN_VARIABLE: &str = "USER_CLI_TOKEN";

/// Options for a token other than the stored one.
#[derive(Args)]
pub(crate) struct TokenOptions {
    /// Token to use instead of the stored one. Other users of this machine can see it; prefer
    /// $USER_CLI_TOKEN or --token-stdin
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Read the token from the first line of stdin; passwords follow on the next lines
    #[arg(long, conflicts_with = "token")]
    token_stdin: bool,
}

impl TokenOptions {
    /// Options that select the stored token.
    pub(crate) const STORED: Self = Self { token: None, token_stdin: false };
}

/// Option to name the device of a new session.
#[derive(Args)]
pub(crate) struct DeviceOption {
    /// Name of this device, by which you recognise the session in `user-cli sessions`
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

impl DeviceOption {
    /// Returns the value for the field `device` of a request, or `None` if the option is not set.
    pub(crate) fn field(&self) -> Option<Cow<'_, str>> {
        self.device.as_deref().map(Cow::Borrowed)
    }
}

/// Option to print tokens.
#[derive(Args)]
pub(crate) struct ShowTokens {
    /// Print the tokens
    #[arg(long)]
    show_tokens: bool,
}

/// One of the two tokens of a session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Access,
    Refresh,
}

/// Returns the session that a reply describes. Its expiry times are computed from the current time.
fn session_of<const TYPE: u8>(tokens: &TokenReply<'_, TYPE>, over_tls: bool) -> Session {
    let now = unix_now();
    Session {
        user_id: tokens.user_id.to_string(),
        session_id: tokens.session_id.to_string(),
        access_token: tokens.access_token.expose_str().unwrap_or_default().to_owned(),
        access_expires_at: now + u64::from(tokens.access_expires_in),
        refresh_token: tokens.refresh_token.expose_str().unwrap_or_default().to_owned(),
        refresh_expires_at: now + u64::from(tokens.refresh_expires_in),
        over_tls,
    }
}

impl Context<'_> {
    /// Returns the access or refresh token that a command uses: from its options, from
    /// $USER_CLI_TOKEN (access tokens only), or from the stored session.
    ///
    /// # Errors
    /// If there is no token, or if the stored one was received over TLS and would now be sent in
    /// plain text.
    pub(crate) fn token(
        &mut self,
        kind: TokenKind,
        options: &TokenOptions,
    ) -> Result<SecretText, Failure> {
        if let Some(token) = &options.token {
            return Ok(token.clone().into());
        }
        if options.token_stdin {
            return secrets::line(&self.runtime, "token");
        }
        if kind == TokenKind::Access
            && let Ok(token) = std::env::var(TOKEN_VARIABLE)
            && !token.is_empty()
        {
            return Ok(token.into());
        }
        let Some(session) = &self.state.session else {
            return Err(Failure::usage(
                format!("no token is stored for {}", self.endpoint),
                "Log in with `user-cli login <LOGIN>`, or pass a token with --token-stdin or \
                 $USER_CLI_TOKEN.",
            ));
        };
        if session.over_tls && self.tls().is_none() {
            return Err(Failure::usage(
                format!(
                    "the stored token of {} was received over TLS, but this command would send it \
                     in plain text",
                    self.endpoint
                ),
                "Pass --ca or --tls as at login, or set $USER_CLI_CA or $USER_CLI_TLS.",
            ));
        }
        self.uses_stored_token = true;
        Ok(match kind {
            TokenKind::Access => session.access_token.clone(),
            TokenKind::Refresh => session.refresh_token.clone(),
        }
        .into())
    }

    /// Stores the session that a reply describes in place of the previous one, and prints the
    /// reply.
    pub(crate) fn save_session<'a, const TYPE: u8>(
        &mut self,
        reply: &TokenReply<'a, TYPE>,
        headline: &str,
        show: &ShowTokens,
    ) -> Result<(), Failure>
    where
        TokenReply<'a, TYPE>: Message,
    {
        self.state.session = Some(session_of(reply, self.tls().is_some()));
        let saved = self.save();
        let secret_placeholder = if saved {
            "stored (--show-tokens prints it)"
        } else {
            "not stored (--show-tokens prints it)"
        };
        let summary = Summary {
            reveal_secrets: show.show_tokens,
            secret_placeholder,
            ..Summary::new(headline)
        };
        self.show(reply, &summary)?;
        // Nobody has the tokens.
        if saved || show.show_tokens || self.global.json { Ok(()) } else { Err(Failure::Unsaved) }
    }

    /// Deletes the stored session if `token` or `user_id` belongs to it.
    pub(crate) fn forget_session(&mut self, token: &str, user_id: Option<&str>) {
        let belongs = self.state.session.as_ref().is_some_and(|session| {
            session.access_token == token
                || session.refresh_token == token
                || Some(session.user_id.as_str()) == user_id
        });
        if belongs {
            self.state.session = None;
            self.save();
        }
    }

    /// Deletes the stored session if `failure` says that the session has ended.
    pub(crate) fn forget_revoked_session(&mut self, failure: &Failure) {
        if self.uses_stored_token && failure.code() == Some(ErrorCode::SESSION_REVOKED) {
            self.state.session = None;
            self.save();
        }
    }
}
