//! Tables of latencies: a row has the percentiles and a histogram of repeated measurements.

use std::time::Duration;

/// Upper bounds of the histogram's columns, in milliseconds.
const BOUNDS: [u128; 8] = [2, 5, 10, 50, 100, 250, 500, 1000];

/// Returns the header of a table with this name of its first column.
pub fn latency_header(first: &str) -> String {
    let bounds = BOUNDS.map(|bound| format!(" ≤ {bound} |")).concat();
    format!(
        "| {first} | p50 ms | p99 ms | max ms |{bounds} later |\n{}|\n",
        "|---".repeat(BOUNDS.len() + 5)
    )
}

/// Returns a row of the table.
pub fn latency_row(name: &str, durations: &[Duration]) -> String {
    let mut millis: Vec<u128> = durations.iter().map(Duration::as_millis).collect();
    millis.sort_unstable();
    let at = |part: f64| millis[((millis.len() - 1) as f64 * part) as usize];
    let mut line = format!("| {name} | {} | {} | {} |", at(0.5), at(0.99), at(1.0));
    let mut below = 0;
    for bound in BOUNDS {
        let within = millis.iter().filter(|millis| **millis <= bound).count();
        line += &format!(" {} |", within - below);
        below = within;
    }
    line + &format!(" {} |\n", millis.len() - below)
}
