//! The URL of a database as libpq accepts it: several hosts, and the form `key=value`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Settings of a database with several hosts, as one URL for each.
#[derive(Debug)]
pub(super) struct HostUrls {
    pub(super) urls: Vec<String>,
    /// Set if `target_session_attrs` requires a server that accepts writes.
    pub(super) writable: bool,
}

/// Returns true if a text has the form `host=... dbname=...`.
pub(super) fn is_key_value(text: &str) -> bool {
    let key = text.split('=').next().unwrap_or_default().trim();
    text.contains('=')
        && !key.is_empty()
        && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// Converts the form `host=a,b port=1,2 dbname=name` to a URL.
///
/// # Errors
/// Describes the mistake, without any part of the text.
pub(super) fn from_key_value(text: &str) -> Result<String, String> {
    let pairs = pairs(text).ok_or("expected key=value pairs separated by spaces")?;
    let (mut user, mut password, mut name) = (String::new(), None, String::new());
    let (mut hosts, mut ports, mut query) = (Vec::new(), Vec::new(), Vec::new());
    for (key, value) in pairs {
        let list = || value.split(',').map(ToOwned::to_owned).collect::<Vec<_>>();
        match key.as_str() {
            "host" => hosts = list(),
            "port" => ports = list(),
            "user" => user = encode(&value),
            "password" => password = Some(encode(&value)),
            "dbname" => name = encode(&value),
            _ => query.push(format!("{key}={}", encode(&value))),
        }
    }
    if hosts.is_empty() {
        hosts.push("localhost".to_owned());
    }
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err("expected one port, or as many as hosts".to_owned());
    }
    let host = |(index, host): (usize, &String)| {
        let host = if host.contains(':') { format!("[{host}]") } else { encode(host) };
        match ports.get(index).or(ports.first()).filter(|port| !port.is_empty()) {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    };
    let hosts: Vec<String> = hosts.iter().enumerate().map(host).collect();
    let password = password.map(|password| format!(":{password}")).unwrap_or_default();
    let at = if user.is_empty() && password.is_empty() { "" } else { "@" };
    Ok(format!("postgresql://{user}{password}{at}{}/{name}?{}", hosts.join(","), query.join("&")))
}

/// Splits a URL with several hosts into one for each, and takes `target_session_attrs` out of it.
///
/// # Errors
/// If `target_session_attrs` does not require a server that accepts writes.
pub(super) fn split(url: &str) -> Result<HostUrls, String> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut required, mut parameters) = (None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("target_session_attrs", value)) => required = Some(value),
            Some(("host" | "hostaddr" | "port", value)) if is_list(value) => {
                return Err("several hosts are named before the name of the database, as \
                            postgresql://user@a:5432,b:5432/name"
                    .to_owned());
            }
            _ => parameters.push(pair),
        }
    }
    let query = match parameters.is_empty() {
        true => String::new(),
        false => format!("?{}", parameters.join("&")),
    };
    let (scheme, rest) = base.split_once("://").unwrap_or(("", base));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let url = |host| format!("{scheme}://{user}{host}{path}{query}");
    let urls: Vec<String> = hosts.split(',').map(url).collect();
    let writable = match required {
        None => false,
        Some("any") if urls.len() == 1 => false,
        Some("read-write" | "primary") => true,
        Some(_) => return Err("target_session_attrs must be read-write or primary".to_owned()),
    };
    Ok(HostUrls { urls, writable })
}

/// Returns true if the value of a query parameter contains a comma.
fn is_list(value: &str) -> bool {
    [",", "%2C", "%2c"].iter().any(|comma| value.contains(comma))
}

/// Splits `key=value` pairs. A value in single quotes may contain spaces; a backslash escapes the
/// next character.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let mut value = String::new();
        let after = after.trim_start();
        let quoted = after.starts_with('\'');
        let mut chars = after.char_indices().skip(usize::from(quoted));
        let mut end = after.len();
        let mut closed = !quoted;
        while let Some((at, char)) = chars.next() {
            match char {
                '\\' => value.push(chars.next()?.1),
                '\'' if quoted => {
                    (end, closed) = (at + 1, true);
                    break;
                }
                space if space.is_whitespace() && !quoted => {
                    end = at;
                    break;
                }
                other => value.push(other),
            }
        }
        let key = key.trim();
        if !closed || key.is_empty() || !key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return None;
        }
        pairs.push((key.to_owned(), value));
        rest = after.get(end..)?.trim_start();
    }
    Some(pairs)
}

/// Encodes every byte that could have a meaning in a URL.
fn encode(text: &str) -> String {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_key_and_value_becomes_a_url() {
        let url = |text| from_key_value(text).unwrap();
        assert_eq!(
            url("host=a,b port=5433,5434 user=u password='a b\\'/@' dbname=users sslmode=disable"),
            "postgresql://u:a%20b%27%2F%40@a:5433,b:5434/users?sslmode=disable"
        );
        assert_eq!(url("host=a,b port=5433 dbname = x"), "postgresql://a:5433,b:5433/x?");
        assert_eq!(url("dbname=x"), "postgresql://localhost/x?");
        assert_eq!(url("host=/run/a,::1 dbname=x"), "postgresql://%2Frun%2Fa,[::1]/x?");
        for text in ["host=a,b port=1,2,3", "host='a", "host", "host=a b"] {
            assert!(from_key_value(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_url_with_several_hosts_is_split() {
        let split = split("postgres://u:p@a:1,b,[::1]:3/db?target_session_attrs=read-write&x=1");
        let split = split.unwrap();
        assert!(split.writable);
        assert_eq!(
            split.urls,
            [
                "postgres://u:p@a:1/db?x=1",
                "postgres://u:p@b/db?x=1",
                "postgres://u:p@[::1]:3/db?x=1"
            ]
        );
        assert!(super::split("postgres://a,b/db?target_session_attrs=any").is_err());
        assert!(!super::split("postgres://a/db?target_session_attrs=any").unwrap().writable);
        assert!(super::split("postgres:///db?host=a,b").is_err());
    }
}
