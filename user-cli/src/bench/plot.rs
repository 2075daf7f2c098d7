//! The distribution of latencies as bars, in steps of 1, 2 and 5.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::figures::span;

const WIDTH: usize = 40;
/// Under this share of all, a bar at the edge says nothing.
const LEAST: f64 = 0.000_05;

/// One bar: up to which latency, and which part of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bar {
    pub(super) up_to_nanos: u64,
    pub(super) part: f64,
}

/// The bars between the fastest and the slowest that are worth one.
pub(super) fn bars(latency: &Histogram<u64>) -> Vec<Bar> {
    let bounds = (0..11).flat_map(|exponent| [1, 2, 5].map(|step| step * 10_u64.pow(exponent)));
    let mut bars = Vec::new();
    let mut before = 0;
    for bound in bounds {
        let count = if before == 0 {
            latency.count_between(0, bound)
        } else {
            latency.count_between(before + 1, bound)
        };
        before = bound;
        #[allow(clippy::cast_precision_loss, reason = "a part that is shown to three digits")]
        let part = count as f64 / latency.len().max(1) as f64;
        bars.push(Bar { up_to_nanos: bound, part });
    }
    let first = bars.iter().position(|bar| bar.part > LEAST).unwrap_or(bars.len());
    let last = bars.iter().rposition(|bar| bar.part > LEAST).map_or(first, |last| last + 1);
    bars.get(first..last).unwrap_or_default().to_vec()
}

/// The bars as lines for a terminal.
pub(super) fn lines(latency: &Histogram<u64>) -> Vec<String> {
    let bars = bars(latency);
    let longest = bars.iter().map(|bar| bar.part).fold(0.0, f64::max);
    bars.iter()
        .map(|bar| {
            let label = format!("<= {}", span(Duration::from_nanos(bar.up_to_nanos)));
            format!(
                "{label:>12}  {:WIDTH$}  {:>6.2} %",
                block(bar.part / longest),
                bar.part * 100.0
            )
            .trim_end()
            .to_owned()
        })
        .collect()
}

/// A bar of this part of the width, to an eighth of a letter.
fn block(part: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 320")]
    let eighths = (part.clamp(0.0, 1.0) * WIDTH as f64 * 8.0).ceil() as usize;
    let rest = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let mut text = "█".repeat(eighths / 8);
    text.extend((eighths % 8).checked_sub(1).and_then(|rest_of| rest.get(rest_of)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_cover_all_that_is_worth_one() {
        let mut latency = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        (0..60).for_each(|_| latency.record(900).unwrap());
        (0..40).for_each(|_| latency.record(40_000).unwrap());
        let bars = bars(&latency);
        assert_eq!(bars.first().unwrap(), &Bar { up_to_nanos: 1000, part: 0.6 });
        assert_eq!(bars.last().unwrap(), &Bar { up_to_nanos: 50_000, part: 0.4 });
        assert!((bars.iter().map(|bar| bar.part).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(lines(&latency)[0].contains(&"█".repeat(WIDTH)));
        assert_eq!(lines(&Histogram::new(3).unwrap()).len(), 0);
    }
}
