//! Faults that the design covers, under load: the replies that clients get, and no loss of anything
//! answered. Tests run with a small load; those named `long_*` run with the full load of
//! docs/FAULTS.md.

mod database;
mod failover;
mod failover_load;
mod mail;
mod misbehaving_clients;
mod overload;
mod patroni;
mod shutdown;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use user_proto::client::Client;
use user_proto::{Common, GetUser, VerifyToken};

use crate::support::{Account, CallStats};

/// Pause between two token checks of a client.
const CHECK_PAUSE: Duration = Duration::from_millis(5);
/// Pause between two lookups of a client.
const LOOKUP_PAUSE: Duration = Duration::from_millis(40);

/// Starts a gateway under a light load: two clients that check a token, and two that look up a
/// user, until the set is dropped.
fn gateway_load(address: &str, account: &Account, stats: &Arc<CallStats>) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for number in 0..4 {
        let (client, stats, access) = (Client::new(address), stats.clone(), account.access());
        clients.spawn(async move {
            loop {
                if number % 2 == 0 {
                    let request = VerifyToken { access_token: access.as_str().into() };
                    let _ = stats.call(&client, request, Common::default()).await;
                    tokio::time::sleep(CHECK_PAUSE).await;
                } else {
                    let request = GetUser { access_token: access.as_str().into() };
                    let _ = stats.call(&client, request, Common::default()).await;
                    tokio::time::sleep(LOOKUP_PAUSE).await;
                }
            }
        });
    }
    clients
}
