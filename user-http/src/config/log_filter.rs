//! The filter of the log.

/// Parses a filter in the syntax of tracing. A single word that is no level is an error: tracing
/// would take it for the name of a module, and log nothing.
pub(super) fn parse(text: &str) -> Result<String, String> {
    let is_level = |word: &str| {
        ["off", "error", "warn", "info", "debug", "trace"]
            .iter()
            .any(|level| word.eq_ignore_ascii_case(level))
    };
    for word in text.split(',').map(str::trim) {
        let is_word = !word.is_empty() && !word.contains(['=', '[', ':']);
        if is_word && !is_level(word) && !word.starts_with("user_http") {
            return Err(format!("`{word}` is not a level"));
        }
    }
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_word_that_is_no_level_is_an_error() {
        for text in ["info", "WARN", "off", "info,user_http::tls=debug", "user_http=trace", ""] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in ["loud", "info,loud", "verbose", "user_http=loud", "2x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
