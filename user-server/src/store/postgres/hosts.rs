//! The servers of one database, of which one accepts writes. All are asked at once.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, Row};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::sql;

/// Maximum time to wait for one server: less than the pool waits for a connection, so that a server
/// that answered is used although another is silent.
const HOST_TIMEOUT: Duration = Duration::from_millis(900);
/// Time for which the others are waited for once a server that accepts writes has answered. One of
/// them may be its successor.
const OTHERS: Duration = Duration::from_millis(150);
/// Time for which a choice among the servers applies to further connections, which do not wait for
/// a silent server again.
const CHOICE_VALID: Duration = Duration::from_secs(1);
/// Pause before a server that accepts no writes is asked again while another does not answer: it
/// may be promoted at this moment.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Query for the timeline of a server, or NULL if the server accepts no writes. A standby that is
/// promoted begins a new timeline, with a higher number.
const TIMELINE: &str = "SELECT CASE
    WHEN pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean THEN NULL
    ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END";
/// Query of a server that does not tell its timeline.
const READ_ONLY: &str = "SHOW transaction_read_only";

/// Servers of one database. A clone shares the highest timeline that was seen.
#[derive(Clone)]
pub(super) struct Hosts {
    each: Vec<PgConnectOptions>,
    /// Set if a server must accept writes.
    writable: bool,
    highest: Arc<AtomicU32>,
    /// Server that was chosen last after the others had time to answer, its timeline, and when.
    choice: Arc<Mutex<Option<(usize, u32, Instant)>>>,
}

/// Connection to a server that accepts writes.
struct Candidate {
    /// Timeline of the server, or zero if it does not tell.
    timeline: u32,
    index: usize,
    connection: PgConnection,
}

impl Hosts {
    /// `each` must not be empty. One server is asked whether it accepts writes only if `writable`
    /// is set; several always are.
    pub(super) fn new(each: Vec<PgConnectOptions>, writable: bool) -> Self {
        let writable = writable || each.len() > 1;
        Self { each, writable, highest: Arc::default(), choice: Arc::default() }
    }

    /// Changes the options of each server.
    pub(super) fn map(&self, change: impl Fn(PgConnectOptions) -> PgConnectOptions) -> Self {
        Self { each: self.each.iter().cloned().map(change).collect(), ..self.clone() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PgConnectOptions> {
        self.each.iter()
    }

    /// Returns the highest timeline that was seen. A connection to a lower one is obsolete.
    pub(super) fn timeline(&self) -> u32 {
        self.highest.load(Ordering::Relaxed)
    }

    /// Connects to the server that accepts writes. Among several, a paused leader may have resumed:
    /// the highest timeline wins, and none below the highest that was seen is accepted.
    ///
    /// # Errors
    /// The error of the only server. Of several, an error that a server reported, or else a text
    /// with the state of each.
    pub(super) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        if let ([only], false) = (self.each.as_slice(), self.writable) {
            return only.connect().await;
        }
        let mut asked = JoinSet::new();
        let ask_host = |asked: &mut JoinSet<_>, index, pause| {
            let Some(options) = self.each.get(index).cloned() else { return };
            asked.spawn(async move {
                sleep(pause).await;
                (index, ask(options).await)
            });
        };
        let mut silent: Vec<usize> = (0..self.each.len()).collect();
        silent.iter().for_each(|index| ask_host(&mut asked, *index, Duration::ZERO));
        let (mut failures, mut best, chosen) = (BTreeMap::new(), None, self.chosen());
        let mut until = Instant::now() + HOST_TIMEOUT;
        while let Ok(Some(answer)) = timeout_at(until, asked.join_next()).await {
            let Ok((index, answer)) = answer else { continue };
            silent.retain(|other| *other != index);
            let failure = match answer {
                Ok((connection, Some(timeline))) if timeline >= self.timeline() => {
                    let others = match chosen == Some((index, timeline)) {
                        true => Duration::ZERO,
                        false => self.time_for_others(timeline),
                    };
                    until = until.min(Instant::now() + others);
                    best = better(best, Candidate { timeline, index, connection });
                    None
                }
                Ok((_, Some(_))) => Some(state("replaced by another server")),
                Ok((_, None)) => Some(state("read-only")),
                Err(error) => Some(error),
            };
            if silent.is_empty() {
                failures.extend(failure.map(|failure| (index, failure)));
                break;
            }
            if let Some(failure) = failure {
                failures.insert(index, failure);
                ask_host(&mut asked, index, ASK_AGAIN);
            }
        }
        let Some(Candidate { timeline, index, connection }) = best else {
            return Err(self.failure(failures));
        };
        if chosen != Some((index, timeline)) {
            *self.choice.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((index, timeline, Instant::now()));
        }
        match self.highest.fetch_max(timeline, Ordering::Relaxed) {
            highest if highest > timeline => Err(state("the server was replaced by another")),
            highest => {
                if 0 < highest && highest < timeline {
                    tracing::info!(timeline, "the database is served by a promoted server");
                }
                Ok(connection)
            }
        }
    }

    /// Returns the server that was chosen a moment ago, and its timeline.
    fn chosen(&self) -> Option<(usize, u32)> {
        let choice = *self.choice.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = choice.filter(|(_, _, at)| at.elapsed() < CHOICE_VALID);
        recent.map(|(index, timeline, _)| (index, timeline))
    }

    /// Returns how long the other servers are waited for after one with this timeline has answered:
    /// longer for the first connection of a process, which knows of no failover yet.
    fn time_for_others(&self, timeline: u32) -> Duration {
        if timeline > 0 && self.timeline() == 0 { HOST_TIMEOUT } else { OTHERS }
    }

    /// Combines the failures of the servers. A server without one has not answered.
    fn failure(&self, mut failures: BTreeMap<usize, sqlx::Error>) -> sqlx::Error {
        let reported = |(index, error): (&usize, &sqlx::Error)| {
            (self.each.len() == 1 || error.as_database_error().is_some()).then_some(*index)
        };
        let reported = failures.iter().find_map(reported);
        if let Some(error) = reported.and_then(|index| failures.remove(&index)) {
            return error;
        }
        let states = self.each.iter().enumerate().map(|(index, options)| {
            let failure = failures.remove(&index).unwrap_or_else(|| state("no answer"));
            format!("{}:{}: {}", options.get_host(), options.get_port(), sql::fault(failure))
        });
        let states: Vec<String> = states.collect();
        state(&format!("no server accepts writes ({})", states.join("; ")))
    }
}

/// Returns the candidate with the higher timeline, or else the one that comes first in order.
fn better(best: Option<Candidate>, other: Candidate) -> Option<Candidate> {
    let rank = |candidate: &Candidate| (candidate.timeline, usize::MAX - candidate.index);
    best.filter(|best| rank(best) > rank(&other)).or(Some(other))
}

/// Connects to a server. Returns the connection and the server's timeline, which is zero if it does
/// not tell, or `None` if it accepts no writes.
async fn ask(options: PgConnectOptions) -> Result<(PgConnection, Option<u32>), sqlx::Error> {
    let asked = async {
        let mut connection = options.connect().await?;
        let timeline = match sqlx::raw_sql(TIMELINE).fetch_one(&mut connection).await {
            Ok(row) => row
                .try_get::<Option<String>, _>(0)?
                .map(|digits| u32::from_str_radix(&digits, 16).unwrap_or(0)),
            Err(sqlx::Error::Database(_)) => {
                let row = sqlx::raw_sql(READ_ONLY).fetch_one(&mut connection).await?;
                (row.try_get::<String, _>(0)? == "off").then_some(0)
            }
            Err(error) => return Err(error),
        };
        Ok((connection, timeline))
    };
    timeout(HOST_TIMEOUT, asked).await.unwrap_or_else(|_| Err(state("no answer")))
}

/// Returns the error for a server in this state.
fn state(text: &str) -> sqlx::Error {
    io::Error::other(text).into()
}
