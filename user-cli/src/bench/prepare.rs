//! Prepares the accounts, sessions and tokens of a scenario.

use std::path::Path;
use std::sync::Arc;

use user_proto::VerifyToken;
use zeroize::Zeroizing;

use super::accounts::{self, Server, SessionTokens};
use super::engine::Plan;
use super::mix::{Mix, Op};
use super::progress::Preparation;
use super::user_service::{UserService, Workload};
use crate::context::Context;
use crate::failure::Failure;
use crate::session::{TokenKind, TokenOptions};

/// Options from which accounts and access tokens for a test are obtained.
pub(crate) struct Source<'a> {
    /// File with accounts. If it does not exist, accounts are registered and written to it.
    pub(crate) file: Option<&'a Path>,
    /// The server's mail directory, needed to register accounts.
    pub(crate) mail_dir: Option<&'a Path>,
    /// Number of accounts to register if the file does not exist.
    pub(crate) users: usize,
    /// Number of distinct access tokens to obtain.
    pub(crate) tokens: usize,
}

/// Accounts, sessions and tokens for the connections of a run.
pub(crate) struct Prepared {
    workload: Arc<Workload>,
    sessions: Vec<SessionTokens>,
    sessions_per_connection: usize,
}

impl Prepared {
    /// Returns the protocol of the connection `number`.
    pub(crate) fn protocol(&self, number: usize, plan: &Plan) -> UserService {
        let first = number * self.sessions_per_connection;
        let last = first + self.sessions_per_connection;
        let sessions = self.sessions.get(first..last).unwrap_or_default();
        UserService::new(self.workload.clone(), number, plan.connections, plan.depth, sessions)
    }
}

/// Prepares the accounts, sessions and tokens that the requests of `mix` need. Without a source of
/// accounts, VerifyToken and GetUser use the stored token. New accounts have names that start with
/// `prefix`.
///
/// # Errors
/// If accounts or a token are missing, if the stored token is refused, or if another request to the
/// server fails.
pub(crate) fn prepare(
    context: &mut Context<'_>,
    source: &Source<'_>,
    plan: &Plan,
    mix: &Mix,
    prefix: &str,
) -> Result<Prepared, Failure> {
    let needs_tokens = mix.contains(Op::Verify) || mix.contains(Op::Get);
    let has_accounts = source.file.is_some() || source.mail_dir.is_some();
    let (mut accounts, mut tokens, mut sessions) = (Vec::new(), Vec::new(), Vec::new());
    let mut sessions_per_connection = 0;
    if mix.contains(Op::Login) || mix.contains(Op::Refresh) || needs_tokens && has_accounts {
        let server = Server::new(&context.endpoint, context.tls());
        if mix.contains(Op::Refresh) {
            // Twice the average number of refreshes in flight, since their share fluctuates.
            let average = (plan.depth as f64 * mix.share(Op::Refresh)).ceil() as usize;
            sessions_per_connection = (average * 2).min(plan.depth);
        }
        let mut preparation = Preparation::new(context.global.json);
        let total = sessions_per_connection * plan.connections;
        // Before anything is registered.
        let planned = accounts::planned(source.file, source.users)?;
        accounts::check_sessions(total, planned)?;
        if needs_tokens {
            let sessions = accounts::sessions_for_tokens(source.tokens, planned);
            accounts::check_sessions(sessions, planned)?;
        }
        (accounts, tokens, sessions) = context.runtime.run(async {
            let accounts = server
                .accounts(source.file, source.mail_dir, source.users, &mut preparation)
                .await?;
            let sessions = server.sessions(&accounts, total, &mut preparation).await?;
            let tokens = if needs_tokens {
                server.tokens(&accounts, source.tokens, &mut preparation).await?
            } else {
                Vec::<Zeroizing<String>>::new()
            };
            Ok::<_, Failure>((accounts, tokens, sessions))
        })??;
    } else if needs_tokens {
        context.load()?;
        let token = context.token(TokenKind::Access, &TokenOptions::STORED)?;
        // A refused token would be refused all the time.
        context.call(VerifyToken { access_token: token.as_str().into() })?;
        tokens.push(token);
    }
    let workload = Arc::new(Workload::new(mix, &tokens, accounts, prefix.to_owned()));
    Ok(Prepared { workload, sessions, sessions_per_connection })
}
