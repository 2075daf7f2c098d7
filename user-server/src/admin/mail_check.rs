//! The check of email delivery: the mail server, and the emails that the database holds for it.

use std::time::Duration;

use crate::config::Config;
use crate::domain::{Backlog, Clock, Fault, OutboxDepth, SystemClock};
use crate::mail::{Sender, SmtpMailer, SmtpServer};
use crate::store::{PostgresStore, SqliteStore};

/// Age from which the oldest unsent email is reported as late. A first retry happens earlier.
const LATE: Duration = Duration::from_secs(60);

/// Checks that the mail server accepts emails from this service. Returns details or the problem.
pub(super) async fn server(server: &SmtpServer, sender: &Sender) -> Result<String, String> {
    match SmtpMailer::new(server.clone(), sender.clone()).probe().await {
        Ok(()) => Ok(format!("{server} answers")),
        Err(error) => Err(error.reason().to_owned()),
    }
}

/// Checks that the emails in the database are being delivered. Returns details or the problem, or
/// `None` if there is no database, or if it cannot be read, which another check reports.
pub(super) async fn queue(config: &Config) -> Option<Result<String, String>> {
    backlog(config).await?.ok().map(|backlog| judge(&backlog))
}

/// Reads the state of the email queue. Returns `None` if there is no database.
async fn backlog(config: &Config) -> Option<Result<Backlog, Fault>> {
    let now = SystemClock.now();
    if let Some(postgres) = &config.postgres {
        return Some(PostgresStore::open(&postgres.options).backlog(now).await);
    }
    let path = config.data_dir.join("users.db");
    if !path.exists() {
        return None;
    }
    Some(SqliteStore::open_read_only(&path).backlog(now).await)
}

fn judge(backlog: &Backlog) -> Result<String, String> {
    let hint = "the log of the server states why they are not sent";
    let unsent = backlog.unsent;
    if backlog.undecided.concern_all() {
        let (domains, networks) = (backlog.undecided.domains, backlog.undecided.networks);
        return Err(format!(
            "since the last delivery, emails to {domains} domains, requested by {networks} \
             networks, were refused: this probably concerns every email; {hint}"
        ));
    }
    let age = backlog.oldest.map_or(Duration::ZERO, |oldest| SystemClock.now().since(oldest));
    if age > LATE {
        let seconds = age.as_secs();
        return Err(format!("{unsent} unsent, the oldest for {seconds} seconds; {hint}"));
    }
    Ok(format!("{unsent} unsent, none of them late"))
}
