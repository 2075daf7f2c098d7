//! The pages between which a browser is redirected: the page that it came from, to which it
//! returns, and the login page. No other site can choose where a browser is sent.

use axum::http::HeaderValue;
use axum::http::uri::Authority;

/// Maximum length in bytes of a target, and of a redirect with it, as they are sent: nginx reads a
/// head of a reply into a buffer of 4 KiB.
const MAX_LENGTH: usize = 2048;
/// Path of the route that refreshes a session and redirects back.
pub(crate) const REFRESH_PATH: &str = "/auth/refresh";

/// Hosts, besides the one that is asked, to which a browser may be redirected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReturnHosts(Vec<String>);

impl ReturnHosts {
    /// Parses a comma-separated list such as `app.example.com, shop.example.com:8443`.
    ///
    /// # Errors
    /// The first item that is not a host with an optional port.
    pub fn parse(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let hosts = items.map(|item| match is_host(item) {
            true => Ok(item.to_ascii_lowercase()),
            false => Err(item.to_owned()),
        });
        hosts.collect::<Result<_, _>>().map(Self)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a host.
    pub(crate) fn extend(&mut self, host: Option<&str>) {
        self.0.extend(host.map(str::to_ascii_lowercase));
    }

    fn contains(&self, host: &str) -> bool {
        self.0.contains(&host.to_ascii_lowercase())
    }

    /// Returns the target of a redirect that a request asks for, or `None` if it is neither a path
    /// on this host nor `https` on one of these hosts, or is too long, or is itself a redirect to a
    /// target: a chain of those would evade the limit of redirects. Characters other than visible
    /// ASCII are percent-encoded.
    #[must_use]
    pub fn target(&self, text: &str) -> Option<String> {
        // Browsers remove control characters, and read a backslash as a slash.
        let is_unsafe = |c: char| c.is_control() || c == '\\';
        if text.len() > MAX_LENGTH || text.contains(is_unsafe) {
            return None;
        }
        let (allowed, path) = match https_host(text) {
            Some(host) => (self.contains(host), &text["https://".len() + host.len()..]),
            None => (text.starts_with('/') && !text.starts_with("//"), text),
        };
        if path.split(['?', '#']).next() == Some(REFRESH_PATH) {
            return None;
        }
        allowed.then(|| encoded(text)).filter(|target| target.len() <= MAX_LENGTH)
    }
}

/// Returns the host, with its port, of a URL with `https`.
fn https_host(url: &str) -> Option<&str> {
    url.strip_prefix("https://").and_then(|rest| rest.split(['/', '?', '#']).next())
}

/// Returns a text in which characters other than visible ASCII are percent-encoded.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_graphic() {
            out.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                out += &format!("%{byte:02X}");
            }
        }
    }
    out
}

/// Returns true if a text is a host name or an IP address, with an optional port.
pub(crate) fn is_host(text: &str) -> bool {
    let of_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    let authority = text.parse::<Authority>().ok();
    let port_is_valid = || {
        let port = text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        port.is_none_or(|(_, port)| port.parse::<u16>().is_ok())
    };
    text.chars().all(of_host) && authority.is_some_and(|a| !a.host().is_empty()) && port_is_valid()
}

/// The login page: a path on the same host, or a URL with `https`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginUrl(String);

impl Default for LoginUrl {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl LoginUrl {
    /// Parses a path or a URL with `https`.
    ///
    /// # Errors
    /// A reason, if it is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hosts = match https_host(text) {
            Some(host) => {
                ReturnHosts::parse(host).map_err(|host| format!("`{host}` is no host"))?
            }
            None => ReturnHosts::default(),
        };
        match hosts.target(text) {
            Some(url) if url == text && !url.contains('#') => Ok(Self(url)),
            _ => Err("it is neither".to_owned()),
        }
    }

    /// Returns the login page, from which the browser is to return to a target, unless that is too
    /// long.
    pub(crate) fn returning_to(&self, target: Option<&str>) -> String {
        with_target(self.0.clone(), target)
    }

    /// Returns the URL that refreshes a session and then leads to a target, on the host of the
    /// login page.
    pub(crate) fn refresh_then(&self, target: &str) -> String {
        let base = self.host().map(|host| format!("https://{host}")).unwrap_or_default();
        with_target(base + REFRESH_PATH, Some(target))
    }

    /// Returns the URL that refreshes a session, on the host of the login page. `path` is that of
    /// the page from which the browser comes, and `origin` its scheme and host, if they are known.
    pub(crate) fn refresh_url(&self, path: Option<&str>, origin: Option<(&str, &str)>) -> String {
        let (base, target) = match (https_host(&self.0), path, origin) {
            (None, path, _) => (String::new(), path.map(ToOwned::to_owned)),
            (Some(host), Some(path), Some((scheme, own))) if is_host(own) => {
                (format!("https://{host}"), Some(format!("{scheme}://{own}{path}")))
            }
            (Some(host), ..) => (format!("https://{host}"), None),
        };
        with_target(base + REFRESH_PATH, target.as_deref())
    }

    /// Returns the host of the login page with its port, or `None` if the page is a path.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        https_host(&self.0)
    }

    /// Returns the URL of a path on one of the `hosts`, if that is another one than that of the
    /// login page: there, the path would be that of another page. `own` is the scheme and host to
    /// which the browser has sent the request.
    pub(crate) fn seen_from_login(
        &self,
        target: &str,
        own: (&str, &str),
        hosts: &ReturnHosts,
    ) -> Option<String> {
        let (scheme, host) = own;
        let is_other = self.host().is_some_and(|login| !login.eq_ignore_ascii_case(host));
        let listed = is_other && hosts.contains(host);
        match listed {
            true if target.starts_with('/') => hosts.target(&format!("{scheme}://{host}{target}")),
            true => Some(target.to_owned()),
            false => None,
        }
    }

    /// Returns true if a target is the login page itself.
    pub(crate) fn is_target(&self, target: &str) -> bool {
        let path = |text: &str| {
            let text = text.split(['?', '#']).next().unwrap_or_default();
            match text.strip_prefix("https://") {
                Some(rest) => {
                    rest.split_once('/').map_or("/".to_owned(), |(_, path)| format!("/{path}"))
                }
                None => text.to_owned(),
            }
        };
        let host = |text: &str| text.split('/').nth(2).map(str::to_ascii_lowercase);
        let both_absolute = self.0.starts_with("https://") && target.starts_with("https://");
        path(&self.0) == path(target) && (!both_absolute || host(&self.0) == host(target))
    }
}

/// Returns a URL with the page to which the browser is to return, or without it if both together
/// are too long.
fn with_target(url: String, target: Option<&str>) -> String {
    let Some(target) = target else { return url };
    let separator = if url.contains('?') { '&' } else { '?' };
    let value: String = form_urlencoded::byte_serialize(target.as_bytes()).collect();
    let whole = format!("{url}{separator}return_to={value}");
    if whole.len() <= MAX_LENGTH { whole } else { url }
}

/// Returns the value of Location for a target, which is visible ASCII.
pub(crate) fn location(target: String) -> HeaderValue {
    HeaderValue::try_from(target).unwrap_or(HeaderValue::from_static("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_returns_to_a_path_or_to_a_listed_host() {
        let hosts = ReturnHosts::parse("app.example.com, Shop.example.com:8443").unwrap();
        for (text, target) in [
            ("/", Some("/")),
            ("/orders?sort=asc&x=%2F#top", Some("/orders?sort=asc&x=%2F#top")),
            ("/a b/ä", Some("/a%20b/%C3%A4")),
            ("/x//y/../z", Some("/x//y/../z")),
            ("https://app.example.com", Some("https://app.example.com")),
            ("https://APP.example.com/orders", Some("https://APP.example.com/orders")),
            ("https://shop.example.com:8443?x", Some("https://shop.example.com:8443?x")),
            ("", None),
            ("orders", None),
            ("//evil.example", None),
            ("///evil.example", None),
            ("/\\evil.example", None),
            ("\\\\evil.example", None),
            ("/\t/evil.example", None),
            ("/\n/evil.example", None),
            ("/\u{85}/evil.example", None),
            ("/x\r\nSet-Cookie: a=b", None),
            (" /orders", None),
            ("http://app.example.com/", None),
            ("HTTPS://app.example.com/", None),
            ("https:/app.example.com/", None),
            ("https:app.example.com/", None),
            ("https://evil.example/", None),
            ("https://app.example.com.evil.example/", None),
            ("https://app.example.com@evil.example/", None),
            ("https://app.example.com:443/", None),
            ("https://app.example.com:x@evil.example/", None),
            ("https://app.example.com\\@evil.example/", None),
            ("https://evil.example/app.example.com", None),
            ("https://evil.example?app.example.com", None),
            ("https:///app.example.com", None),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("/auth/refresh?return_to=/x", None),
            ("/auth/refresh#x", None),
            ("https://app.example.com/auth/refresh?return_to=/x", None),
            ("/auth/refreshed", Some("/auth/refreshed")),
        ] {
            assert_eq!(hosts.target(text).as_deref(), target, "{text:?}");
        }
        assert!(hosts.target(&format!("/{}", "a".repeat(MAX_LENGTH - 1))).is_some());
        assert_eq!(hosts.target(&format!("/{}", "a".repeat(MAX_LENGTH))), None);
        assert_eq!(hosts.target(&format!("/{}", "ä".repeat(MAX_LENGTH / 3))), None);
        for invalid in
            ["https://a.example", "a.example/", "*.example", "a@b", "a:99999", "[::1", ":8"]
        {
            assert_eq!(ReturnHosts::parse(invalid), Err(invalid.to_owned()));
        }
    }

    #[test]
    fn the_login_page_is_a_path_or_https() {
        for valid in ["/", "/login", "/login?theme=dark", "https://a.example.com/login"] {
            assert!(LoginUrl::parse(valid).is_ok(), "{valid}");
        }
        for invalid in
            ["login", "//a.example", "http://a.example/", "/login#top", "/a b", "https:/x"]
        {
            assert!(LoginUrl::parse(invalid).is_err(), "{invalid}");
        }
        let login = LoginUrl::parse("/login?theme=dark").unwrap();
        assert_eq!(login.returning_to(Some("/a?b&c")), "/login?theme=dark&return_to=%2Fa%3Fb%26c");
        assert_eq!(login.refresh_url(Some("/a?b"), None), "/auth/refresh?return_to=%2Fa%3Fb");
        assert!(login.is_target("/login") && login.is_target("/login?x#y"));
        assert!(!login.is_target("/login/x") && !login.is_target("/"));
        let login = LoginUrl::parse("https://accounts.example.com/login").unwrap();
        assert_eq!(
            login.refresh_url(Some("/a"), Some(("https", "app.example.com"))),
            "https://accounts.example.com/auth/refresh?return_to=https%3A%2F%2Fapp.example.com%2Fa"
        );
        let unknown = "https://accounts.example.com/auth/refresh";
        assert_eq!(login.refresh_url(Some("/a"), None), unknown);
        assert_eq!(login.refresh_url(Some("/a"), Some(("https", "a/b"))), unknown);
        assert!(
            login.is_target("https://accounts.example.com/login?x") && login.is_target("/login")
        );
        assert!(!login.is_target("https://app.example.com/login"));
    }

    #[test]
    fn a_path_is_a_url_for_a_login_page_on_another_host() {
        let login = LoginUrl::parse("https://accounts.example.com/login").unwrap();
        let hosts = ReturnHosts::parse("accounts.example.com,app.example.com").unwrap();
        let seen = |target, scheme, host| login.seen_from_login(target, (scheme, host), &hosts);
        let page = Some("https://app.example.com/a?b".to_owned());
        assert_eq!(seen("/a?b", "https", "app.example.com"), page);
        assert_eq!(seen("https://app.example.com/a?b", "https", "app.example.com"), page);
        for (scheme, host) in [
            ("https", "accounts.example.com"),
            ("https", "Accounts.example.com"),
            ("https", "evil.example"),
            ("http", "app.example.com"),
        ] {
            assert_eq!(seen("/a?b", scheme, host), None, "{scheme}://{host}");
        }
        let path = LoginUrl::parse("/login").unwrap();
        assert_eq!(path.seen_from_login("/a", ("https", "app.example.com"), &hosts), None);
    }

    #[test]
    fn a_redirect_without_room_for_its_target_has_none() {
        let long = format!("/{}", "&".repeat(700));
        for url in ["/login?theme=dark", "https://accounts.example.com/login"] {
            let login = LoginUrl::parse(url).unwrap();
            assert_eq!(login.returning_to(Some(&long)), url);
            let refresh = login.refresh_url(Some(&long), Some(("https", "app.example.com")));
            assert!(refresh.ends_with("/auth/refresh"), "{refresh}");
            assert!(login.returning_to(Some(&long[..600])).len() > 1800);
        }
        let url = format!("/{}", "a".repeat(MAX_LENGTH - 10));
        assert_eq!(LoginUrl::parse(&url).unwrap().returning_to(Some("/a")), url);
    }
}
