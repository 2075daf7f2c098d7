//! The service as its clients see it, with one node or several: an address, and the folder with its
//! emails.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use user_proto::client::Client;
use user_proto::{EmailVerified, ErrorCode, LoggedIn, Login, Register, Registered, VerifyEmail};
use uuid::Uuid;

use super::{EmailFolder, PASSWORD, TEST_TIMEOUT, check};

/// One node, or several behind one address.
pub struct Site {
    pub address: SocketAddr,
    pub emails: EmailFolder,
    /// One node answers all requests, so that a change is visible to every client at once.
    pub single_node: bool,
    /// The clock advances only when a test advances it.
    pub clock_frozen: bool,
}

/// An active account and the tokens of its first session.
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
    /// Returns a client with its own connection. It sends no end user's address, so the limits per
    /// network do not apply.
    pub fn client(&self) -> Client {
        Client::new(self.address.to_string())
    }

    /// Returns four clients, so that many requests do not share the limits of one connection. With
    /// several nodes, their connections reach all of them.
    pub fn clients(&self) -> Vec<Client> {
        (0..4).map(|_| self.client()).collect()
    }

    /// Registers an account.
    pub async fn register(&self, client: &Client, username: &str, email: &str) -> Registered {
        let request =
            Register { username: username.into(), email: email.into(), password: PASSWORD.into() };
        client.call(request).await.unwrap()
    }

    /// Registers an account, and returns the id of its verification and the emailed code.
    pub async fn registered_code(
        &self,
        client: &Client,
        username: &str,
        email: &str,
    ) -> (Uuid, String) {
        let id = self.register(client, username, email).await.verification_id;
        (id, self.emails.code(email, 1).await)
    }

    /// Creates an active account with the address `username@example.org`.
    pub async fn account(&self, client: &Client, username: &str) -> Account {
        let email = format!("{username}@example.org");
        let registered = self.register(client, username, &email).await;
        let code = self.emails.code(&email, 1).await;
        let verification_id = registered.verification_id;
        let verify = VerifyEmail::new(verification_id, code.as_str().into());
        Account { session: client.call(verify).await.unwrap(), email }
    }

    /// Opens another session of an account.
    pub async fn login(&self, client: &Client, login: &str) -> LoggedIn<'static> {
        client.call(Login::new(login.into(), PASSWORD.into())).await.unwrap()
    }

    /// Asserts that the session of an access token has ended: at once on a single node, and with
    /// several nodes when each has read the revocation log.
    pub async fn expect_revoked(&self, client: &Client, access_token: &str) {
        let began = Instant::now();
        loop {
            match check(client, access_token).await {
                Some(code) => return assert_eq!(code, ErrorCode::SESSION_REVOKED),
                None => assert!(
                    !self.single_node && began.elapsed() < TEST_TIMEOUT,
                    "the session has not ended"
                ),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns the number of wrong passwords that one network may try in this time: five, and one
    /// more after each wait, which starts at a second and doubles.
    pub fn allowed_attempts(&self, within: Duration) -> RangeInclusive<usize> {
        let waits = if self.clock_frozen { 0 } else { (within.as_secs() + 1).ilog2() };
        5..=5 + waits as usize
    }
}
