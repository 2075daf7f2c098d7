//! Attacks on the identity that the backend sees: forged headers in every form.

use super::backend::Received;
use super::site::Site;

/// Lines with which an end user could state an identity.
fn forgeries() -> Vec<Vec<(&'static str, &'static str)>> {
    let victim = "00000000-0000-0000-0000-000000000001";
    let mut forgeries = vec![
        vec![("X-User-Id", victim), ("X-Session-Id", victim), ("X-Claims", "{\"role\":\"admin\"}")],
        vec![("X-User-Id", victim), ("X-User-Id", victim)],
        vec![("X-User-Id", ""), ("X-User-Id", victim)],
        vec![("x-user-id", victim), ("X-USER-ID", victim)],
        vec![("X_User_Id", victim), ("X_Session_Id", victim), ("X_Claims", "{}")],
        vec![("X-User_Id", victim), ("X_User-Id", victim)],
        vec![("x_user_id", victim), ("X_USER_ID", victim)],
    ];
    for connection in [
        "X-User-Id",
        "x-user-id, X-Session-Id, X-Claims",
        "keep-alive, X-Claims",
        "close, X-User-Id",
        "X_User_Id",
    ] {
        forgeries.push(vec![("Connection", connection)]);
        forgeries.push(vec![("Connection", connection), ("X-User-Id", victim)]);
        forgeries.push(vec![("Connection", "keep-alive"), ("Connection", connection)]);
    }
    forgeries.push(vec![("Keep-Alive", "X-User-Id"), ("Proxy-Connection", "X-User-Id")]);
    forgeries.push(vec![("TE", "trailers"), ("Trailer", "X-User-Id")]);
    forgeries
}

pub(super) fn headers(site: Site) {
    for forged in forgeries() {
        let context = format!("{forged:?}");
        // Protected, with a valid token: exactly the identity of the token, or a refusal.
        let reply = site.request_as_kim("GET /orders", &forged);
        match reply.status {
            200 => {
                let received = Received::from(&reply.body);
                site.assert_identity(&received, &context);
                // A server before the backend could remove what is named there.
                let connection = received.values("connection").concat().to_ascii_lowercase();
                assert!(!connection.contains("user"), "{context}: {reply:?}");
            }
            status => assert_eq!(status, 400, "{context}: {reply:?}"),
        }
        // Protected, without a token: nothing reaches the backend.
        site.backend.take_requests();
        let reply = site.request("GET /orders", &forged);
        assert!(matches!(reply.status, 400 | 401), "{context}: {reply:?}");
        assert_eq!(site.backend.take_requests(), 0, "{context}");
        // Public: no identity at all, with and without a token.
        for path in ["GET /", "GET /public/page"] {
            for reply in [site.request(path, &forged), site.request_as_kim(path, &forged)] {
                assert!(matches!(reply.status, 200 | 400), "{context}: {reply:?}");
                let received = Received::from(&reply.body);
                for name in ["x-user-id", "x-session-id", "x-claims", "authorization"] {
                    assert!(received.values(name).is_empty(), "{context}: {reply:?}");
                }
            }
        }
    }
    // Our cookies stay at the proxy on public routes too, however often they are repeated.
    for cookies in ["__Host-user=a", "__Host-user=a; x=1; __Host-user=b", "__Secure-user-refresh=r"]
    {
        let reply = site.request("GET /public/page", &[("Cookie", cookies)]);
        let received = Received::from(&reply.body).values("cookie").concat();
        assert!(!received.contains("user"), "{cookies}: {reply:?}");
    }
    // A request without a complete head is not passed on with an identity.
    let mut cut = site.connect();
    cut.send(format!("GET /orders HTTP/1.1\r\nAuthorization: Bearer {}\r\n", site.kim.token));
    drop(cut);
}

/// Every character other than letters and digits that a name may contain (RFC 9110, 5.6.2).
const SEPARATORS: &str = "!#$%&'*+-.^_`|~";

/// Returns every name that a backend with CGI names reads as one of those that an end user must not
/// state.
fn names() -> Vec<String> {
    let words = [["X", "User", "Id"], ["X", "Session", "Id"], ["X", "Forwarded", "For"]];
    let mut names = Vec::new();
    for first in SEPARATORS.chars() {
        names.push(format!("X{first}Claims"));
        for second in SEPARATORS.chars() {
            names.extend(words.map(|[a, b, c]| format!("{a}{first}{b}{second}{c}")));
        }
    }
    names
}

pub(super) fn separators(site: Site) {
    let victim = "00000000-0000-0000-0000-000000000001";
    let is_clean = |body: &str, protected: bool| {
        assert!(!body.contains(victim), "{body}");
        let received = Received::from(body);
        assert_eq!(received.values("x-forwarded-for"), ["127.0.0.1"], "{body}");
        if protected {
            site.assert_identity(&received, body);
        } else {
            for name in ["x-user-id", "x-session-id", "x-claims"] {
                assert!(received.values(name).is_empty(), "{body}");
            }
        }
    };
    let bearer = site.bearer();
    for names in names().chunks(40) {
        let forged: Vec<_> = names.iter().map(|name| (name.as_str(), victim)).collect();
        for path in ["/orders", "/", "/public/page"] {
            let reply = site.request_as_kim(&format!("GET {path}"), &forged);
            assert_eq!(reply.status, 200, "{names:?}: {reply:?}");
            is_clean(&reply.body, path == "/orders");

            let lower: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
            let mut fields = vec![
                (":method", "GET"),
                (":scheme", "http"),
                (":path", path),
                (":authority", "app.example"),
                ("authorization", &bearer),
            ];
            fields.extend(lower.iter().map(|name| (name.as_str(), victim)));
            let reply = site.connect_http2().request(&fields);
            assert_eq!(reply.status, Some(200), "{names:?}: {reply:?}");
            is_clean(&reply.body, path == "/orders");
        }
    }
}

pub(super) fn trailers(site: Site) {
    let victim = "00000000-0000-0000-0000-000000000001";
    let trailers =
        [("x-user-id", victim), ("x_user_id", victim), ("x~user~id", victim), ("x-claims", victim)];
    let bearer = site.bearer();
    for path in ["/orders", "/public/form"] {
        for more in [
            "",
            "Trailer: X-User-Id, X-Claims\r\nTE: trailers\r\n",
            "Connection: Upgrade\r\nUpgrade: websocket\r\n",
            "Upgrade: websocket\r\n",
            "Connection: close\r\nUpgrade: websocket\r\n",
            "Connection: keep-alive\r\nUpgrade: websocket\r\n",
            "Content-Length: 6\r\n",
            "Content-Length: 6\r\nUpgrade: websocket\r\n",
        ] {
            let lines = trailers.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
            let mut http = site.connect();
            http.send(format!(
                "POST {path} HTTP/1.1\r\nHost: app.example\r\nAuthorization: {bearer}\r\n\
                 Transfer-Encoding: chunked\r\n{more}\r\n6\r\na body\r\n0\r\n{lines}\r\n"
            ));
            let reply = http.reply().unwrap();
            assert!(matches!(reply.status, 200 | 400 | 411), "{reply:?}");
            assert!(!reply.body.contains(victim), "{path}: {reply:?}");
        }
        for length in ["6", ""] {
            let mut fields = vec![
                (":method", "POST"),
                (":scheme", "http"),
                (":path", path),
                (":authority", "app.example"),
                ("authorization", bearer.as_str()),
                ("trailer", "x-user-id, x-claims"),
            ];
            if !length.is_empty() {
                fields.push(("content-length", length));
            }
            let reply = site.connect_http2().request_with_trailers(&fields, &trailers[..1]);
            // nginx closes such a stream.
            assert!(matches!(reply.status, Some(200 | 411) | None), "{reply:?}");
            assert!(!reply.body.contains(victim), "{path}: {reply:?}");
        }
    }
}

pub(super) fn other_statements(site: Site) {
    let names = [
        "Forwarded",
        "Remote-User",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "X-Forwarded-Method",
        "X-Forwarded-Path",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Protocol",
        "X-Forwarded-Scheme",
        "X-Forwarded-Server",
        "X-Forwarded-Ssl",
        "X-Forwarded-Uri",
        "X-Forwarded-User",
        "X-Original-Uri",
        "X-Original-Url",
        "X-Real-Ip",
        "X-Remote-User",
        "X-Rewrite-Url",
    ];
    let stated = names.map(|name| (name, "stated"));
    let stated = [&stated[..], &[("X-Forwarded-For", "stated"), ("X-Forwarded-Proto", "stated")]];
    for path in ["/orders", "/public/page"] {
        let reply = site.request_as_kim(&format!("GET {path}"), &stated.concat());
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(!reply.body.contains("stated"), "{reply:?}");
    }
}
