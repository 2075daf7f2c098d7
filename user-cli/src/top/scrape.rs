//! Reads /metrics: one HTTP request, and the lines of its text format.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

/// A server that takes longer to say how it is, is not well.
const PATIENCE: Duration = Duration::from_secs(5);
/// The page has some 60 KB.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Where a server tells its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetricsUrl {
    authority: String,
    path: String,
}

/// The figures of one moment, by series: the name and its labels as they are written.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample(BTreeMap<String, f64>);

impl FromStr for MetricsUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("http://").ok_or("not as in http://127.0.0.1:9464")?;
        let (authority, path) =
            rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
        match authority.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {}
            _ => return Err("a host and a port are needed, as in http://127.0.0.1:9464".to_owned()),
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
    /// The figures of now.
    pub(super) fn look(&self) -> Result<Sample, String> {
        let answer = self.fetch().map_err(|error| error.to_string())?;
        let (head, body) =
            answer.split_once("\r\n\r\n").ok_or("that is no answer of an HTTP server")?;
        match head.split_whitespace().nth(1) {
            Some("200") => Ok(Sample::read(body)),
            status => Err(format!("it answers with status {}", status.unwrap_or("none"))),
        }
    }

    fn fetch(&self) -> std::io::Result<String> {
        let addresses = self.authority.to_socket_addrs()?;
        let connected = addresses.map(|address| TcpStream::connect_timeout(&address, PATIENCE));
        let none = || std::io::Error::other("the name has no address");
        let mut stream = connected.reduce(|first, next| first.or(next)).ok_or_else(none)??;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", self.path, self.authority)?;
        let mut answer = String::new();
        stream.take(LONGEST).read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Sample {
    fn read(text: &str) -> Self {
        let series = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            // No label of ours holds a space.
            let (series, value) = line.split_once(' ')?;
            Some((series.to_owned(), value.split(' ').next()?.parse().ok()?))
        });
        Self(series.collect())
    }

    pub(super) fn value(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// Every series of this name, and its labels.
    pub(super) fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (Labels<'a>, f64)> {
        let of_name =
            self.0.range(name.to_owned()..).take_while(move |(series, _)| series.starts_with(name));
        of_name.filter_map(move |(series, value)| {
            let labels = series.strip_prefix(name)?;
            (labels.is_empty() || labels.starts_with('{')).then_some((Labels(labels), *value))
        })
    }

    /// The bounds and counts of a histogram, with this label where one is named.
    pub(super) fn buckets(&self, name: &str, label: Option<(&str, &str)>) -> Vec<(f64, f64)> {
        let name = format!("{name}_bucket");
        let own = self
            .series(&name)
            .filter(|(labels, _)| label.is_none_or(|(key, value)| labels.find(key) == Some(value)));
        let mut buckets: Vec<_> = own
            .filter_map(|(labels, count)| {
                let bound = labels.find("le")?;
                Some((if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? }, count))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }
}

/// What stands in the braces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Labels<'a>(&'a str);

impl<'a> Labels<'a> {
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

    const TEXT: &str = "# HELP a_b Words.\na_b{type=\"X\",outcome=\"OK\"} 3\na_b_total 4\na_b 5\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 2\n# EOF\n";

    #[test]
    fn figures_are_found_by_name_and_label() {
        let sample = Sample::read(TEXT);
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
    fn urls_are_read() {
        let url = |text: &str| text.parse::<MetricsUrl>().map(|url| url.to_string()).ok();
        assert_eq!(url("http://127.0.0.1:9464").as_deref(), Some("http://127.0.0.1:9464/metrics"));
        assert_eq!(url("http://[::1]:1/m").as_deref(), Some("http://[::1]:1/m"));
        assert!(
            ["", "127.0.0.1:1", "https://a:1", "http://a", "http://:1"]
                .iter()
                .all(|text| url(text).is_none())
        );
    }
}
