//! Sessions that are used all the time while versions change, and must never end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use user_proto::RefreshToken;
use user_proto::VerifyToken;
use user_proto::client::Client;

use crate::support::{
    CallStats, EmailFolder, check, long_deadline, outcome, register, verify_email,
};

const COUNT: usize = 8;
/// Pause between two uses of a session, and number of uses for each refresh: a session may be
/// refreshed 60 times an hour.
const PAUSE: Duration = Duration::from_millis(250);
const USES: usize = 40;

/// The tokens with which the sessions began.
pub struct KeptSessions(Vec<(String, String)>);

/// Users of the sessions, each with its last tokens.
pub struct Users {
    stopped: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl KeptSessions {
    /// Creates accounts, each with a session.
    pub async fn open(client: &Client, emails: &EmailFolder) -> Self {
        let mut sessions = Vec::new();
        for number in 0..COUNT {
            let (name, address) = (format!("kept{number}"), format!("kept{number}@example.org"));
            let id = client.call(register(&name, &address)).await.unwrap().verification_id;
            let code = emails.code(&address, 1).await;
            let session = client.call(verify_email(id, &code)).await.unwrap();
            let text = |token: &user_proto::Secret<'_>| token.expose_str().unwrap().to_owned();
            sessions.push((text(&session.access_token), text(&session.refresh_token)));
        }
        Self(sessions)
    }

    /// Verifies and refreshes the tokens of every session until it is stopped. Each refresh uses
    /// the token of the one before.
    pub fn use_until_stopped(&self, client: Client, stats: Arc<CallStats>) -> Users {
        let (stopped, mut tasks) = (Arc::<AtomicBool>::default(), JoinSet::new());
        for (mut access, mut refresh) in self.0.clone() {
            let (client, stats, stopped) = (client.clone(), stats.clone(), stopped.clone());
            tasks.spawn(async move {
                for uses in 1.. {
                    if stopped.load(Ordering::SeqCst) {
                        break;
                    }
                    let request = VerifyToken { access_token: access.as_str().into() };
                    stats.call(&client, request, long_deadline()).await.unwrap();
                    tokio::time::sleep(PAUSE).await;
                    if uses % USES != 0 {
                        continue;
                    }
                    let request = RefreshToken { refresh_token: refresh.as_str().into() };
                    let next = stats.call(&client, request, long_deadline()).await.unwrap();
                    access = next.access_token.expose_str().unwrap().to_owned();
                    refresh = next.refresh_token.expose_str().unwrap().to_owned();
                }
                outcome(client.call(RefreshToken { refresh_token: refresh.as_str().into() }).await)
                    .unwrap();
            });
        }
        Users { stopped, tasks }
    }

    /// Asserts that the first access token of every session is valid on this node.
    pub async fn expect_live(&self, client: &Client) {
        for (access, _) in &self.0 {
            assert_eq!(check(client, access).await, None);
        }
    }
}

impl Users {
    /// Stops the users.
    ///
    /// # Panics
    /// If a request failed.
    pub async fn stop(self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.tasks.join_all().await;
    }
}
