//! What clients saw under load: every answer, and how long it took.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use user_proto::client::{Client, Error};
use user_proto::{Common, RequestMessage};

pub const LOST: &str = "connection lost";
const NO_CONNECTION: &str = "no connection";
const NO_ANSWER: &str = "no answer in time";

/// Answers by request, from however many clients.
#[derive(Default)]
pub struct Tally(Mutex<BTreeMap<&'static str, Row>>);

#[derive(Default, Clone)]
struct Row {
    took: Vec<Duration>,
    answers: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// Asks, and counts what came of it.
    pub async fn ask<M: RequestMessage>(
        &self,
        client: &Client,
        request: M,
        common: Common<'_>,
    ) -> Result<M::Reply, Error> {
        let began = Instant::now();
        let result = client.call_with(request, common).await;
        self.add(M::NAME, began.elapsed(), answer(&result));
        result
    }

    /// Counts an answer that was had otherwise.
    pub fn add(&self, request: &'static str, took: Duration, answer: &'static str) {
        let mut rows = self.0.lock().unwrap();
        let row = rows.entry(request).or_default();
        row.took.push(took);
        *row.answers.entry(answer).or_default() += 1;
    }

    /// Shows that nothing was answered but this.
    pub fn only(&self, allowed: &[&str]) {
        for (request, row) in &*self.0.lock().unwrap() {
            let odd: Vec<_> = row.answers.iter().filter(|(answer, _)| !allowed.contains(answer)).collect();
            assert!(odd.is_empty(), "{request}: {odd:?} of {:?}", row.answers);
        }
    }

    /// Rows of a table: when, request, answers, p50, p99, longest.
    pub fn table(&self, when: &str) -> String {
        let mut text = String::new();
        for (request, row) in &*self.0.lock().unwrap() {
            let mut took = row.took.clone();
            took.sort_unstable();
            let at = |part: f64| millis(took[((took.len() - 1) as f64 * part) as usize]);
            let answers: Vec<_> = row.answers.iter().map(|(answer, count)| format!("{count} {answer}")).collect();
            text += &format!(
                "| {when} | {request} | {} | {} | {} | {} |\n",
                answers.join(", "),
                at(0.5),
                at(0.99),
                at(1.0)
            );
        }
        text
    }
}

/// The heading of [`Tally::table`].
pub const HEADING: &str = "| when | request | answers | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|---|\n";

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
