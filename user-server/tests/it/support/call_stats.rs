//! The answers that clients get under load, and their latencies.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use user_proto::client::{Client, Error};
use user_proto::{Common, RequestMessage};

pub const LOST: &str = "connection lost";
pub const NO_CONNECTION: &str = "no connection";
pub const NO_ANSWER: &str = "no answer in time";

/// Counts of the answers by phase and request. A call belongs to the phase in which it began,
/// except that one that outlasts the first phase belongs to the second.
#[derive(Default)]
pub struct CallStats(Mutex<Phases>);

#[derive(Default)]
struct Phases {
    names: Vec<&'static str>,
    /// Number of the current phase, from 1; 0 before the first.
    current: usize,
    rows: BTreeMap<(usize, &'static str), Row>,
}

#[derive(Default)]
struct Row {
    latencies: Vec<Duration>,
    answers: BTreeMap<&'static str, usize>,
}

impl CallStats {
    /// Begins the next phase, or an earlier one again.
    pub fn phase(&self, name: &'static str) {
        let mut phases = self.0.lock().unwrap();
        let known = phases.names.iter().position(|known| *known == name);
        phases.current = 1 + known.unwrap_or(phases.names.len());
        if known.is_none() {
            phases.names.push(name);
        }
    }

    fn current(&self) -> usize {
        self.0.lock().unwrap().current
    }

    /// Makes a call, and records its answer.
    pub async fn call<M: RequestMessage>(
        &self,
        client: &Client,
        request: M,
        common: Common<'_>,
    ) -> Result<M::Reply, Error> {
        let (mut phase, began) = (self.current(), Instant::now());
        let result = client.call_with(request, common).await;
        let latency = began.elapsed();
        let mut phases = self.0.lock().unwrap();
        if phase == 1 && phases.current > 1 {
            phase = 2;
        }
        let row = phases.rows.entry((phase, M::NAME)).or_default();
        row.latencies.push(latency);
        *row.answers.entry(answer(&result)).or_default() += 1;
        result
    }

    /// Asserts that every answer is one of `allowed`.
    pub fn assert_only(&self, allowed: &[&str]) {
        self.assert_rows(|_, _| true, allowed);
    }

    /// Like [`CallStats::assert_only`], for one phase.
    pub fn assert_only_in(&self, phase: &str, allowed: &[&str]) {
        self.assert_rows(|name, _| name == phase, allowed);
    }

    /// Like [`CallStats::assert_only`], for one request in one phase.
    pub fn assert_only_of(&self, phase: &str, request: &str, allowed: &[&str]) {
        self.assert_rows(|name, of| name == phase && of == request, allowed);
    }

    fn assert_rows(&self, includes: impl Fn(&str, &str) -> bool, allowed: &[&str]) {
        let phases = self.0.lock().unwrap();
        for ((phase, request), row) in &phases.rows {
            if includes(phases.name(*phase), request) {
                let other = row.answers.keys().any(|answer| !allowed.contains(answer));
                assert!(!other, "{} {request}: {:?}", phases.name(*phase), row.answers);
            }
        }
    }

    /// Counts this answer in a phase, over all requests.
    pub fn count(&self, phase: &str, answer: &str) -> usize {
        let phases = self.0.lock().unwrap();
        let rows = phases.rows.iter().filter(|((number, _), _)| phases.name(*number) == phase);
        rows.filter_map(|(_, row)| row.answers.get(answer)).sum()
    }

    /// Returns the highest latency.
    pub fn max_latency(&self) -> Duration {
        let phases = self.0.lock().unwrap();
        phases.rows.values().flat_map(|row| &row.latencies).max().copied().unwrap_or_default()
    }

    /// Returns a table of all rows, with a title.
    pub fn table(&self, title: &str) -> String {
        let mut text = format!("\n{title}:\n\n{HEADING}");
        let phases = self.0.lock().unwrap();
        for ((phase, request), row) in &phases.rows {
            let mut latencies = row.latencies.clone();
            latencies.sort_unstable();
            let at =
                |percent: usize| millis(latencies[(latencies.len() * percent).div_ceil(100) - 1]);
            let answers: Vec<_> =
                row.answers.iter().map(|(answer, count)| format!("{count} {answer}")).collect();
            let cells =
                [phases.name(*phase), request, &answers.join(", "), &at(50), &at(99), &at(100)];
            text += &format!("| {} |\n", cells.join(" | "));
        }
        text
    }
}

impl Phases {
    fn name(&self, number: usize) -> &'static str {
        number.checked_sub(1).map_or("whole run", |number| self.names[number])
    }
}

const HEADING: &str =
    "| when | request | answers | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|---|\n";

fn millis(latency: Duration) -> String {
    match latency.as_secs_f64() * 1000.0 {
        short if short < 10.0 => format!("{short:.1}"),
        long => format!("{long:.0}"),
    }
}

fn answer<R>(result: &Result<R, Error>) -> &'static str {
    match result {
        Ok(_) => "OK",
        Err(Error::Refused(reply)) => reply.code.name(),
        Err(Error::Lost { .. }) => LOST,
        Err(Error::Connect(_)) => NO_CONNECTION,
        Err(Error::DeadlineExceeded { .. }) => NO_ANSWER,
        Err(other) => panic!("unexpected error: {other}"),
    }
}
