//! Runs one case: the server, the driver, and its calls.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::answer::Answer;
use super::cases::{Call, Case, Need, Step, Until};
use super::check::{self, CallEnd};
use super::driver::Driver;
use super::script::Script;
use super::server::{Server, Settings};
use super::tls::Certificates;
use super::world::World;

/// Time limit for the answer to `connect`. An interpreter may take a second to start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time limit for a case, beginning when the driver has connected.
const CASE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time by which an answer may exceed the deadline of its call, before the driver counts as
/// hanging.
const HANG_MARGIN: Duration = Duration::from_secs(2);
/// Deadline of a call without one.
const DEFAULT_DEADLINE_MS: u64 = 10_000;
/// Time after which a call is repeated that the client was to end in another way.
const REPEAT_INTERVAL: Duration = Duration::from_millis(20);
/// Time limit for these repetitions.
const REPEAT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time in which requests that are sent too often still arrive.
const SETTLE: Duration = Duration::from_millis(100);

/// Result of a case.
pub(super) struct CaseResult {
    pub(super) status: Status,
    pub(super) elapsed: Duration,
    /// Events at the server, in their order.
    pub(super) events: Vec<String>,
    /// Last lines that the driver has logged.
    pub(super) log: Vec<String>,
}

pub(super) enum Status {
    Passed,
    /// The reasons, at least one.
    Failed(Vec<String>),
    /// What the client does not support.
    Skipped(String),
}

/// Runs a case with a driver of its own.
///
/// # Errors
/// If the driver cannot be started, or no port is free.
pub(super) async fn run(
    case: &Case,
    command: &[String],
    certificates: &Arc<Certificates>,
) -> io::Result<CaseResult> {
    let accepts = case.server.iter().filter(|step| matches!(step, Step::Accept(_))).count();
    let world = Arc::new(World::new(accepts));
    let uses_tls = case.needs(Need::Tls);
    let settings = Settings {
        pong: case.pong.clone(),
        keys: case.keys.clone(),
        certificates: uses_tls.then(|| Arc::clone(certificates)),
        has_certificate: case.needs(Need::ClientCertificate),
    };
    let count = if case.needs(Need::TwoAddresses) { 2 } else { 1 };
    let server = Server::start(Arc::clone(&world), settings, count).await?;
    let driver = Arc::new(Mutex::new(Driver::start(command)?));
    let connect = connect(case, &server, certificates);
    let answer = driver.lock().await.send(connect).await;
    let answer = timeout(CONNECT_TIMEOUT, answer.answer()).await;
    let started = Instant::now();
    let status = match answer {
        Ok(Answer::Ok(_)) => {
            let mut calls = JoinSet::new();
            let status = exercise(case, &world, &server, &driver, &mut calls).await;
            calls.shutdown().await;
            status
        }
        Ok(Answer::Unsupported(what)) => Status::Skipped(what),
        Ok(Answer::Failed(reason)) => Status::Failed(vec![reason]),
        Ok(Answer::Error(_)) => {
            let reason = "the driver answered `connect` with `error`; it must not wait for the \
                          connection";
            Status::Failed(vec![reason.to_owned()])
        }
        Err(_) => {
            let seconds = CONNECT_TIMEOUT.as_secs();
            let reason = format!("the driver did not answer `connect` within {seconds} s");
            Status::Failed(vec![reason])
        }
    };
    let elapsed = started.elapsed();
    let (status, log) = end(driver, status).await;
    Ok(CaseResult { status, elapsed, events: world.events(), log })
}

/// Ends the driver, and adds to a failure how the driver ended by itself.
async fn end(driver: Arc<Mutex<Driver>>, mut status: Status) -> (Status, Vec<String>) {
    let Ok(driver) = Arc::try_unwrap(driver) else { return (status, Vec::new()) };
    let mut driver = driver.into_inner();
    if let Status::Failed(reasons) = &mut status
        && reasons.iter().any(|reason| reason.contains("the driver"))
        && let Some(ended) = driver.ended().await
    {
        reasons.push(ended);
    }
    (status, driver.end().await)
}

/// Returns the message that creates the client.
fn connect(case: &Case, server: &Server, certificates: &Certificates) -> Map<String, Value> {
    let has_certificate = case.needs(Need::ClientCertificate);
    let tls = case.needs(Need::Tls).then(|| certificates.of_driver(has_certificate));
    let verifier = case.needs(Need::Verifier).then(|| {
        json!({
            "issuer": "user-service",
            "audience": "user-service",
            "age_limit_ms": case.age_limit_ms.unwrap_or(5_000),
        })
    });
    let message = json!({
        "op": "connect",
        "addresses": server.addresses(case.host.as_deref()),
        "tls": tls,
        "allow_plaintext": case.allow_plaintext,
        "verifier": verifier,
    });
    message.as_object().cloned().unwrap_or_default()
}

/// Reason for which the calls of a case stop.
enum Stop {
    Unsupported(String),
    Failed(String),
}

/// Runs the script and the calls, and compares what happened with what is expected.
async fn exercise(
    case: &Case,
    world: &Arc<World>,
    server: &Server,
    driver: &Arc<Mutex<Driver>>,
    tasks: &mut JoinSet<Result<(usize, CallEnd), Stop>>,
) -> Status {
    for (index, call) in case.calls.iter().enumerate() {
        let ends = Arc::new(std::sync::atomic::AtomicUsize::new(call.count));
        for _ in 0..call.count {
            let (world, driver) = (Arc::clone(world), Arc::clone(driver));
            let (ends, order) = (Arc::clone(&ends), Order::of(case, index, call));
            tasks.spawn(async move {
                let end = order.run(&world, &driver).await?;
                if ends.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1 {
                    world.reach(&order.name);
                }
                Ok((index, end))
            });
        }
    }
    let mut ends: Vec<Vec<CallEnd>> = case.calls.iter().map(|_| Vec::new()).collect();
    let collect = async {
        while let Some(joined) = tasks.join_next().await {
            let (index, end) = joined.map_err(|error| Stop::Failed(error.to_string()))??;
            if let Some(ends) = ends.get_mut(index) {
                ends.push(end);
            }
        }
        Ok(())
    };
    let mut script = Script::new(world, server);
    let steps = async { script.run(&case.server).await.map_err(Stop::Failed) };
    let both = async { tokio::try_join!(collect, steps).map(|_| ()) };
    let result = tokio::select! {
        result = timeout(CASE_TIMEOUT, both) => result.unwrap_or_else(|_| {
            let seconds = CASE_TIMEOUT.as_secs();
            Err(Stop::Failed(format!("the case did not end within {seconds} s")))
        }),
        result = server.accept_others() => Err(Stop::Failed(result.err().unwrap_or_default())),
    };
    if result.is_ok() {
        let _ = timeout(SETTLE, server.accept_others()).await;
    }
    let mut reasons = match result {
        Err(Stop::Unsupported(what)) => return Status::Skipped(what),
        Err(Stop::Failed(reason)) => vec![reason],
        Ok(()) => Vec::new(),
    };
    let ended = reasons.is_empty();
    reasons.extend(check::violations(case, world, &ends, ended));
    if reasons.is_empty() { Status::Passed } else { Status::Failed(reasons) }
}

/// A call that the driver is told to make.
struct Order {
    name: String,
    after: Option<String>,
    /// Token of `verify`, and the way of checking it with which the repetitions end.
    until: Option<(String, Until)>,
    message: Map<String, Value>,
    limit: Duration,
}

impl Order {
    fn of(case: &Case, index: usize, call: &Call) -> Self {
        let message = match call.call.as_str() {
            "close" => json!({ "op": "close" }),
            "verify" => json!({ "op": "verify", "token": call.token }),
            name => json!({
                "op": "call",
                "message": name,
                "fields": call.fields,
                "key": call.key,
                "deadline_ms": call.deadline_ms,
            }),
        };
        let within = case.expect.calls.get(index).and_then(|end| end.within_ms).unwrap_or(0);
        let deadline = call.deadline_ms.unwrap_or(DEFAULT_DEADLINE_MS);
        Self {
            name: call.name.clone(),
            after: call.after.clone(),
            until: call.token.clone().zip(call.until),
            message: message.as_object().cloned().unwrap_or_default(),
            limit: Duration::from_millis(deadline.max(within)) + HANG_MARGIN,
        }
    }

    async fn run(&self, world: &World, driver: &Mutex<Driver>) -> Result<CallEnd, Stop> {
        if let Some(after) = &self.after {
            world.reached(after).await;
        }
        world.trace(format!("driver: `{}` begins", self.name));
        let end = match &self.until {
            None => self.make(driver).await?,
            Some((token, until)) => {
                let repeats = self.repeat(world, driver, token, *until);
                timeout(REPEAT_TIMEOUT, repeats).await.unwrap_or_else(|_| {
                    let (name, seconds) = (&self.name, REPEAT_TIMEOUT.as_secs());
                    Err(Stop::Failed(match until {
                        Until::Local => format!(
                            "after {seconds} s, the client still asks the service about the token \
                             of `{name}`"
                        ),
                        Until::Asked => format!(
                            "after {seconds} s, the client has not asked the service about the \
                             token of `{name}`"
                        ),
                    }))
                })?
            }
        };
        world.trace(format!("driver: `{}` ends with {}", self.name, end.describe()));
        // Leaves the client time to act on the end of the call, as a gateway would.
        sleep(Duration::ZERO).await;
        Ok(end)
    }

    /// Verifies a token until it is checked in this way.
    async fn repeat(
        &self,
        world: &World,
        driver: &Mutex<Driver>,
        token: &str,
        until: Until,
    ) -> Result<CallEnd, Stop> {
        loop {
            let before = world.lock().asked_about(token);
            let end = self.make(driver).await?;
            let has_asked = world.lock().asked_about(token) > before;
            if has_asked == (until == Until::Asked) {
                return Ok(end);
            }
            sleep(REPEAT_INTERVAL).await;
        }
    }

    async fn make(&self, driver: &Mutex<Driver>) -> Result<CallEnd, Stop> {
        let started = Instant::now();
        let pending = driver.lock().await.send(self.message.clone()).await;
        let answer = timeout(self.limit, pending.answer()).await;
        let elapsed = started.elapsed();
        match answer {
            Ok(Answer::Ok(fields)) => Ok(CallEnd { reply: Some(fields), error: None, elapsed }),
            Ok(Answer::Error(error)) => Ok(CallEnd { reply: None, error: Some(error), elapsed }),
            Ok(Answer::Unsupported(what)) => Err(Stop::Unsupported(what)),
            Ok(Answer::Failed(reason)) => {
                Err(Stop::Failed(format!("in the call `{}`: {reason}", self.name)))
            }
            Err(_) => {
                let (name, limit) = (&self.name, self.limit.as_millis());
                Err(Stop::Failed(format!(
                    "the driver did not answer the call `{name}` within {limit} ms"
                )))
            }
        }
    }
}
