//! The token of a request: from `Authorization: Bearer`, otherwise from the cookie.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::cookies::{self, Cookies};

/// Maximum size of a token in bytes, as in PROTOCOL.md.
const MAX_TOKEN: usize = 2048;

/// Maximum number of tokens that are used if the cookie is repeated.
const MAX_REPEATED: usize = 16;

/// Access token that a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) value: &'a str,
    pub(crate) source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Authorization,
    Cookie,
}

/// Error about a request with a malformed token or with more than one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Returns the token of a request, if it carries one. If `Authorization` is present, the cookie is
/// ignored, and another scheme than Bearer counts as no token.
pub(crate) fn find<'a>(
    headers: &'a HeaderMap,
    cookies: &Cookies,
) -> Result<Option<Token<'a>>, Malformed> {
    if headers.contains_key(AUTHORIZATION) {
        let token = in_authorization(headers)?;
        return Ok(token.map(|value| Token { value, source: Source::Authorization }));
    }
    let value = in_cookie(headers, cookies)?;
    Ok(value.map(|value| Token { value, source: Source::Cookie }))
}

/// Returns the access token in the cookie.
pub(crate) fn in_cookie<'a>(
    headers: &'a HeaderMap,
    cookies: &Cookies,
) -> Result<Option<&'a str>, Malformed> {
    let found = cookies::find(headers, cookies.access_name()).map_err(|_| Malformed)?;
    found.map(parse).transpose()
}

/// Returns the different access tokens of a request that may have the cookie more than once: its
/// own one is among them, unless there are too many.
pub(crate) fn in_cookies<'a>(headers: &'a HeaderMap, cookies: &Cookies) -> Vec<&'a str> {
    let mut tokens = Vec::new();
    let values = cookies::find_all(headers, cookies.access_name());
    for token in values.filter_map(|value| parse(value).ok()) {
        if tokens.len() < MAX_REPEATED && !tokens.contains(&token) {
            tokens.push(token);
        }
    }
    tokens
}

/// Returns the token in `Authorization`, or `None` without the header or with another scheme than
/// Bearer.
fn in_authorization(headers: &HeaderMap) -> Result<Option<&str>, Malformed> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => bearer(value.as_bytes()).map(parse).transpose(),
        (None, _) => Ok(None),
        // A proxy and a backend could choose different ones.
        (Some(_), Some(_)) => Err(Malformed),
    }
}

/// Returns the credentials of the scheme Bearer, or `None` for another scheme.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(b"Bearer".len())?;
    let separated = rest.first().is_none_or(|byte| *byte == b' ');
    (scheme.eq_ignore_ascii_case(b"Bearer") && separated).then(|| rest.trim_ascii())
}

/// Checks the size and the alphabet of a token, so that nothing else is ever sent to the service.
fn parse(value: &[u8]) -> Result<&str, Malformed> {
    let of_alphabet =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let valid = (1..=MAX_TOKEN).contains(&value.len()) && value.iter().all(of_alphabet);
    std::str::from_utf8(value).ok().filter(|_| valid).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::COOKIE;

    use super::*;

    fn found(
        authorization: &[&[u8]],
        cookies: &[&[u8]],
    ) -> Result<Option<(String, Source)>, Malformed> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        for value in cookies {
            headers.append(COOKIE, HeaderValue::from_bytes(value).unwrap());
        }
        find(&headers, &Cookies::default())
            .map(|token| token.map(|token| (token.value.to_owned(), token.source)))
    }

    fn token(value: &str, source: Source) -> Result<Option<(String, Source)>, Malformed> {
        Ok(Some((value.to_owned(), source)))
    }

    #[test]
    fn a_bearer_token_comes_first() {
        let expected = token("a.b-c_d", Source::Authorization);
        assert_eq!(found(&[b"Bearer a.b-c_d"], &[]), expected);
        assert_eq!(found(&[b"bEaReR   a.b-c_d "], &[b"__Host-user=other"]), expected);
    }

    #[test]
    fn any_other_authorization_hides_the_cookie() {
        let cookie: &[&[u8]] = &[b"__Host-user=a.b.c"];
        for value in [&b"Basic a2ltOnB3"[..], b"", b"a.b.c", b"Bearera.b.c", b"Bear", b"\xff\xfe"] {
            assert_eq!(found(&[value], cookie), Ok(None), "{value:?}");
        }
        let long = [&b"Bearer "[..], &[b'a'; MAX_TOKEN + 1]].concat();
        for value in [
            &b"Bearer"[..],
            b"Bearer ",
            b"Bearer a b",
            b"Bearer a,b",
            b"Bearer \"a\"",
            b"Bearer a=",
            b"Bearer a\xc3\xa4",
            b"Bearer a\tb",
            b"Bearer a%2e",
            &long,
        ] {
            assert_eq!(found(&[value], cookie), Err(Malformed), "{value:?}");
        }
        assert_eq!(found(&[b"Bearer a.b.c", b"Bearer a.b.c"], cookie), Err(Malformed));
        assert_eq!(found(&[b"Basic a2ltOnB3", b"Bearer a.b.c"], cookie), Err(Malformed));
    }

    #[test]
    fn otherwise_the_cookie_with_exactly_this_name_counts() {
        let expected = token("a.b.c", Source::Cookie);
        for cookies in [
            &[&b"__Host-user=a.b.c"[..]][..],
            &[b"x=1; __Host-user=a.b.c; y=2"],
            &[b"x=1;__Host-user=a.b.c;"],
            &[b"x=1", b"__Host-user=a.b.c"],
            &[b"x=\xff; __Host-user=a.b.c"],
            &[b"__host-user=x; __Host-user2=y; __Host-use=z; __Host-user=a.b.c"],
        ] {
            assert_eq!(found(&[], cookies), expected, "{cookies:?}");
        }
        for cookies in [
            &[][..],
            &[&b"__Host-user"[..]],
            &[b"__host-user=a.b.c"],
            &[b"x=__Host-user=a.b.c"],
            &[b"__Secure-user=a.b.c"],
            &[b"__Host-user =a.b.c"],
        ] {
            assert_eq!(found(&[], cookies), Ok(None), "{cookies:?}");
        }
        for cookies in [
            &[&b"__Host-user=a; __Host-user=b"[..]][..],
            &[b"__Host-user=a", b"__Host-user=a"],
            &[b"__Host-user="],
            &[b"__Host-user=\"a.b.c\""],
            &[b"__Host-user=a.b.c,d"],
            &[b"__Host-user=a\xff"],
        ] {
            assert_eq!(found(&[], cookies), Err(Malformed), "{cookies:?}");
        }
    }

    #[test]
    fn every_different_token_of_a_repeated_cookie_is_found_up_to_sixteen() {
        let tokens = |line: &str| {
            let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(line).unwrap())]);
            in_cookies(&headers, &Cookies::default()).join(" ")
        };
        assert_eq!(tokens("x=1"), "");
        assert_eq!(tokens("__Host-user=a; x=1; __Host-user=b; __Host-user=a"), "a b");
        assert_eq!(tokens("__Host-user=\"; __Host-user=; __Host-user=a"), "a");
        let many: Vec<String> = (0..20).map(|number| format!("__Host-user={number}")).collect();
        assert_eq!(tokens(&many.join("; ")), "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15");
    }
}
