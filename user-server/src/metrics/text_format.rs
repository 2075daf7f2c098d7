//! Prometheus's text format, version 0.0.4, from OpenMetrics. In the older format, the family of a
//! counter has the name of its samples, there are no units, and nothing marks the end.

/// Converts an exposition. Its samples stay as they are.
pub(super) fn from_openmetrics(text: &str) -> String {
    let is_counter = |name: &str| text.contains(&format!("# TYPE {name} counter\n"));
    let mut converted = String::with_capacity(text.len() + 1024);
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        let (mark, kind, name, rest) = (words.next(), words.next(), words.next(), words.next());
        match (mark, kind, name, rest) {
            (Some("#"), Some("EOF" | "UNIT"), ..) => continue,
            (Some("#"), Some(kind @ ("HELP" | "TYPE")), Some(name), Some(rest))
                if is_counter(name) =>
            {
                converted.push_str(&format!("# {kind} {name}_total {rest}"));
            }
            _ => converted.push_str(line),
        }
        converted.push('\n');
    }
    converted
}

#[cfg(test)]
mod tests {
    use super::from_openmetrics;

    #[test]
    fn counters_get_the_name_of_their_samples() {
        let openmetrics = "# HELP a Requests.\n# TYPE a counter\na_total{x=\"1\"} 5\n\
                           # HELP b_seconds Age.\n# TYPE b_seconds gauge\n# UNIT b_seconds seconds\n\
                           b_seconds 1.5\n# EOF\n";
        let expected = "# HELP a_total Requests.\n# TYPE a_total counter\na_total{x=\"1\"} 5\n\
                        # HELP b_seconds Age.\n# TYPE b_seconds gauge\nb_seconds 1.5\n";
        assert_eq!(from_openmetrics(openmetrics), expected);
    }
}
