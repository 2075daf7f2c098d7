//! What every command works with: the server, the stored state, and where results go.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::Arc;

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use user_proto::client::{Client, Config, Direction, Error, Tls};
use user_proto::{Common, IdempotencyKey, Message, RefreshToken, RequestMessage, client::Tap};

use crate::args::{Global, TokenSource};
use crate::failure::Failure;
use crate::hints::Situation;
use crate::secrets::{self, Typed};
use crate::state::{State, Store};
use crate::{hex, human, output, tls};

/// The access token, where no option gives one.
const TOKEN_VARIABLE: &str = "USER_CLI_TOKEN";

pub(crate) struct Context<'a> {
    pub(crate) global: &'a Global,
    pub(crate) state: State,
    store: Store,
    client: Client,
    tls: Option<Tls>,
    runtime: Runtime,
    /// Whether the token in use is the stored one.
    uses_stored: bool,
    /// Taken by the first request that changes something: another under the same key would be
    /// refused.
    key: Cell<Option<IdempotencyKey>>,
}

/// Which of a session's two tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Access,
    Refresh,
}

impl<'a> Context<'a> {
    pub(crate) fn new(global: &'a Global, asks_server: bool) -> Result<Self, Failure> {
        let tls = if asks_server { tls::of(global)? } else { None };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            Failure::usage(
                format!("can not start: {error}"),
                "Look for limits on open files and memory.",
            )
        })?;
        let config = Config {
            deadline: global.timeout,
            // A person who mistyped an address wants to know now.
            wait_for_server: false,
            tls: tls.clone(),
            tap: global.verbose.then(|| Arc::new(show_frame) as Tap),
            ..Config::default()
        };
        let store = Store::of(&global.addr);
        let client = Client::with_config(global.addr.as_str(), config);
        let key = Cell::new(global.idempotency_key.map(|key| IdempotencyKey(key.into_bytes())));
        Ok(Self {
            global,
            state: State::default(),
            store,
            client,
            tls,
            runtime,
            uses_stored: false,
            key,
        })
    }

    /// TLS, where the server is spoken to so.
    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Reads what is stored. Commands that need none of it work beside a broken file.
    pub(crate) fn load(&mut self) -> Result<(), Failure> {
        self.state = self.store.load()?;
        Ok(())
    }

    /// Stores the state. What was done is done, so that it can't be stored is a warning.
    pub(crate) fn save(&self) -> bool {
        let saved = self.store.save(&self.state);
        if let Err(error) = &saved {
            output::complain(&format!("warning: can not keep the state: {error}"));
        }
        saved.is_ok()
    }

    /// Forgets the stored session where the server says that it has ended: its tokens are good for
    /// nothing more.
    pub(crate) fn forget_what_ended(&mut self, failure: &Failure) {
        if self.uses_stored && failure.says_that_the_session_ended() {
            self.state.session = None;
            self.save();
        }
    }

    /// Sends a request and waits for its reply.
    pub(crate) fn ask<M: RequestMessage>(&self, request: M) -> Result<M::Reply, Failure> {
        let changes = !M::SAFE || M::TYPE == RefreshToken::TYPE;
        let common = Common {
            client_address: self.global.client_address.map(Into::into),
            idempotency_key: if changes { self.key.take() } else { None },
            ..Common::default()
        };
        self.until_interrupted(self.client.call_with(request, common))?
            .map_err(|error| self.failed(error, changes))
    }

    /// A call that failed, with what there is to know about it.
    pub(crate) fn failed(&self, error: Error, changes: bool) -> Failure {
        let fresh = |at| at > human::unix_now();
        let can_refresh = self.uses_stored
            && self.state.session.as_ref().is_some_and(|session| fresh(session.refresh_expires_at));
        let situation = Situation {
            addr: self.global.addr.clone(),
            tls: self.tls.is_some(),
            changes,
            can_refresh,
        };
        Failure::Call { error, situation }
    }

    /// Ctrl-C ends the wait, not the process, so that the terminal and the connection are left in
    /// order.
    pub(crate) fn until_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        self.runtime.block_on(async {
            tokio::select! {
                done = work => Ok(done),
                _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
            }
        })
    }

    /// Runs what blocks, such as reading stdin, until Ctrl-C.
    pub(crate) fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let done = self.until_interrupted(async { tokio::task::spawn_blocking(work).await })?;
        done.map_err(|error| Failure::usage(format!("a defect of user-cli: {error}"), "Report it."))
    }

    /// From now on Ctrl-C ends a wait and no longer the process.
    pub(crate) fn outlive_interrupts(&self) {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let _inside = self.runtime.enter();
            // Registering is all that is needed; where it fails, Ctrl-C ends the process as before.
            let _ = signal(SignalKind::interrupt());
        }
    }

    /// Ends the connection: in order, where all went well. Nobody waits for a server that did not
    /// answer in time, or for a name that is still being looked up.
    pub(crate) fn end(self, in_order: bool) {
        if in_order {
            let _ = self.until_interrupted(self.client.close());
        }
        self.runtime.shutdown_background();
    }

    /// The token that was given, or the stored one.
    pub(crate) fn token(&mut self, kind: Kind, source: &TokenSource) -> Result<Typed, Failure> {
        if let Some(token) = &source.token {
            return Ok(token.clone().into());
        }
        if source.token_stdin {
            return secrets::line(self, "token");
        }
        if kind == Kind::Access
            && let Ok(token) = std::env::var(TOKEN_VARIABLE)
            && !token.is_empty()
        {
            return Ok(token.into());
        }
        let Some(session) = &self.state.session else {
            return Err(Failure::usage(
                format!("no token is stored for {}", self.global.addr),
                "Log in with user-cli login <LOGIN>, or give a token with --token-stdin or $USER_CLI_TOKEN.",
            ));
        };
        if session.over_tls && self.tls.is_none() {
            return Err(Failure::usage(
                format!(
                    "the stored token of {} came over TLS, and this command would send it without",
                    self.global.addr
                ),
                "Give --ca or --tls, as the login did, or set USER_SERVER_CA or USER_SERVER_TLS.",
            ));
        }
        self.uses_stored = true;
        Ok(match kind {
            Kind::Access => session.access_token.clone(),
            Kind::Refresh => session.refresh_token.clone(),
        }
        .into())
    }

    /// Whether `token` is one of the stored session.
    pub(crate) fn is_stored(&self, token: &str) -> bool {
        let session = self.state.session.as_ref();
        session
            .is_some_and(|session| session.access_token == token || session.refresh_token == token)
    }

    /// Prints a result: for a program the reply as it is, for a person `told`.
    pub(crate) fn show<M: Message>(&self, reply: &M, told: &Told) -> io::Result<()> {
        self.show_with(reply, &[], told)
    }

    /// As [`Context::show`], with values that are not the reply's. A person sees them first.
    pub(crate) fn show_with<M: Message>(
        &self,
        reply: &M,
        more: &[(&str, Value, String)],
        told: &Told,
    ) -> io::Result<()> {
        if self.global.json {
            let mut object = output::object(|see| reply.view(see), true);
            object.insert("reply".to_owned(), M::NAME.into());
            object.extend(more.iter().map(|(name, value, _)| ((*name).to_owned(), value.clone())));
            return output::line(&Value::Object(object).to_string());
        }
        let mut rows: Vec<_> =
            more.iter().map(|(name, _, text)| (human::label(name), text.clone())).collect();
        reply.view(&mut |field| {
            let value = match field.value {
                user_proto::FieldValue::Secret(_) if !told.reveal => told.secret.to_owned(),
                _ => human::value(&field, told.reveal),
            };
            rows.push((human::label(field.name), value));
        });
        output::line(&told.headline)?;
        if !rows.is_empty() {
            output::line(&output::aligned(&rows))?;
        }
        match &told.next {
            Some(next) => output::line(&format!("\nnext: {next}")),
            None => Ok(()),
        }
    }
}

/// What a person is told with a result.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) headline: String,
    /// What to do now.
    pub(crate) next: Option<String>,
    /// Whether secrets are shown, and else what stands in their place.
    pub(crate) reveal: bool,
    pub(crate) secret: &'static str,
}

impl Told {
    pub(crate) fn new(headline: impl Into<String>) -> Self {
        Self { headline: headline.into(), ..Self::default() }
    }

    pub(crate) fn next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }
}

pub(crate) fn show_frame(direction: Direction, frame: &[u8]) {
    let arrow = match direction {
        Direction::Sent => "-->",
        Direction::Received => "<--",
    };
    output::complain(&format!("{arrow} {}", hex::text(frame)));
}
