//! Facts about the end user's request that a trusted proxy states: the address, the method, the
//! origin, the deadline and the trace. From any other peer, X-Forwarded-* is ignored. The header
//! `Forwarded` is always ignored, because proxies pass it on unchecked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Once;
use std::time::Duration;

use axum::http::header::{FORWARDED, HOST, VIA};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const EXPECTED_TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Maximum number of entries of X-Forwarded-For. A longer header is ignored.
const MAX_ENTRIES: usize = 20;

/// Networks of the proxies that are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Parses a comma-separated list such as `127.0.0.1, 10.1.0.0/16, ::1`.
    ///
    /// # Errors
    /// The first item that is neither an address nor a network.
    pub fn parse(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items
            .map(|item| {
                let address = || item.parse::<IpAddr>().map(IpNet::from);
                item.parse::<IpNet>().or_else(|_| address()).map_err(|_| item.to_owned())
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Returns true if a peer with this address is trusted.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip))
    }
}

/// The peer of a connection: a proxy or a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Address of the socket's other end.
    pub socket: SocketAddr,
    /// Address that a header of the PROXY protocol stated; `None` without such a header.
    pub proxied: Option<IpAddr>,
    /// True if the headers X-Forwarded-* of this peer are used: it is a trusted proxy, and does not
    /// use the PROXY protocol.
    pub trusted: bool,
}

impl Peer {
    /// Returns the address of the end user: the one that a trusted proxy states, otherwise that of
    /// the peer.
    #[must_use]
    pub fn client_address(&self, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
        let socket = self.socket.ip().to_canonical();
        match self.proxied {
            Some(ip) => ip.to_canonical(),
            None if self.trusted => forwarded_for(headers, trusted).unwrap_or(socket),
            None => socket,
        }
    }

    /// Returns true if X-Forwarded-For of this peer is ignored, as it is for a proxy that is
    /// missing in TRUSTED_PROXIES.
    #[must_use]
    pub fn ignores_headers(&self, headers: &HeaderMap) -> bool {
        !self.trusted && self.proxied.is_none() && headers.contains_key(FORWARDED_FOR)
    }

    /// Logs once that X-Forwarded-For of this peer is ignored, if it is.
    pub(crate) fn warn_if_ignored(&self, headers: &HeaderMap, warned: &Once) {
        if self.ignores_headers(headers) {
            warned.call_once(|| {
                tracing::warn!(
                    peer = %self.socket.ip(),
                    "ignored X-Forwarded-For of a peer that is not trusted; if it is your proxy, \
                     add it to TRUSTED_PROXIES"
                );
            });
        }
    }

    /// Returns true if the sender of a request is itself in one of the trusted networks. A request
    /// that a trusted proxy passes on for someone else does not count.
    #[must_use]
    pub fn is_trusted_itself(&self, headers: &HeaderMap, trusted: &TrustedProxies) -> bool {
        let passed_on = [FORWARDED_FOR, FORWARDED, VIA];
        let sender = self.proxied.unwrap_or(self.socket.ip());
        trusted.contains(sender) && !passed_on.iter().any(|name| headers.contains_key(name))
    }

    /// Returns the method of the end user's request that a trusted proxy states.
    #[must_use]
    pub fn method(&self, headers: &HeaderMap) -> ForwardedMethod {
        if !self.trusted {
            return ForwardedMethod::Absent;
        }
        let mut values = headers.get_all(FORWARDED_METHOD).iter();
        match (values.next(), values.next()) {
            (None, _) => ForwardedMethod::Absent,
            (Some(value), None) => Method::from_bytes(value.as_bytes())
                .map_or(ForwardedMethod::Ambiguous, ForwardedMethod::One),
            (Some(_), Some(_)) => ForwardedMethod::Ambiguous,
        }
    }

    /// Returns the scheme and host of the end user's request, or `None` if a trusted proxy does not
    /// state each of them exactly once. The host may have a port.
    #[must_use]
    pub fn origin<'a>(&self, headers: &'a HeaderMap) -> Option<(&'a str, &'a str)> {
        if !self.trusted {
            return None;
        }
        let host = match headers.contains_key(FORWARDED_HOST) {
            true => single(headers, &FORWARDED_HOST),
            false => single(headers, &HOST),
        };
        Some((single(headers, &FORWARDED_PROTO)?, host?))
    }

    /// Returns the scheme and host of a request that this program answers itself: those that a
    /// trusted proxy states, or else `scheme` and Host. A proxy that states one of them must state
    /// both.
    #[must_use]
    pub fn own_origin<'a>(
        &self,
        headers: &'a HeaderMap,
        scheme: &'a str,
    ) -> Option<(&'a str, &'a str)> {
        let stated = [FORWARDED_PROTO, FORWARDED_HOST];
        if self.trusted && stated.iter().any(|name| headers.contains_key(name)) {
            return self.origin(headers);
        }
        Some((scheme, single(headers, &HOST)?))
    }

    /// Returns the path and query of the end user's request that a trusted proxy states.
    #[must_use]
    pub fn uri<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        self.trusted.then(|| single(headers, &FORWARDED_URI)).flatten()
    }

    /// Returns the time for which a trusted proxy waits for the reply, or `None` if it states none.
    #[must_use]
    pub fn timeout(&self, headers: &HeaderMap) -> Option<Duration> {
        let value = self.trusted.then(|| single(headers, &EXPECTED_TIMEOUT)).flatten()?;
        value.parse().ok().map(Duration::from_millis)
    }
}

/// Method that a trusted proxy states in X-Forwarded-Method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardedMethod {
    Absent,
    One(Method),
    /// The header has several values, or one that is not a method.
    Ambiguous,
}

/// Returns the value of `traceparent`, if there is exactly one. The user service checks its syntax.
#[must_use]
pub fn traceparent(headers: &HeaderMap) -> Option<&str> {
    single(headers, &TRACEPARENT).filter(|value| value.len() <= 128)
}

/// Returns the value of a header that occurs exactly once and is visible ASCII.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Returns the rightmost address in X-Forwarded-For that is not a trusted proxy, or the leftmost
/// one if all are trusted. Addresses to the left of the result are not parsed, because any client
/// could have written them. Returns `None` if an address cannot be parsed, or if there are more
/// than [`MAX_ENTRIES`].
fn forwarded_for(headers: &HeaderMap, trusted: &TrustedProxies) -> Option<IpAddr> {
    let values = || headers.get_all(FORWARDED_FOR).iter();
    let entries = |value: &HeaderValue| value.as_bytes().iter().filter(|b| **b == b',').count() + 1;
    if values().map(entries).sum::<usize>() > MAX_ENTRIES {
        return None;
    }
    let lines: Vec<&HeaderValue> = values().collect();
    let mut last = None;
    for entry in lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|b| *b == b',')) {
        let ip = address(std::str::from_utf8(entry).ok()?.trim())?;
        last = Some(ip);
        if !trusted.contains(ip) {
            break;
        }
    }
    last
}

/// Parses `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:1234`.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    text.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .or_else(bracketed)
        .map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[(&str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn client(lines: &[&[u8]], socket: &str) -> String {
        let trusted = TrustedProxies::parse("10.0.0.0/8, ::1, 127.0.0.1").unwrap();
        let ip: IpAddr = socket.parse().unwrap();
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let peer =
            Peer { socket: SocketAddr::new(ip, 1), proxied: None, trusted: trusted.contains(ip) };
        peer.client_address(&headers(&lines), &trusted).to_string()
    }

    #[test]
    fn the_address_is_the_rightmost_one_that_is_not_a_trusted_proxy() {
        for (lines, expected) in [
            (&[&b"203.0.113.9"[..]][..], "203.0.113.9"),
            (&[b"198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            (&[b"198.51.100.1, 203.0.113.9, 10.1.1.1"], "203.0.113.9"),
            (&[b"198.51.100.1", b"203.0.113.9,10.1.1.1 ,\t10.2.2.2"], "203.0.113.9"),
            // Whatever the end user wrote, left of the first proxy's entry.
            (&[b"nonsense \xff, , 203.0.113.9"], "203.0.113.9"),
            (&[b"10.3.3.3, 10.1.1.1"], "10.3.3.3"),
            (&[b"[2001:db8::1]:4711"], "2001:db8::1"),
            (&[b"[2001:db8::2]"], "2001:db8::2"),
            (&[b"2001:db8::3"], "2001:db8::3"),
            (&[b"203.0.113.9:4711"], "203.0.113.9"),
            (&[b"::ffff:203.0.113.9"], "203.0.113.9"),
        ] {
            assert_eq!(client(lines, "127.0.0.1"), expected, "{lines:?}");
        }
    }

    #[test]
    fn without_a_readable_header_it_is_the_address_of_the_socket() {
        let twenty = vec!["203.0.113.9"; 20].join(",");
        let twenty_one = format!("{twenty},203.0.113.9");
        assert_eq!(client(&[twenty.as_bytes()], "127.0.0.1"), "203.0.113.9");
        for lines in [
            &[][..],
            &[twenty_one.as_bytes()],
            &[twenty.as_bytes(), b"203.0.113.9"],
            &[b""],
            &[b"unknown"],
            &[b"_hidden, 10.1.1.1"],
            &[b"203.0.113.9, nonsense"],
            &[b"203.0.113.9, \xff"],
            &[b"203.0.113.9,"],
            &[b"203.0.113.9; 203.0.113.8"],
            &[b"203.0.113.999"],
        ] {
            assert_eq!(client(lines, "127.0.0.1"), "127.0.0.1", "{lines:?}");
        }
    }

    #[test]
    fn other_peers_cannot_state_an_address_and_ipv4_may_be_mapped() {
        assert_eq!(client(&[b"203.0.113.9"], "198.51.100.7"), "198.51.100.7");
        assert_eq!(client(&[b"203.0.113.9"], "::ffff:198.51.100.7"), "198.51.100.7");
        assert_eq!(client(&[b"203.0.113.9"], "::ffff:10.0.0.1"), "203.0.113.9");
    }

    #[test]
    fn a_request_that_is_passed_on_for_someone_else_is_not_that_of_a_trusted_peer() {
        let trusted = TrustedProxies::parse("10.0.0.0/8").unwrap();
        let own = |socket: &str, proxied: Option<&str>, values: &[(&str, &[u8])]| {
            let ip: IpAddr = socket.parse().unwrap();
            let proxied = proxied.map(|ip| ip.parse().unwrap());
            let peer = Peer { socket: SocketAddr::new(ip, 1), proxied, trusted: true };
            peer.is_trusted_itself(&headers(values), &trusted)
        };
        assert!(own("10.0.0.1", None, &[]));
        assert!(own("::ffff:10.0.0.1", None, &[]));
        assert!(!own("192.0.2.1", None, &[]));
        for name in ["x-forwarded-for", "forwarded", "via"] {
            assert!(!own("10.0.0.1", None, &[(name, b"10.0.0.2")]), "{name}");
        }
        // With the PROXY protocol, the address that it states counts.
        assert!(!own("10.0.0.1", Some("192.0.2.1"), &[]));
        assert!(own("10.0.0.1", Some("10.0.0.2"), &[]));
    }

    #[test]
    fn a_fact_that_is_stated_twice_or_by_a_stranger_is_not_used() {
        let peer = |trusted| Peer {
            socket: SocketAddr::from(([127, 0, 0, 1], 1)),
            proxied: None,
            trusted,
        };
        let one = headers(&[
            ("x-forwarded-method", b"POST"),
            ("x-forwarded-host", b"app.example"),
            ("x-forwarded-proto", b"https"),
            ("x-envoy-expected-rq-timeout-ms", b"250"),
        ]);
        assert_eq!(peer(true).method(&one), ForwardedMethod::One(Method::POST));
        assert_eq!(peer(true).origin(&one), Some(("https", "app.example")));
        assert_eq!(peer(true).timeout(&one), Some(Duration::from_millis(250)));
        assert_eq!(peer(false).method(&one), ForwardedMethod::Absent);
        assert_eq!((peer(false).origin(&one), peer(false).timeout(&one)), (None, None));
        let mut two = one.clone();
        for (name, value) in &one {
            two.append(name, value.clone());
        }
        assert_eq!(peer(true).method(&two), ForwardedMethod::Ambiguous);
        assert_eq!((peer(true).origin(&two), peer(true).timeout(&two)), (None, None));
    }

    #[test]
    fn trusted_proxies_are_addresses_and_networks() {
        let trusted = TrustedProxies::parse("10.1.0.0/16, 192.0.2.1,2001:db8::/32").unwrap();
        for (ip, expected) in [
            ("10.1.2.3", true),
            ("10.2.0.1", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("::ffff:192.0.2.1", true),
            ("2001:db8:1::1", true),
        ] {
            assert_eq!(trusted.contains(ip.parse().unwrap()), expected, "{ip}");
        }
        assert_eq!(TrustedProxies::parse("10.0.0.0/33"), Err("10.0.0.0/33".to_owned()));
        assert_eq!(TrustedProxies::parse("all"), Err("all".to_owned()));
    }
}
