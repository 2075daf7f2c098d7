//! What clients saw under load: every answer, and how long it took.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use user_proto::client::{Client, Error};
use user_proto::{Common, RequestMessage};

pub const LOST: &str = "connection lost";
pub const NO_CONNECTION: &str = "no connection";
pub const NO_ANSWER: &str = "no answer in time";

/// Answers by request, from however many clients, in phases. An answer belongs to the phase in
/// which it was asked for; but the first is the calm one, and has only what came in it.
#[derive(Default)]
pub struct Tally(Mutex<Phases>);

#[derive(Default)]
struct Phases {
    names: Vec<&'static str>,
    rows: BTreeMap<(usize, &'static str), Row>,
}

#[derive(Default)]
struct Row {
    took: Vec<Duration>,
    answers: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// Begins the next phase.
    pub fn phase(&self, name: &'static str) {
        self.0.lock().unwrap().names.push(name);
    }

    fn now(&self) -> usize {
        self.0.lock().unwrap().names.len()
    }

    /// Asks, and counts what came of it.
    pub async fn ask<M: RequestMessage>(
        &self,
        client: &Client,
        request: M,
        common: Common<'_>,
    ) -> Result<M::Reply, Error> {
        let (mut phase, began) = (self.now(), Instant::now());
        let result = client.call_with(request, common).await;
        let took = began.elapsed();
        let mut phases = self.0.lock().unwrap();
        if phase == 1 && phases.names.len() > 1 {
            phase = 2;
        }
        let row = phases.rows.entry((phase, M::NAME)).or_default();
        row.took.push(took);
        *row.answers.entry(answer(&result)).or_default() += 1;
        result
    }

    /// Shows that nothing was answered but this, in any phase.
    pub fn only(&self, allowed: &[&str]) {
        self.hold(|_, _| true, allowed);
    }

    /// The same of one phase.
    pub fn only_in(&self, phase: &str, allowed: &[&str]) {
        self.hold(|name, _| name == phase, allowed);
    }

    /// The same of one request in one phase.
    pub fn only_of(&self, phase: &str, request: &str, allowed: &[&str]) {
        self.hold(|name, asked| name == phase && asked == request, allowed);
    }

    fn hold(&self, concerns: impl Fn(&str, &str) -> bool, allowed: &[&str]) {
        let phases = self.0.lock().unwrap();
        for ((phase, request), row) in &phases.rows {
            if concerns(phases.name(*phase), request) {
                let odd = row.answers.keys().any(|answer| !allowed.contains(answer));
                assert!(!odd, "{} {request}: {:?}", phases.name(*phase), row.answers);
            }
        }
    }

    /// How often there was this answer in a phase, to any request.
    pub fn count(&self, phase: &str, answer: &str) -> usize {
        let phases = self.0.lock().unwrap();
        let rows = phases.rows.iter().filter(|((number, _), _)| phases.name(*number) == phase);
        rows.filter_map(|(_, row)| row.answers.get(answer)).sum()
    }

    /// The longest that anything took.
    pub fn longest(&self) -> Duration {
        let phases = self.0.lock().unwrap();
        phases.rows.values().flat_map(|row| &row.took).max().copied().unwrap_or_default()
    }

    /// A table of everything, under a line that says what it is about.
    pub fn table(&self, about: &str) -> String {
        let mut text = format!("\n{about}:\n\n{HEADING}");
        let phases = self.0.lock().unwrap();
        for ((phase, request), row) in &phases.rows {
            let mut took = row.took.clone();
            took.sort_unstable();
            let at = |hundredths: usize| millis(took[(took.len() * hundredths).div_ceil(100) - 1]);
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
        number.checked_sub(1).map_or("all along", |number| self.names[number])
    }
}

const HEADING: &str =
    "| when | request | answers | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|---|\n";

fn millis(took: Duration) -> String {
    match took.as_secs_f64() * 1000.0 {
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
        Err(other) => panic!("no client should see this: {other}"),
    }
}
