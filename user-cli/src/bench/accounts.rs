//! Registers accounts and opens sessions on the server under test before a run.

use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{SystemTime, UNIX_EPOCH};

use user_proto::client::{Client, Config, Tls};
use user_proto::{Common, Login, RefreshToken, Register, RequestMessage, VerifyEmail};
use zeroize::Zeroizing;

use super::mail_dir::MailDir;
use super::progress::Preparation;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::format::counted;
use crate::hints::Situation;
use crate::private_file;

/// Password of every account that the load generator registers.
pub(crate) const PASSWORD: &str = "a bench has four legs";
/// Maximum number of logins to one account. The server allows 100 an hour.
const MAX_LOGINS_PER_ACCOUNT: usize = 50;
/// Maximum number of access tokens from one session: the first one and those of its refreshes. The
/// server allows 60 refreshes an hour.
const TOKENS_PER_SESSION: usize = 50;
/// Number of concurrent requests that hash a password; the server refuses more than 32 per
/// connection.
const CONCURRENT_HASHES: usize = 16;

#[derive(Clone)]
pub(crate) struct Account {
    /// Username or email address.
    pub(crate) login: String,
    pub(crate) password: Zeroizing<String>,
}

#[derive(Clone)]
pub(crate) struct SessionTokens {
    pub(crate) access: Zeroizing<String>,
    pub(crate) refresh: Zeroizing<String>,
}

/// Returns common tags with a new client address on each call, so that no network exceeds its rate
/// limit. The addresses are unique local ones, each in its own /48 network, since the server counts
/// by that too.
pub(crate) fn simulated_client() -> Common<'static> {
    // Every run of the program starts at another number.
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(unix_micros()));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [.., a, b, c, d, e] = number.to_be_bytes();
    let pair = |high, low| u16::from_be_bytes([high, low]);
    let ip = Ipv6Addr::new(pair(0xfd, a), pair(b, c), pair(d, e), 0, 0, 0, 0, 1);
    Common { client_address: Some(std::net::IpAddr::from(ip).into()), ..Common::default() }
}

/// Returns a prefix for the names of accounts and of keys in Redis, different in every run of the
/// program.
pub(crate) fn unique_prefix() -> String {
    format!("b{:x}", unix_micros() & 0xFFFF_FFFF_FFFF)
}

fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or_default()
}

/// A connection to the server under test, for the preparation of a run.
pub(crate) struct Server {
    endpoint: Endpoint,
    client: Client,
    tls: bool,
}

impl Server {
    pub(crate) fn new(endpoint: &Endpoint, tls: Option<&Tls>) -> Self {
        let config = Config {
            wait_for_server: false,
            busy_attempts: 1,
            tls: tls.cloned(),
            allow_plaintext: endpoint.allow_plaintext,
            ..Config::default()
        };
        Self {
            endpoint: endpoint.clone(),
            client: Client::with_config(endpoint.addr.as_str(), config),
            tls: tls.is_some(),
        }
    }

    async fn call<M: RequestMessage>(&self, request: M) -> Result<M::Reply, Failure> {
        self.client.call_with(request, simulated_client()).await.map_err(|error| Failure::Call {
            error,
            situation: Box::new(Situation {
                addr: self.endpoint.addr.clone(),
                addr_source: self.endpoint.source.to_string(),
                tls: self.tls,
                changes: !M::SAFE,
                is_ping: false,
                can_refresh: false,
            }),
        })
    }

    /// Reads the accounts from `file`. If it does not exist, registers `count` accounts, reads
    /// their codes from the mail directory, and writes the accounts to the file.
    ///
    /// # Errors
    /// If there is neither a file nor a mail directory, or if a request fails.
    pub(crate) async fn accounts(
        &self,
        file: Option<&Path>,
        mail_dir: Option<&Path>,
        count: usize,
        preparation: &mut Preparation,
    ) -> Result<Vec<Account>, Failure> {
        match (file, mail_dir) {
            (Some(file), _) if file.exists() => read(file),
            (file, Some(mail_dir)) => {
                let accounts = self.register(mail_dir, count, preparation).await?;
                if let Some(file) = file {
                    write(file, &accounts)?;
                }
                Ok(accounts)
            }
            (Some(file), None) => Err(Failure::usage(
                format!("{} does not exist", file.display()),
                "Name an existing file of accounts. To create it, pass the directory that the \
                 server writes its emails to with --mail-dir.",
            )),
            (None, None) => Err(Failure::usage(
                "this scenario requires accounts",
                "Pass a file of accounts with --accounts, or the directory that the server writes \
                 its emails to with --mail-dir.",
            )),
        }
    }

    async fn register(
        &self,
        mail_dir: &Path,
        count: usize,
        preparation: &mut Preparation,
    ) -> Result<Vec<Account>, Failure> {
        let mut mail_dir = MailDir::open(mail_dir.to_owned())?;
        preparation.begin(&format!("registering {}", counted(count, "account")), count);
        let prefix = unique_prefix();
        let mut accounts = Vec::new();
        for first in (0..count).step_by(CONCURRENT_HASHES) {
            let names: Vec<_> = (first..count.min(first + CONCURRENT_HASHES))
                .map(|number| format!("{prefix}-{number}"))
                .collect();
            let registering = names.iter().map(|name| async move {
                let email = format!("{name}@example.org");
                let password = PASSWORD.into();
                let request =
                    Register { username: name.into(), email: email.as_str().into(), password };
                Ok::<_, Failure>((email.clone(), self.call(request).await?.verification_id))
            });
            for (name, registered) in names.iter().zip(join_all(registering).await) {
                let (email, verification_id) = registered?;
                let code = mail_dir.code(&email).await?;
                let request = VerifyEmail::new(verification_id, code.as_str().into());
                self.call(request).await?;
                accounts.push(Account {
                    login: name.clone(),
                    password: Zeroizing::new(PASSWORD.to_owned()),
                });
                preparation.update(accounts.len());
            }
        }
        Ok(accounts)
    }

    /// Opens `count` sessions, distributed evenly over the accounts.
    pub(crate) async fn sessions(
        &self,
        accounts: &[Account],
        count: usize,
        preparation: &mut Preparation,
    ) -> Result<Vec<SessionTokens>, Failure> {
        check_sessions(count, accounts.len())?;
        if count > 0 {
            preparation.begin(&format!("opening {}", counted(count, "session")), count);
        }
        let mut sessions = Vec::new();
        let logins: Vec<&Account> = accounts.iter().cycle().take(count).collect();
        for batch in logins.chunks(CONCURRENT_HASHES) {
            let logins = batch.iter().map(|account| async move {
                let (login, password) =
                    (account.login.as_str().into(), account.password.as_str().into());
                let reply = self.call(Login::new(login, password)).await?;
                session_tokens(reply.access_token.expose(), reply.refresh_token.expose())
            });
            for session in join_all(logins).await {
                sessions.push(session?);
                preparation.update(sessions.len());
            }
        }
        Ok(sessions)
    }

    /// Returns `count` distinct access tokens. They come from new sessions and their refreshes,
    /// with at most [`TOKENS_PER_SESSION`] tokens from each session.
    pub(crate) async fn tokens(
        &self,
        accounts: &[Account],
        count: usize,
        preparation: &mut Preparation,
    ) -> Result<Vec<Zeroizing<String>>, Failure> {
        let needed = sessions_for_tokens(count, accounts.len());
        let mut sessions = self.sessions(accounts, needed, preparation).await?;
        preparation.begin(&format!("obtaining {}", counted(count, "access token")), count);
        let mut tokens = Vec::new();
        loop {
            preparation.update(tokens.len());
            tokens.extend(
                sessions.iter().take(count - tokens.len()).map(|session| session.access.clone()),
            );
            if tokens.len() >= count {
                return Ok(tokens);
            }
            let refreshing = sessions.iter().map(|old| async move {
                let reply =
                    self.call(RefreshToken { refresh_token: old.refresh.as_str().into() }).await?;
                session_tokens(reply.access_token.expose(), reply.refresh_token.expose())
            });
            sessions = join_all(refreshing).await.into_iter().collect::<Result<_, _>>()?;
        }
    }
}

/// Returns the number of sessions from which `tokens` access tokens are obtained.
pub(crate) fn sessions_for_tokens(tokens: usize, accounts: usize) -> usize {
    tokens.div_ceil(TOKENS_PER_SESSION).max(accounts).min(tokens)
}

/// Checks that `accounts` accounts may open `count` sessions.
///
/// # Errors
/// If the server would refuse some of the logins.
pub(crate) fn check_sessions(count: usize, accounts: usize) -> Result<(), Failure> {
    if count <= accounts.saturating_mul(MAX_LOGINS_PER_ACCOUNT) {
        return Ok(());
    }
    let needed = counted(count.div_ceil(MAX_LOGINS_PER_ACCOUNT), "account");
    let users = count.div_ceil(MAX_LOGINS_PER_ACCOUNT);
    Err(Failure::usage(
        format!("{} need at least {needed}", counted(count, "session")),
        format!("Pass --users {users} and a new file of accounts, or ask for less."),
    ))
}

/// Returns the number of accounts that [`Server::accounts`] provides.
///
/// # Errors
/// If the file of accounts cannot be read.
pub(crate) fn planned(file: Option<&Path>, users: usize) -> Result<usize, Failure> {
    match file {
        Some(file) if file.exists() => Ok(read(file)?.len()),
        _ => Ok(users),
    }
}

/// Polls all futures concurrently on this task and returns their results in order.
async fn join_all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut ready = true;
        for (future, result) in &mut futures {
            if result.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *result = Some(value),
                    Poll::Pending => ready = false,
                }
            }
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    futures.into_iter().filter_map(|(_, result)| result).collect()
}

fn session_tokens(access: &[u8], refresh: &[u8]) -> Result<SessionTokens, Failure> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map(Zeroizing::new);
    match (text(access), text(refresh)) {
        (Ok(access), Ok(refresh)) => Ok(SessionTokens { access, refresh }),
        _ => Err(Failure::usage(
            "the server's tokens are not valid UTF-8",
            "Use the user-cli of the server's release.",
        )),
    }
}

fn read(file: &Path) -> Result<Vec<Account>, Failure> {
    const HINT: &str = "Each line consists of a login, a space, and a password.";
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!("cannot read {}: {error}", file.display()), HINT)
    })?;
    let text = Zeroizing::new(text);
    let mut accounts = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let Some((login, password)) = line.split_once(' ') else {
            return Err(Failure::usage(
                format!("line {} of {} is not an account", number + 1, file.display()),
                HINT,
            ));
        };
        accounts.push(Account {
            login: login.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        });
    }
    if accounts.is_empty() {
        return Err(Failure::usage(format!("{} contains no accounts", file.display()), HINT));
    }
    Ok(accounts)
}

/// Writes accounts to a new file that only its owner can read.
fn write(file: &Path, accounts: &[Account]) -> Result<(), Failure> {
    let mut text = Zeroizing::new(String::new());
    for account in accounts {
        text.push_str(&account.login);
        text.push(' ');
        text.push_str(&account.password);
        text.push('\n');
    }
    private_file::create(file, text.as_bytes()).map_err(|error| {
        Failure::usage(
            format!("cannot write {}: {error}", file.display()),
            "Choose another file with --accounts.",
        )
    })
}
