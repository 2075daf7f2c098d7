//! The service as its clients reach it, whatever stands there: an address, and the folder that its
//! mails go to.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use user_proto::client::Client;
use user_proto::{EmailVerified, ErrorCode, LoggedIn, Login, Register, Registered, VerifyEmail};
use uuid::Uuid;

use super::{Mails, PASSWORD, PATIENCE, check};

/// One node, or several behind one address.
pub struct Site {
    pub address: SocketAddr,
    pub mails: Mails,
    /// Whether one node answers, so that what it says is true at once for every client.
    pub alone: bool,
    /// Whether its clock stands still unless it is turned.
    pub held: bool,
}

/// A confirmed account and the tokens of its first session.
pub struct Account {
    pub email: String,
    pub session: EmailVerified<'static>,
}

impl Account {
    pub fn access(&self) -> String {
        self.session.access_token.expose_str().unwrap().to_owned()
    }

    pub fn refresh(&self) -> String {
        self.session.refresh_token.expose_str().unwrap().to_owned()
    }
}

impl Site {
    /// A client on a connection of its own. It names no end user, so only limits of accounts apply.
    pub fn client(&self) -> Client {
        Client::new(self.address.to_string())
    }

    /// Four connections: a crowd does not share one, and its limits. Before several nodes, they
    /// lead to all of them.
    pub fn crowd(&self) -> Vec<Client> {
        (0..4).map(|_| self.client()).collect()
    }

    /// Registers and gives the mailed code's verification.
    pub async fn register(&self, client: &Client, username: &str, email: &str) -> Registered {
        let request =
            Register { username: username.into(), email: email.into(), password: PASSWORD.into() };
        client.call(request).await.unwrap()
    }

    /// The code of a new registration.
    pub async fn registered_code(
        &self,
        client: &Client,
        username: &str,
        email: &str,
    ) -> (Uuid, String) {
        let id = self.register(client, username, email).await.verification_id;
        (id, self.mails.code(email, 1).await)
    }

    /// A confirmed account, `username@example.org`.
    pub async fn account(&self, client: &Client, username: &str) -> Account {
        let email = format!("{username}@example.org");
        let registered = self.register(client, username, &email).await;
        let code = self.mails.code(&email, 1).await;
        let verification_id = registered.verification_id;
        let verify = VerifyEmail { verification_id, code: code.as_str().into(), username: None };
        Account { session: client.call(verify).await.unwrap(), email }
    }

    /// Another session of an account.
    pub async fn login(&self, client: &Client, login: &str) -> LoggedIn<'static> {
        client.call(Login { login: login.into(), password: PASSWORD.into() }).await.unwrap()
    }

    /// Shows that a session has ended for whoever asks: at once on a node that is alone; on others
    /// when they have read the log, which is a second at most where the machine keeps up.
    pub async fn has_ended(&self, client: &Client, access_token: &str) {
        let began = Instant::now();
        loop {
            match check(client, access_token).await {
                Some(code) => return assert_eq!(code, ErrorCode::SESSION_REVOKED),
                None => assert!(!self.alone && began.elapsed() < PATIENCE, "the session lives"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How many wrong passwords may be tried in this time from one place: five, and one more after
    /// each wait, which doubles from a second on.
    pub fn attempts(&self, within: Duration) -> RangeInclusive<usize> {
        let waits = if self.held { 0 } else { (within.as_secs() + 1).ilog2() };
        5..=5 + waits as usize
    }
}
