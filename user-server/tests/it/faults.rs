//! Each fault that design has an answer to, under load: what clients see, and that nothing is lost
//! that was answered. Small in every run; in full, for docs/FAULTS.md, where the name begins with
//! `long_`.

mod database;
mod end;
mod mail;
mod neighbours;
mod overload;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use user_proto::client::Client;
use user_proto::{Common, GetUser, VerifyToken};

use crate::support::{Account, CallStats};

/// Between two token checks of one client, and between two other questions.
const CHECK_EVERY: Duration = Duration::from_millis(5);
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// A gateway that has little to do: two clients that check a token, and two that look up a user,
/// until they are dropped.
fn watch(address: &str, account: &Account, stats: &Arc<CallStats>) -> JoinSet<()> {
    let mut watching = JoinSet::new();
    for number in 0..4 {
        let (client, stats, access) = (Client::new(address), stats.clone(), account.access());
        watching.spawn(async move {
            loop {
                if number % 2 == 0 {
                    let asked = VerifyToken { access_token: access.as_str().into() };
                    let _ = stats.call(&client, asked, Common::default()).await;
                    tokio::time::sleep(CHECK_EVERY).await;
                } else {
                    let asked = GetUser { access_token: access.as_str().into() };
                    let _ = stats.call(&client, asked, Common::default()).await;
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        });
    }
    watching
}
