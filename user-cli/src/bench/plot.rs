//! Bar charts of latency distributions.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::format;

/// Width of the longest bar in characters.
const WIDTH: usize = 40;
/// Fraction of all requests up to which bars at either end of the chart are omitted.
const NEGLIGIBLE: f64 = 0.000_05;

/// One bar of a chart: the fraction of requests with at most this latency and more than that of the
/// previous bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bar {
    pub(super) up_to_nanos: u64,
    pub(super) fraction: f64,
}

/// Returns bars with upper bounds of 1, 2 and 5 times a power of ten, without negligible bars at
/// either end.
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
        #[allow(clippy::cast_precision_loss, reason = "it is only displayed")]
        let fraction = count as f64 / latency.len().max(1) as f64;
        bars.push(Bar { up_to_nanos: bound, fraction });
    }
    let first = bars.iter().position(|bar| bar.fraction > NEGLIGIBLE).unwrap_or(bars.len());
    let last =
        bars.iter().rposition(|bar| bar.fraction > NEGLIGIBLE).map_or(first, |last| last + 1);
    bars.get(first..last).unwrap_or_default().to_vec()
}

/// Formats a bar chart, one line per bar.
pub(crate) fn lines(latency: &Histogram<u64>) -> Vec<String> {
    let bars = bars(latency);
    let longest = bars.iter().map(|bar| bar.fraction).fold(0.0, f64::max);
    bars.iter()
        .map(|bar| {
            let label = format!("<= {}", format::latency(Duration::from_nanos(bar.up_to_nanos)));
            format!(
                "{label:>12}  {:WIDTH$}  {:>6.2} %",
                block(bar.fraction / longest),
                bar.fraction * 100.0
            )
            .trim_end()
            .to_owned()
        })
        .collect()
}

/// Draws a bar with a fraction of the full width, to an eighth of a character.
fn block(fraction: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 320")]
    let eighths = (fraction.clamp(0.0, 1.0) * WIDTH as f64 * 8.0).ceil() as usize;
    let partial = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let mut text = "█".repeat(eighths / 8);
    text.extend((eighths % 8).checked_sub(1).and_then(|index| partial.get(index)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negligible_bars_at_the_ends_are_omitted() {
        let mut latency = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        (0..60).for_each(|_| latency.record(900).unwrap());
        (0..40).for_each(|_| latency.record(40_000).unwrap());
        let bars = bars(&latency);
        assert_eq!(bars.first().unwrap(), &Bar { up_to_nanos: 1000, fraction: 0.6 });
        assert_eq!(bars.last().unwrap(), &Bar { up_to_nanos: 50_000, fraction: 0.4 });
        assert!((bars.iter().map(|bar| bar.fraction).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(lines(&latency)[0].contains(&"█".repeat(WIDTH)));
        assert_eq!(lines(&Histogram::new(3).unwrap()).len(), 0);
    }
}
