//! Settings for browsers: cookies, origins, and the pages between which they are redirected.

use super::vars::Reader;
use crate::cookies::Cookies;
use crate::return_to::{LoginUrl, ReturnHosts, is_host};

/// Settings for browsers.
#[derive(Debug, Clone)]
pub struct BrowserConfig {
    pub cookies: Cookies,
    /// Other origins that may use the JSON API, such as `https://app.example.com`.
    pub cors_origins: Vec<String>,
    /// Page where a user logs in.
    pub login: LoginUrl,
    /// Hosts to which a browser may be redirected after a refresh. That of `login` is among them.
    pub return_hosts: ReturnHosts,
}

pub(super) fn read(vars: &mut Reader<'_>) -> BrowserConfig {
    let hint = "Set COOKIE_DOMAIN to a domain that all hosts below it may be trusted with, or unset \
                it.";
    let domain = vars.optional("COOKIE_DOMAIN").filter(|text| {
        let valid = is_domain(text);
        if !valid {
            let expected = "expected a domain such as example.com, in lower case, without a port";
            vars.invalid("COOKIE_DOMAIN", text, expected, hint);
        }
        valid
    });
    let cors_origins = vars.parsed(
        "CORS_ORIGINS",
        "",
        "origins such as `https://app.example.com`, separated by commas",
        |text| {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.map(|item| origin(item).ok_or(format!("`{item}` is not"))).collect()
        },
    );
    let login = vars.parsed("LOGIN_URL", "/", "a path, or a URL with https", LoginUrl::parse);
    let return_hosts = vars.parsed(
        "RETURN_HOSTS",
        "",
        "hosts such as `app.example.com`, with an optional port, separated by commas",
        |text| ReturnHosts::parse(text).map_err(|item| format!("`{item}` is not")),
    );
    let login = login.unwrap_or_default();
    let mut return_hosts = return_hosts.unwrap_or_default();
    return_hosts.extend(login.host());
    BrowserConfig {
        cookies: Cookies { domain },
        cors_origins: cors_origins.unwrap_or_default(),
        login,
        return_hosts,
    }
}

/// Returns true for a host name in lower case of at least two labels that is not an IP address.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        let of_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(of_label)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = text.rsplit('.').next().is_some_and(|last| last.parse::<u64>().is_ok());
    text.len() <= 253 && text.contains('.') && text.split('.').all(label) && !is_number
}

/// Returns an origin in the form in which browsers state it, or `None` if it is not one.
fn origin(text: &str) -> Option<String> {
    let (scheme, host) = text.split_once("://")?;
    let default_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let lower = host == host.to_ascii_lowercase();
    (is_host(host) && lower && !host.ends_with(default_port)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_domain_is_a_domain() {
        for valid in ["example.com", "a-b.example.co.uk", "xn--bcher-kva.example"] {
            assert!(is_domain(valid), "{valid}");
        }
        for invalid in [
            "",
            "com",
            ".example.com",
            "example.com.",
            "Example.com",
            "192.0.2.1",
            "a.b:80",
            "a_b.c",
        ] {
            assert!(!is_domain(invalid), "{invalid}");
        }
    }

    #[test]
    fn an_origin_is_in_the_form_of_browsers() {
        for valid in ["https://app.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(origin(valid).is_some(), "{valid}");
        }
        for invalid in [
            "*",
            "null",
            "app.example",
            "https://app.example/",
            "https://App.example",
            "https://app.example:443",
            "http://app.example:80",
            "https://*.example",
            "https://a@b",
            "file://x",
        ] {
            assert!(origin(invalid).is_none(), "{invalid}");
        }
    }
}
