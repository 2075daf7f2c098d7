//! Reads a server's metrics: one HTTP request, and a parser of the Prometheus text format.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

/// Timeout of connecting to the server, and of each read.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size in bytes of a response. The usual size is about 60 KB.
const MAX_RESPONSE: u64 = 4 * 1024 * 1024;

/// URL of a server's metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetricsUrl {
    authority: String,
    path: String,
}

/// The metrics of one scrape: the value of each series, by its name with labels.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(BTreeMap<String, f64>);

impl FromStr for MetricsUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str =
            "expected HOST:PORT or http://HOST:PORT, such as http://127.0.0.1:9464";
        let url = match text.strip_prefix("http://") {
            Some(url) => url,
            None if text.contains("://") => return Err(EXPECTED.to_owned()),
            None => text,
        };
        let (authority, path) = url.split_once('/').unwrap_or((url, ""));
        match authority.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {}
            _ => return Err(EXPECTED.to_owned()),
        }
        let path = if path.is_empty() { "metrics" } else { path };
        Ok(Self { authority: authority.to_owned(), path: format!("/{path}") })
    }
}

impl std::fmt::Display for MetricsUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

impl MetricsUrl {
    /// Returns the URL of the metrics of a server on this machine with the default port.
    pub(crate) fn local() -> Self {
        Self { authority: "127.0.0.1:9464".to_owned(), path: "/metrics".to_owned() }
    }

    /// Reads the current metrics.
    ///
    /// # Errors
    /// A message if the server cannot be reached or does not respond with status 200.
    pub(crate) fn scrape(&self) -> Result<Sample, String> {
        let response = self.fetch().map_err(|error| error.to_string())?;
        let (head, body) = response
            .split_once("\r\n\r\n")
            .ok_or("the response is not HTTP; is this the port of the service?")?;
        match head.split_whitespace().nth(1) {
            Some("200") => Ok(Sample::parse(body)),
            Some(status) => Err(format!("the server responded with status {status}")),
            None => Err("the response has no status".to_owned()),
        }
    }

    fn fetch(&self) -> std::io::Result<String> {
        let addresses = self.authority.to_socket_addrs()?;
        let connected = addresses.map(|address| TcpStream::connect_timeout(&address, TIMEOUT));
        let no_address = || std::io::Error::other("the host name has no address");
        let mut stream =
            connected.reduce(|first, next| first.or(next)).ok_or_else(no_address)??;
        stream.set_read_timeout(Some(TIMEOUT))?;
        write!(stream, "GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", self.path, self.authority)?;
        let mut response = Vec::new();
        stream.take(MAX_RESPONSE).read_to_end(&mut response)?;
        String::from_utf8(response).map_err(|_| {
            std::io::Error::other("the response is not HTTP; is this the port of the service?")
        })
    }
}

impl Sample {
    fn parse(text: &str) -> Self {
        let series = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            // The labels of the server's metrics contain no spaces.
            let (series, value) = line.split_once(' ')?;
            Some((series.to_owned(), value.split(' ').next()?.parse().ok()?))
        });
        Self(series.collect())
    }

    /// Returns the value of a series, which is named with its labels, or `None` if there is no such
    /// series.
    pub(super) fn value(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// Returns the labels and value of every series of a metric.
    pub(super) fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (Labels<'a>, f64)> {
        let with_prefix =
            self.0.range(name.to_owned()..).take_while(move |(series, _)| series.starts_with(name));
        with_prefix.filter_map(move |(series, value)| {
            let labels = series.strip_prefix(name)?;
            (labels.is_empty() || labels.starts_with('{')).then_some((Labels(labels), *value))
        })
    }

    /// Returns the buckets of a histogram as (upper bound, cumulative count), in ascending order;
    /// with a `label`, only of the series that have it.
    pub(super) fn buckets(&self, name: &str, label: Option<(&str, &str)>) -> Vec<(f64, f64)> {
        let name = format!("{name}_bucket");
        let matching = self
            .series(&name)
            .filter(|(labels, _)| label.is_none_or(|(key, value)| labels.find(key) == Some(value)));
        let mut buckets: Vec<_> = matching
            .filter_map(|(labels, count)| {
                let bound = labels.find("le")?;
                Some((if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? }, count))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }
}

/// Labels of a series as text, with their braces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Labels<'a>(&'a str);

impl<'a> Labels<'a> {
    /// Returns the value of a label, or `None` if the series does not have it.
    pub(super) fn find(self, key: &str) -> Option<&'a str> {
        let inside = self.0.trim_start_matches('{').trim_end_matches('}');
        inside
            .split(',')
            .find_map(|label| label.split_once('=').filter(|(name, _)| *name == key))
            .map(|(_, value)| value.trim_matches('"'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP a_b Words.
a_b{type=\"X\",outcome=\"OK\"} 3
a_b_total 4
a_b 5
h_bucket{le=\"0.5\"} 1
h_bucket{le=\"+Inf\"} 2
# EOF
";

    #[test]
    fn values_are_found_by_name_and_label() {
        let sample = Sample::parse(TEXT);
        assert_eq!(
            (sample.value("a_b_total"), sample.value("a_b"), sample.value("a")),
            (Some(4.0), Some(5.0), None)
        );
        let found: Vec<_> =
            sample.series("a_b").map(|(labels, value)| (labels.find("type"), value)).collect();
        assert_eq!(found, [(None, 5.0), (Some("X"), 3.0)]);
        assert_eq!(sample.buckets("h", None), [(0.5, 1.0), (f64::INFINITY, 2.0)]);
    }

    #[test]
    fn urls_are_parsed() {
        let url = |text: &str| text.parse::<MetricsUrl>().map(|url| url.to_string()).ok();
        assert_eq!(url("http://127.0.0.1:9464").as_deref(), Some("http://127.0.0.1:9464/metrics"));
        assert_eq!(url("127.0.0.1:9464").as_deref(), Some("http://127.0.0.1:9464/metrics"));
        assert_eq!(url("http://[::1]:1/m").as_deref(), Some("http://[::1]:1/m"));
        assert!(
            ["", "https://a:1", "http://a", "http://:1", "a"]
                .iter()
                .all(|text| url(text).is_none())
        );
    }
}
