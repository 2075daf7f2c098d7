//! What a scenario needs of the server before it starts: accounts, sessions of them, and access
//! tokens.

use std::io::Write;
use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use user_proto::client::{Client, Config, Tls};
use user_proto::{Common, Login, RefreshToken, Register, RequestMessage, VerifyEmail};
use zeroize::Zeroizing;

use super::mails::Mails;
use crate::failure::Failure;
use crate::hints::Situation;

/// What every account that is made here has: guessed by nobody, and worth nothing.
pub(super) const PASSWORD: &str = "a bench has four legs";
/// Hashes under way at once; a server refuses more than 32 on one connection.
const AT_ONCE: usize = 16;

/// A login and its password.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) login: String,
    pub(super) password: Zeroizing<String>,
}

/// A session's tokens.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) access: Zeroizing<String>,
    pub(super) refresh: Zeroizing<String>,
}

/// Another end user at each call, so that no network's budget is spent. They are of a range that
/// documents use, and each has a network of its own, which is a /64.
pub(super) fn somebody() -> Common<'static> {
    // Another run begins elsewhere.
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(micros()));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [.., a, b, c, d] = number.to_be_bytes();
    let ip = Ipv6Addr::new(
        0x2001,
        0xdb8,
        u16::from_be_bytes([a, b]),
        u16::from_be_bytes([c, d]),
        0,
        0,
        0,
        1,
    );
    Common { client_address: Some(std::net::IpAddr::from(ip).into()), ..Common::default() }
}

/// A word that no other run has.
pub(super) fn word() -> String {
    format!("b{:x}", micros() & 0xFFFF_FFFF_FFFF)
}

fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or_default()
}

/// A connection to the server under test for what is prepared.
pub(super) struct Server {
    addr: String,
    client: Client,
    tls: bool,
}

impl Server {
    pub(super) fn at(addr: &str, tls: Option<&Tls>) -> Self {
        let config = Config { wait_for_server: false, tls: tls.cloned(), ..Config::default() };
        Self {
            addr: addr.to_owned(),
            client: Client::with_config(addr, config),
            tls: tls.is_some(),
        }
    }

    async fn ask<M: RequestMessage>(&self, request: M) -> Result<M::Reply, Failure> {
        self.client.call_with(request, somebody()).await.map_err(|error| Failure::Call {
            error,
            situation: Situation {
                addr: self.addr.clone(),
                tls: self.tls,
                changes: !M::SAFE,
                can_refresh: false,
            },
        })
    }

    /// The accounts of a file, or new ones, which the file then keeps.
    pub(super) async fn accounts(
        &self,
        file: Option<&Path>,
        mail_dir: Option<&Path>,
        count: usize,
    ) -> Result<Vec<Account>, Failure> {
        match (file, mail_dir) {
            (Some(file), _) if file.exists() => read(file),
            (file, Some(mail_dir)) => {
                let accounts = self.register(mail_dir, count).await?;
                if let Some(file) = file {
                    keep(file, &accounts)?;
                }
                Ok(accounts)
            }
            (_, None) => Err(Failure::usage(
                "this scenario needs accounts",
                "Name a file of them with --accounts, or with --mail-dir the folder that the server writes its mails to.",
            )),
        }
    }

    async fn register(&self, mail_dir: &Path, count: usize) -> Result<Vec<Account>, Failure> {
        let mut mails = Mails::of(mail_dir.to_owned())?;
        let word = word();
        let mut accounts = Vec::new();
        for first in (0..count).step_by(AT_ONCE) {
            let names: Vec<_> = (first..count.min(first + AT_ONCE))
                .map(|number| format!("{word}-{number}"))
                .collect();
            let registering = names.iter().map(|name| async move {
                let email = format!("{name}@example.org");
                let password = PASSWORD.into();
                let request =
                    Register { username: name.into(), email: email.as_str().into(), password };
                Ok::<_, Failure>((email.clone(), self.ask(request).await?.verification_id))
            });
            for (name, registered) in names.iter().zip(all(registering).await) {
                let (email, verification_id) = registered?;
                let code = mails.code(&email).await?;
                let request =
                    VerifyEmail { verification_id, code: code.as_str().into(), username: None };
                self.ask(request).await?;
                accounts.push(Account {
                    login: name.clone(),
                    password: Zeroizing::new(PASSWORD.to_owned()),
                });
            }
        }
        Ok(accounts)
    }

    /// So many sessions, of the accounts in turn.
    pub(super) async fn sessions(
        &self,
        accounts: &[Account],
        count: usize,
    ) -> Result<Vec<Session>, Failure> {
        let mut sessions = Vec::new();
        let turns: Vec<&Account> = accounts.iter().cycle().take(count).collect();
        for some in turns.chunks(AT_ONCE) {
            let logins = some.iter().map(|account| async move {
                let (login, password) =
                    (account.login.as_str().into(), account.password.as_str().into());
                let reply = self.ask(Login { login, password }).await?;
                session(reply.access_token.expose(), reply.refresh_token.expose())
            });
            for session in all(logins).await {
                sessions.push(session?);
            }
        }
        Ok(sessions)
    }

    /// So many distinct access tokens: each refresh of a session gives one more.
    pub(super) async fn tokens(
        &self,
        sessions: Vec<Session>,
        count: usize,
    ) -> Result<Vec<Zeroizing<String>>, Failure> {
        let mut tokens = Vec::new();
        let mut sessions = sessions;
        loop {
            tokens.extend(
                sessions.iter().take(count - tokens.len()).map(|session| session.access.clone()),
            );
            if tokens.len() >= count {
                return Ok(tokens);
            }
            let refreshing = sessions.iter().map(|old| async move {
                let reply =
                    self.ask(RefreshToken { refresh_token: old.refresh.as_str().into() }).await?;
                session(reply.access_token.expose(), reply.refresh_token.expose())
            });
            sessions = all(refreshing).await.into_iter().collect::<Result<_, _>>()?;
        }
    }
}

/// Runs all at once on this task; their results in order.
async fn all<T>(work: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut work: Vec<_> = work.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut ready = true;
        for (future, result) in &mut work {
            if result.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *result = Some(value),
                    std::task::Poll::Pending => ready = false,
                }
            }
        }
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    work.into_iter().filter_map(|(_, result)| result).collect()
}

fn session(access: &[u8], refresh: &[u8]) -> Result<Session, Failure> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map(Zeroizing::new);
    match (text(access), text(refresh)) {
        (Ok(access), Ok(refresh)) => Ok(Session { access, refresh }),
        _ => Err(Failure::usage(
            "the server's tokens are no text",
            "Compare the versions of server and client.",
        )),
    }
}

fn read(file: &Path) -> Result<Vec<Account>, Failure> {
    let mend = "A line each: the login, a space, the password.";
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!("can not read {}: {error}", file.display()), mend)
    })?;
    let text = Zeroizing::new(text);
    let mut accounts = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let Some((login, password)) = line.split_once(' ') else {
            return Err(Failure::usage(
                format!("line {} of {} is no account", number + 1, file.display()),
                mend,
            ));
        };
        accounts.push(Account {
            login: login.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        });
    }
    if accounts.is_empty() {
        return Err(Failure::usage(format!("{} names no account", file.display()), mend));
    }
    Ok(accounts)
}

/// The file is its owner's alone.
fn keep(file: &Path, accounts: &[Account]) -> Result<(), Failure> {
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut file| {
        accounts.iter().try_for_each(|account| {
            writeln!(file, "{} {}", account.login, account.password.as_str())
        })
    });
    written.map_err(|error| {
        Failure::usage(
            format!("can not write {}: {error}", file.display()),
            "Name another file with --accounts.",
        )
    })
}
