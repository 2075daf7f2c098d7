//! Attacks on the identity that the backend sees: forged headers in every form, and paths that are
//! spelled in a way that the proxy and the backend could read differently.

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

pub(super) fn paths(site: Site) {
    for path in [
        "/orders",
        "//orders",
        "/./orders",
        "/public/../orders",
        "/public/%2e%2e/orders",
        "/public/.%2e/orders",
        "/public/..%2forders",
        "/public%2f..%2forders",
        "/public/%252e%252e/orders",
        "/public/..;/orders",
        "/public/;/../orders",
        "/public\\..\\orders",
        "/public/..\\orders",
        "/public//../orders",
        "/public/%00/orders",
        "/public/x%0d%0aX-User-Id:%20y",
        "/Public/orders",
        "/publicorders",
        "/public",
        "/%70ublic/../orders",
        "/public/./../orders",
        "/?/../public/",
        "/orders?/public/",
        "/orders/../public/..",
        "/orders#/public/",
        "http://app.example/orders",
        "http://app.example/public/../orders",
        "http://other.example/orders",
        "*",
    ] {
        site.backend.take_requests();
        let mut http = site.connect();
        http.send(format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n\r\n"));
        let reply = http.reply();
        if site.backend.take_requests() == 0 {
            continue;
        }
        // What reached the backend is a public path, and spelled plainly.
        let body = reply.unwrap().body;
        let target = body.split(' ').nth(1).unwrap();
        let target = target.split('?').next().unwrap();
        let plain = target.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~/-".contains(&b));
        let public = target == "/" || target.starts_with("/public/");
        assert!(public && plain && !target.contains(".."), "{path} reached the backend: {body}");
    }
    // A second request inside of the first one.
    let smuggled = "GET /orders HTTP/1.1\r\nHost: app.example\r\nX-User-Id: x\r\n\r\n";
    for head in [
        format!("Content-Length: 0\r\nContent-Length: {}\r\n", smuggled.len()),
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", smuggled.len()),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
    ] {
        let mut http = site.connect();
        let body = "0\r\n\r\n";
        http.send(format!(
            "POST /public/form HTTP/1.1\r\nHost: app.example\r\n{head}\r\n{body}{smuggled}"
        ));
        http.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut bodies = Vec::new();
        while let Some(reply) = http.reply() {
            bodies.push(reply.body);
        }
        assert!(!bodies.iter().any(|body| body.starts_with("GET /orders")), "{head}: {bodies:?}");
    }
}
