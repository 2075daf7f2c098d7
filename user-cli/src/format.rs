//! Formats durations, timestamps, rates and tables as text.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// Returns the current time in seconds since the Unix epoch.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Formats a duration in a suitable unit, rounded up.
pub(crate) fn duration(time: Duration) -> String {
    let ms = time.as_millis();
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..10_000 if !ms.is_multiple_of(1000) => {
            format!("{}.{} s", ms.div_ceil(100) / 10, ms.div_ceil(100) % 10)
        }
        1000..120_000 => format!("{} s", ms.div_ceil(1000)),
        120_000..7_200_000 => format!("{} min", ms.div_ceil(60_000)),
        7_200_000..172_800_000 => format!("{} h", ms.div_ceil(3_600_000)),
        _ => format!("{} days", ms.div_ceil(86_400_000)),
    }
}

/// Formats a number of seconds as [`duration`] does.
pub(crate) fn seconds(seconds: u64) -> String {
    duration(Duration::from_secs(seconds))
}

/// Formats a latency with three significant digits, or `-` if it is zero.
pub(crate) fn latency(time: Duration) -> String {
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

/// Formats a rate or count with one decimal, or none from 100 on.
pub(crate) fn number(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// Formats a Unix timestamp in UTC, with the time between it and `now`.
pub(crate) fn timestamp(at: u64, now: u64) -> String {
    let distance = match at.cmp(&now) {
        std::cmp::Ordering::Greater => format!("in {}", seconds(at - now)),
        std::cmp::Ordering::Equal => "now".to_owned(),
        std::cmp::Ordering::Less => format!("{} ago", seconds(now - at)),
    };
    format!("{} ({distance})", rfc_3339(at))
}

/// Formats a Unix timestamp in UTC as in RFC 3339. The date is computed in years that begin in
/// March, so that a leap day is the last day of its year.
pub(crate) fn rfc_3339(at: u64) -> String {
    let (days, second) = (at / 86_400, at % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Returns true for characters by which text could control a terminal: control characters (C0, DEL
/// and C1), line separators, and those that change the text direction.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Formats a value as JSON on one line, in which harmful characters are escaped. Outside of
/// strings, JSON contains none, so the escaped text has the same meaning.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string(value)?;
    if !text.contains(is_harmful) {
        return Ok(text);
    }
    Ok(text.chars().fold(String::new(), |mut escaped, c| {
        if is_harmful(c) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
        escaped
    }))
}

/// Replaces harmful characters by escape sequences, so that text from the server cannot control the
/// terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().fold(String::new(), |mut escaped, c| {
        if is_harmful(c) {
            escaped.extend(c.escape_unicode())
        } else {
            escaped.push(c)
        }
        escaped
    });
    Cow::Owned(escaped)
}

/// Escapes characters that control a terminal, as [`printable`] does, but keeps line breaks.
pub(crate) fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Formats a number of things, as in `1 session` and `2 sessions`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Formats pairs of name and value, one per line, with the values aligned.
pub(crate) fn aligned(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines: Vec<_> =
        rows.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    lines.join("\n")
}

/// Formats rows as a table of text, with all columns aligned left.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    aligned_columns(rows, |cell, width, _| format!("{cell:width$}"))
}

/// Formats rows as a table, with the first column aligned left and the others right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    aligned_columns(rows, |cell, width, column| match column {
        0 => format!("{cell:width$}"),
        _ => format!("{cell:>width$}"),
    })
}

/// Formats rows as a table. `align` pads a cell; its arguments are the cell, the width of its
/// column in characters, and the number of the column.
fn aligned_columns(rows: &[Vec<String>], align: fn(&str, usize, usize) -> String) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let cells = |column| rows.iter().filter_map(move |row: &Vec<String>| row.get(column));
    let width = |column| cells(column).map(|cell: &String| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| align(cell, *width, column));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(rfc_3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc_3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(rfc_3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc_3339(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(rfc_3339(4_107_542_400), "2100-03-01T00:00:00Z");
        // The largest timestamp that the protocol allows.
        assert_eq!(rfc_3339((1 << 53) - 1), "285428751-11-12T07:36:31Z");
    }

    #[test]
    fn durations_are_rounded_up_to_a_suitable_unit() {
        let formatted: Vec<_> =
            [0, 250, 1001, 9999, 60_000, 120_000, 900_000, 7_200_000, 2_592_000_000]
                .map(|ms| duration(Duration::from_millis(ms)))
                .into();
        assert_eq!(
            formatted,
            ["0 ms", "250 ms", "1.1 s", "10.0 s", "60 s", "2 min", "15 min", "2 h", "30 days"]
        );
        assert_eq!(timestamp(1000, 940), "1970-01-01T00:16:40Z (in 60 s)");
        assert_eq!(timestamp(940, 1000), "1970-01-01T00:15:40Z (60 s ago)");
    }

    #[test]
    fn latencies_have_three_digits() {
        let formatted: Vec<_> = [0, 950, 12_345, 123_456, 1_000_000, 25_400_000, 1_500_000_000]
            .map(|nanos| latency(Duration::from_nanos(nanos)))
            .into();
        assert_eq!(formatted, ["-", "0.95 µs", "12.3 µs", "123 µs", "1 ms", "25.4 ms", "1.5 s"]);
    }

    #[test]
    fn foreign_text_cannot_control_the_terminal() {
        assert_eq!(printable("Kim Ünal"), "Kim Ünal");
        let text = "a\u{1b}b\u{9b}c\u{202e}d\u{2066}\u{7f}\u{2028}ü\u{61c}";
        let escaped = json(&text).unwrap();
        assert_eq!(escaped, "\"a\\u001bb\\u009bc\\u202ed\\u2066\\u007f\\u2028ü\\u061c\"");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
    }

    #[test]
    fn values_are_aligned() {
        let rows = [("a".to_owned(), "1".to_owned()), ("user id".to_owned(), "2".to_owned())];
        assert_eq!(aligned(&rows), "a        1\nuser id  2");
    }

    #[test]
    fn table_columns_are_aligned() {
        let rows = [["", "rate"], ["verify", "5"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "        rate\nverify     5");
    }
}
