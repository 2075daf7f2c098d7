//! Figures as people read them: rates, latencies, and tables of them.

use std::time::Duration;

/// Columns below each other, the first from the left and the others from the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let cells = |column| rows.iter().filter_map(move |row: &Vec<String>| row.get(column));
    let width = |column| cells(column).map(|cell: &String| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells =
            row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A rate: whole where that is exact enough.
pub(crate) fn number(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// A latency with three digits.
pub(crate) fn span(time: Duration) -> String {
    let (value, unit) = match time.as_nanos() {
        0 => return "-".to_owned(),
        1..1_000_000 => (time.as_secs_f64() * 1e6, "µs"),
        1_000_000..1_000_000_000 => (time.as_secs_f64() * 1e3, "ms"),
        _ => (time.as_secs_f64(), "s"),
    };
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["", "rate"], ["verify", "5"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "        rate\nverify     5");
    }

    #[test]
    fn latencies_have_three_digits() {
        let said: Vec<_> = [0, 950, 12_345, 123_456, 1_000_000, 25_400_000, 1_500_000_000]
            .map(|nanos| span(Duration::from_nanos(nanos)))
            .into();
        assert_eq!(said, ["-", "0.95 µs", "12.3 µs", "123 µs", "1 ms", "25.4 ms", "1.5 s"]);
    }
}
