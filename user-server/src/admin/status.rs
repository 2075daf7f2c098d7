//! The command `status`: the state of a running server on one screen, from its listener for health
//! checks and metrics.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::command::{CommandError, CommandResult};
use super::timestamps;
use crate::config::Config;
use crate::domain::{Clock, SystemClock, Timestamp};
use crate::http;

#[derive(clap::Args)]
pub struct StatusArgs {
    /// Address of the listener, instead of METRICS_ADDR
    #[arg(long, value_name = "ADDR")]
    addr: Option<SocketAddr>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs `user-server status`. The exit code is 1 if the server is not ready.
///
/// # Errors
/// If the listener cannot be reached.
pub fn status(config: &Config, args: &StatusArgs) -> CommandResult {
    let address = args.addr.or(config.metrics_listen).ok_or_else(|| {
        CommandError::new("METRICS_ADDR is not set")
            .hint("Set it for the server and for this command, or pass --addr.")
    })?;
    let get = |path: &str| {
        http::get(address, path).map_err(|error| {
            CommandError::new(format!("no answer from {address}: {error}")).hint(
                "Check that the server is running with this METRICS_ADDR, and that it is not the \
                 port of the service.",
            )
        })
    };
    let not_ours = || CommandError::new(format!("{address} is not the listener of a user-server"));
    let (_, body) = get("/readyz")?;
    let ready: Value = serde_json::from_str(&body).map_err(|_| not_ours())?;
    let (code, metrics) = get("/metrics")?;
    if code != 200 || ready["version"].as_str().is_none() {
        return Err(not_ours());
    }
    let status = Status { ready, metrics: Samples::parse(&metrics), now: SystemClock.now() };
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", status.as_json())?,
        false => write!(out, "{}", status.as_text())?,
    }
    Ok(if status.text("status") == "ready" { 0 } else { 1 })
}

/// The answers of a server.
struct Status {
    ready: Value,
    metrics: Samples,
    now: Timestamp,
}

impl Status {
    fn text(&self, key: &str) -> String {
        self.ready[key].as_str().unwrap_or_default().to_owned()
    }

    fn started_at(&self) -> Timestamp {
        Timestamp(millis(self.metrics.value("process_start_time_seconds")))
    }

    fn degraded(&self) -> Vec<String> {
        let listed = self.ready["degraded"].as_array().into_iter().flatten();
        listed.filter_map(|name| name.as_str().map(ToOwned::to_owned)).collect()
    }

    /// Describes the state of the email queue, which the server reads from its database.
    fn emails(&self) -> String {
        if self.ready["store"]["reachable"] == false {
            return "unknown, because the database does not answer".to_owned();
        }
        let metric = |name: &str| self.metrics.value(name);
        format!(
            "{} unsent, the oldest for {}; {} held by the rate limit of their address",
            metric("user_server_outbox_unsent"),
            duration(millis(metric("user_server_outbox_oldest_seconds"))),
            metric("user_server_outbox_waiting"),
        )
    }

    /// Returns the name of a degraded component with the reason.
    fn reason(&self, name: &str) -> String {
        let ready = &self.ready;
        let reason = match name {
            "store" if ready["store"]["reachable"] == false => "the database does not answer",
            "store" => "the database cannot be written",
            "revocation_log" => "it could not be read for over a second",
            "keys" => "every key is retired",
            "cache" => "Redis does not answer",
            "outbox" => "emails wait for over a minute",
            "mail" if ready["mail"]["failing"] == true => {
                "the mail server refuses or does not answer"
            }
            _ => return name.to_owned(),
        };
        format!("{name} ({reason}; see the log)")
    }

    fn as_json(&self) -> Value {
        let metric = |name: &str| millis(self.metrics.value(name) / 1000.0);
        json!({
            "status": self.text("status"),
            "version": self.text("version"),
            "started_at": timestamps::format(self.started_at()),
            "uptime_ms": millis_since(self.now, self.started_at()),
            "components": self.ready["components"],
            "degraded": self.degraded(),
            "connections": metric("user_server_connections"),
            "connections_max": metric("user_server_connections_max"),
            "emails_unsent": metric("user_server_outbox_unsent"),
            "emails_waiting": metric("user_server_outbox_waiting"),
            "oldest_email_ms": millis(self.metrics.value("user_server_outbox_oldest_seconds")),
            "revocations_age_ms": millis(self.metrics.value("user_server_revocation_age_seconds")),
            "log_lines_dropped": metric("user_server_log_lines_dropped_total"),
            "memory_bytes": metric("process_resident_memory_bytes"),
        })
    }

    fn as_text(&self) -> String {
        let metric = |name: &str| self.metrics.value(name);
        let degraded = match self.degraded() {
            none if none.is_empty() => "nothing".to_owned(),
            some => some.iter().map(|name| self.reason(name)).collect::<Vec<_>>().join(", "),
        };
        let mut text = format!(
            "status       {}, version {}, up {}\n\
             degraded     {degraded}\n",
            self.text("status"),
            self.text("version"),
            duration(millis_since(self.now, self.started_at())),
        );
        for (name, kind) in self.ready["components"].as_object().into_iter().flatten() {
            text.push_str(&format!("{name:<11}  {}\n", kind.as_str().unwrap_or_default()));
        }
        text.push_str(&format!(
            "connections  {} of {}\n\
             emails       {}\n\
             revocations  read {} ago\n\
             log          {} lines dropped\n\
             memory       {} MiB\n",
            metric("user_server_connections"),
            metric("user_server_connections_max"),
            self.emails(),
            age(millis(metric("user_server_revocation_age_seconds"))),
            metric("user_server_log_lines_dropped_total"),
            millis(metric("process_resident_memory_bytes") / 1000.0) >> 20,
        ));
        text
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

fn millis_since(now: Timestamp, start: Timestamp) -> i64 {
    i64::try_from(now.since(start).as_millis()).unwrap_or(i64::MAX)
}

/// Formats a short age, in milliseconds below ten seconds.
fn age(millis: i64) -> String {
    if millis < 10_000 { format!("{millis} ms") } else { duration(millis) }
}

fn duration(millis: i64) -> String {
    match millis / 1000 {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// The samples of an exposition, summed over their labels.
struct Samples(BTreeMap<String, f64>);

impl Samples {
    fn parse(text: &str) -> Self {
        let mut samples = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let name = series.split('{').next().unwrap_or_default();
            let value: f64 = value.parse().unwrap_or(0.0);
            *samples.entry(name.to_owned()).or_insert(0.0) += value;
        }
        Self(samples)
    }

    fn value(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }
}
