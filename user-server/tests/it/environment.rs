//! Hostile environments: a database, a disk, a log reader or limits that are not as they should be.
//! Each of these has happened to a service in production.

mod balancer;
mod database;
mod disk;
mod folder;
mod process;
mod roles;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http;
use crate::support::{RunOutput, SECRET, TEST_TIMEOUT};

/// Returns the settings of a node on a shared database.
fn settings(url: &str) -> [(&str, &str); 3] {
    [("PostgreSQL", url), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", "mails")]
}

/// Returns the name of the database in a URL.
fn name(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

/// Returns the URL with another user.
fn with_user(url: &str, user: &str) -> String {
    url.replace("//tests@", &format!("//{user}@"))
}

/// Returns the line of `check` about a component.
fn finding<'a>(run: &'a RunOutput, component: &str) -> &'a str {
    let found = run.output.lines().find(|line| line[7..].starts_with(component));
    found.unwrap_or_else(|| panic!("no finding about {component}: {run:?}"))
}

/// Waits until /readyz reports the store as degraded, or as not degraded.
async fn wait_for_store(monitor: SocketAddr, degraded: bool) -> Value {
    let began = Instant::now();
    loop {
        let body: Value = serde_json::from_str(&http::get(monitor, "/readyz").await.body).unwrap();
        let listed = body["degraded"].as_array().unwrap().iter().any(|name| name == "store");
        if listed == degraded {
            return body;
        }
        assert!(began.elapsed() < TEST_TIMEOUT * 4, "degraded should be {degraded}: {body}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
