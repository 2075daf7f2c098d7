//! How long something took, many times: a line of a table, with its middle, its end, and how many
//! took how long.

use std::time::Duration;

/// InspectionBounds of the columns, in milliseconds.
const BOUNDS: [u128; 8] = [2, 5, 10, 50, 100, 250, 500, 1000];

/// The head of a table whose first column has this name.
pub fn spread_head(first: &str) -> String {
    let bounds = BOUNDS.map(|bound| format!(" ≤ {bound} |")).concat();
    format!(
        "| {first} | p50 ms | p99 ms | max ms |{bounds} later |\n{}|\n",
        "|---".repeat(BOUNDS.len() + 5)
    )
}

/// A line of it.
pub fn spread(name: &str, took: &[Duration]) -> String {
    let mut millis: Vec<u128> = took.iter().map(Duration::as_millis).collect();
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
