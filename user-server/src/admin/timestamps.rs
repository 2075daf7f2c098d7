//! Times as text: RFC 3339 for output, and the formats of other programs for input.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::domain::Timestamp;

/// Largest number that is parsed as seconds, which is in the year 5138. Larger numbers are
/// milliseconds; as milliseconds, this one would be in 1973.
const MAX_SECONDS: i64 = 100_000_000_000;

/// Formats a time in UTC, as in RFC 3339.
pub(super) fn format(at: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000);
    let Some(text) = time.ok().and_then(|time| time.format(&Rfc3339).ok()) else {
        return at.0.to_string();
    };
    // Always with milliseconds, so that columns stay aligned.
    let seconds = text.split(['.', 'Z']).next().unwrap_or_default();
    format!("{seconds}.{:03}Z", at.0.rem_euclid(1000))
}

/// Parses RFC 3339, the formats of PostgreSQL and MySQL (UTC if they have no time zone), a date
/// alone, or a number of seconds or milliseconds since 1970. Returns `None` for any other text.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        let millis = if number.abs() <= MAX_SECONDS { number.checked_mul(1000)? } else { number };
        return (millis.unsigned_abs() / 1000 <= Timestamp::MAX_SECONDS)
            .then_some(Timestamp(millis));
    }
    let (date, clock) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00:00Z"));
    let zone_at = clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at_checked(zone_at)?;
    let zone = match zone.len() {
        0 => "Z".to_owned(),
        3 => format!("{zone}:00"),
        5 if !zone.contains(':') => format!("{}:{}", zone.get(..3)?, zone.get(3..)?),
        _ => zone.to_owned(),
    };
    let time = OffsetDateTime::parse(&format!("{date}T{clock}{zone}"), &Rfc3339)
        .ok()?
        .to_offset(UtcOffset::UTC);
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_parsed_as_the_same_time() {
        let time = Timestamp(1_700_000_000_000);
        assert_eq!(format(time), "2023-11-14T22:13:20.000Z");
        assert_eq!(format(Timestamp(1_700_000_000_120)), "2023-11-14T22:13:20.120Z");
        for text in [
            "2023-11-14T22:13:20Z",
            "2023-11-14T23:13:20+01:00",
            "2023-11-14 22:13:20",
            "2023-11-14 22:13:20+00",
            "2023-11-14 17:13:20-0500",
            "1700000000",
            "1700000000000",
        ] {
            assert_eq!(parse(text), Some(time), "{text}");
        }
        assert_eq!(parse("2023-11-14 22:13:20.125"), Some(Timestamp(1_700_000_000_125)));
        assert_eq!(format(Timestamp(1_700_000_000_125)), "2023-11-14T22:13:20.125Z");
        assert_eq!(parse("2023-11-14"), Some(Timestamp(1_699_920_000_000)));
    }

    #[test]
    fn text_that_is_not_a_time_is_refused() {
        for text in
            ["", "yesterday", "2023-13-01", "2023-11-14T25:00:00Z", "9223372036854775807", "-"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
