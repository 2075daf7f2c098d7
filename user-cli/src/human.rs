//! Times, spans and values as people read them.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use user_proto::{FieldValue, FieldView};

use crate::hex;

pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A span, rounded up to a unit that suits it.
pub(crate) fn span(time: Duration) -> String {
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

pub(crate) fn seconds(seconds: u64) -> String {
    span(Duration::from_secs(seconds))
}

/// An instant in UTC, and how far away it is.
pub(crate) fn instant(at: u64, now: u64) -> String {
    let distance = match at.cmp(&now) {
        std::cmp::Ordering::Greater => format!("in {}", seconds(at - now)),
        std::cmp::Ordering::Equal => "now".to_owned(),
        std::cmp::Ordering::Less => format!("{} ago", seconds(now - at)),
    };
    format!("{} ({distance})", iso_8601(at))
}

/// The proleptic Gregorian date of a number of days, counted in years that begin in March, so that
/// a leap day is a year's last day.
pub(crate) fn iso_8601(at: u64) -> String {
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

/// Text of somebody else, without what would move a terminal's cursor or turn its text around.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
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

/// The name of a field, without the unit, which the value says.
pub(crate) fn label(name: &str) -> String {
    name.strip_suffix("_ms").unwrap_or(name).replace('_', " ")
}

/// The value of a field, in the unit that its name tells. `reveal` shows secrets.
pub(crate) fn value(field: &FieldView<'_>, reveal: bool) -> String {
    match field.value {
        FieldValue::Text(text) => printable(text).into_owned(),
        FieldValue::Secret(bytes) if reveal => match std::str::from_utf8(bytes) {
            Ok(text) => printable(text).into_owned(),
            Err(_) => hex::text(bytes),
        },
        FieldValue::Secret(bytes) => format!("[redacted, {} bytes]", bytes.len()),
        FieldValue::Bytes(bytes) => hex::text(bytes),
        FieldValue::Uuid(id) => id.to_string(),
        FieldValue::Instant(at) => instant(at, unix_now()),
        FieldValue::Number(number) if field.name.ends_with("_ms") => {
            span(Duration::from_millis(number))
        }
        FieldValue::Number(number) if is_seconds(field.name) => seconds(number),
        FieldValue::Number(number) => number.to_string(),
        FieldValue::Code(code) => format!("{} ({:04x})", code.name(), code.0),
        FieldValue::Flag => "yes".to_owned(),
    }
}

fn is_seconds(name: &str) -> bool {
    name.ends_with("expires_in") || matches!(name, "resend_after" | "idle_timeout")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(iso_8601(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso_8601(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(iso_8601(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(iso_8601(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(iso_8601(4_107_542_400), "2100-03-01T00:00:00Z");
        // The largest instant of the wire.
        assert_eq!(iso_8601((1 << 53) - 1), "285428751-11-12T07:36:31Z");
    }

    #[test]
    fn spans_are_rounded_up_to_what_suits_them() {
        let said: Vec<_> = [0, 250, 1001, 9999, 60_000, 120_000, 900_000, 7_200_000, 2_592_000_000]
            .map(|ms| span(Duration::from_millis(ms)))
            .into();
        assert_eq!(
            said,
            ["0 ms", "250 ms", "1.1 s", "10.0 s", "60 s", "2 min", "15 min", "2 h", "30 days"]
        );
        assert_eq!(instant(1000, 940), "1970-01-01T00:16:40Z (in 60 s)");
        assert_eq!(instant(940, 1000), "1970-01-01T00:15:40Z (60 s ago)");
    }

    #[test]
    fn text_of_others_can_not_drive_the_terminal() {
        assert_eq!(printable("Kim Ünal"), "Kim Ünal");
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
    }
}
