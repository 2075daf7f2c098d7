//! A scripted server that exercises the behaviour of a client, which a driver calls.
//! `docs/CONFORMANCE.md` describes the driver and the cases.

mod answer;
mod cases;
mod check;
mod driver;
mod load;
mod report;
mod run;
mod script;
mod server;
mod tls;
mod values;
mod world;

use std::cmp::Reverse;
use std::io;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(crate) use cases::Case;
pub(crate) use load::{load, select, similar};
pub(crate) use report::{Report, Verdict};
use tls::Certificates;

/// Reason for which no case could be run.
pub(crate) enum Unusable {
    /// The driver cannot be started.
    Driver(io::Error),
    /// The server cannot be started.
    Server(String),
}

/// Runs all cases with this driver, up to `jobs` at the same time. Calls `show` with the lines of
/// each case, in the order of the cases.
///
/// # Errors
/// If the driver or the server cannot be started, or `show` fails.
pub(crate) async fn run_all(
    cases: Vec<Case>,
    command: &[String],
    jobs: usize,
    mut show: impl FnMut(&[String]) -> io::Result<()>,
) -> Result<io::Result<Report>, Unusable> {
    let started = Instant::now();
    let certificates = Arc::new(Certificates::issue().map_err(Unusable::Server)?);
    let slots = Arc::new(Semaphore::new(jobs.max(1)));
    let command: Arc<[String]> = command.into();
    let mut running = JoinSet::new();
    let mut cases: Vec<(usize, Case)> = cases.into_iter().enumerate().collect();
    // The longest cases begin first, so that the others fill the time in which they wait.
    cases.sort_by_key(|(_, case)| Reverse(case.longest_step()));
    for (index, case) in cases {
        let (slots, command) = (Arc::clone(&slots), Arc::clone(&command));
        let certificates = Arc::clone(&certificates);
        running.spawn(async move {
            let _slot = slots.acquire().await;
            let result = run::run(&case, &command, &certificates).await;
            (index, case, result)
        });
    }
    let mut waiting: Vec<Option<(Case, run::CaseResult)>> = Vec::new();
    waiting.resize_with(running.len(), || None);
    let mut results = Vec::new();
    while let Some(joined) = running.join_next().await {
        let (index, case, result) = joined.map_err(|error| Unusable::Server(error.to_string()))?;
        let result = result.map_err(Unusable::Driver)?;
        if let Some(slot) = waiting.get_mut(index) {
            *slot = Some((case, result));
        }
        while let Some(next) = waiting.get_mut(results.len()).and_then(Option::take) {
            if let Err(error) = show(&report::lines(&next.0, &next.1)) {
                return Ok(Err(error));
            }
            results.push(next);
        }
    }
    Ok(Ok(Report { results, elapsed: started.elapsed() }))
}
