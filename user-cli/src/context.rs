//! The environment of a command: the connection to the server, the stored state, and the output of
//! replies.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use user_proto::client::{Client, Config, Error, PoolConfig, Tap, Tls};
use user_proto::verifier::{Verifier, VerifierConfig};
use user_proto::{Common, IdempotencyKey, Message, Ping, RefreshToken, RequestMessage};

use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::format::unix_now;
use crate::hints::Situation;
use crate::options::Global;
use crate::runtime::Runtime;
use crate::show::{self, Summary};
use crate::state::{State, Store};
use crate::{output, tls};

/// Maximum time for an orderly end of the connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A subcommand.
pub(crate) trait Run {
    /// Returns the parts of the server that the command needs. Settings for other parts are not
    /// checked.
    fn needs(&self) -> Needs {
        Needs::Secrets
    }

    /// Executes the command and prints its result.
    ///
    /// Everything that has to be typed is read before the connection is opened, so that no
    /// connection is idle while the user types.
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure>;
}

/// Parts of the server that a command needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: the command works offline.
    Nothing,
    /// Only the address of the server, by which the session stored on this machine is found.
    Address,
    /// A connection, over which the command sends no secret.
    Connection,
    /// A connection, over which the command sends passwords, codes or tokens.
    Secrets,
}

pub(crate) struct Context<'a> {
    pub(crate) global: &'a Global,
    pub(crate) endpoint: Endpoint,
    /// State that is stored for the server; empty until [`Context::load`].
    pub(crate) state: State,
    pub(crate) runtime: Runtime,
    /// Declaration of the whole command line, for completions and man pages.
    pub(crate) declaration: fn() -> clap::Command,
    /// True if the command uses a token of the stored session.
    pub(crate) uses_stored_token: bool,
    store: Store,
    client: Client,
    /// Configuration of `client`.
    config: Config,
    tls: Option<Tls>,
    /// Idempotency key for the first change that the command makes. It is used only once, since the
    /// server rejects a different request under the same key.
    idempotency_key: Cell<Option<IdempotencyKey>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        global: &'a Global,
        declaration: fn() -> clap::Command,
        needs: Needs,
    ) -> Result<Self, Failure> {
        let endpoint = match needs {
            Needs::Nothing => Endpoint::default(),
            _ => Endpoint::resolve(global)?,
        };
        let tls = match needs {
            Needs::Nothing | Needs::Address => None,
            Needs::Connection | Needs::Secrets => tls::of_endpoint(&endpoint)?,
        };
        if needs == Needs::Secrets {
            endpoint.check_secrets()?;
        }
        let config = Config {
            allow_plaintext: endpoint.allow_plaintext,
            deadline: global.timeout,
            // Report a mistyped address at once.
            wait_for_server: false,
            busy_attempts: 1,
            tls: tls.clone(),
            tap: global.verbose.then(|| Arc::new(show::frame) as Tap),
            ..Config::default()
        };
        let idempotency_key = global.idempotency_key.map(|key| IdempotencyKey(key.into_bytes()));
        Ok(Self {
            global,
            state: State::default(),
            runtime: Runtime::new()?,
            declaration,
            uses_stored_token: false,
            store: Store::for_server(&endpoint.addr),
            client: Client::with_config(endpoint.addr.as_str(), config.clone()),
            config,
            endpoint,
            tls,
            idempotency_key: Cell::new(idempotency_key),
        })
    }

    /// Returns the TLS configuration of the server, or `None` if the connection is in plain text.
    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Creates a verifier of tokens with connections of its own to the server.
    ///
    /// # Errors
    /// If the keys of the server would cross a network in plaintext.
    pub(crate) fn verifier(&self, config: VerifierConfig) -> Result<Verifier, Failure> {
        let pool = PoolConfig { client: self.config.clone(), ..PoolConfig::default() };
        let addrs = [self.endpoint.addr.clone()];
        self.runtime
            .run(async { Verifier::connect(&addrs, pool, config) })?
            .map_err(|error| self.call_failure(error, false))
    }

    /// Loads the stored state. Commands that do not need it do not call this, so a damaged file
    /// does not stop them.
    ///
    /// # Errors
    /// If the state file cannot be read.
    pub(crate) fn load(&mut self) -> Result<(), Failure> {
        self.state = self.store.load()?;
        Ok(())
    }

    /// Saves the state and returns true on success. The request has already been executed, so an
    /// error is only a warning.
    pub(crate) fn save(&self) -> bool {
        let saved = self.store.save(&self.state);
        if let Err(error) = &saved {
            let file = self.store.location();
            output::error_line(&format!("warning: cannot store the session in {file}: {error}"));
        }
        saved.is_ok()
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// [`Failure::Call`] if there is no reply or the server refuses, [`Failure::Interrupted`] on
    /// Ctrl-C.
    pub(crate) fn call<M: RequestMessage>(&self, request: M) -> Result<M::Reply, Failure> {
        let changes = !M::SAFE || M::TYPE == RefreshToken::TYPE;
        let common = Common {
            client_address: self.global.client_address.map(Into::into),
            idempotency_key: if changes { self.idempotency_key.take() } else { None },
            ..Common::default()
        };
        self.runtime.run(self.client.call_with(request, common))?.map_err(|error| {
            let situation = self.situation(changes);
            let situation = Situation { is_ping: M::TYPE == Ping::TYPE, ..situation };
            Failure::Call { error, situation: Box::new(situation) }
        })
    }

    /// Returns the failure for a call that ended with `error`. `changes` is true if the request may
    /// have changed something.
    pub(crate) fn call_failure(&self, error: Error, changes: bool) -> Failure {
        Failure::Call { error, situation: Box::new(self.situation(changes)) }
    }

    fn situation(&self, changes: bool) -> Situation {
        let can_refresh = self.uses_stored_token
            && self
                .state
                .session
                .as_ref()
                .is_some_and(|session| session.refresh_expires_at > unix_now());
        Situation {
            addr: self.endpoint.addr.clone(),
            addr_source: self.endpoint.source.to_string(),
            tls: self.tls.is_some(),
            changes,
            is_ping: false,
            can_refresh,
        }
    }

    /// Closes the connection to the server. Waits for an orderly end only if `gracefully` is true:
    /// after a failure, the server may not be responding.
    pub(crate) fn close(self, gracefully: bool) {
        if gracefully {
            let close = async { tokio::time::timeout(CLOSE_TIMEOUT, self.client.close()).await };
            let _ = self.runtime.run(close);
        }
        self.runtime.shut_down();
    }

    /// Prints a reply.
    pub(crate) fn show<M: Message>(&self, reply: &M, summary: &Summary) -> io::Result<()> {
        self.show_with(reply, &[], summary)
    }

    /// Prints a reply with additional values, as (JSON key, JSON value, text).
    pub(crate) fn show_with<M: Message>(
        &self,
        reply: &M,
        extra: &[(&str, Value, String)],
        summary: &Summary,
    ) -> io::Result<()> {
        if self.global.json { show::json(reply, extra) } else { show::text(reply, extra, summary) }
    }
}
