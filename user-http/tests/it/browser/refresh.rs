//! Pages: `/auth/page` sends a browser to `/auth/refresh`, and that sends it back or to the login
//! page, and never in a circle.

use std::thread;
use std::time::Duration;

use super::{Browser, NAVIGATE, SAME_ORIGIN, start, start_program, start_with};
use crate::api::raw;
use crate::http::get;
use crate::program::{Program, until};
use crate::scripted;
use crate::service::LiveService;

const EXPIRY: Duration = Duration::from_secs(16 * 60);

#[test]
fn a_page_with_an_expired_token_is_refreshed_and_opened() {
    let (service, program) = start();
    service.register("kim");
    let mut browser = Browser::logged_in(&program, "kim");
    let page = browser.open(program.address, "/orders?sort=asc");
    assert_eq!(page.status, 200);
    assert!(page.header("x-user-id").len() == 36, "{page:?}");
    service.advance(EXPIRY);
    let page = browser.open(program.address, "/orders?sort=asc");
    let location = page.header("location");
    assert_eq!((page.status, location), (302, "/auth/refresh?return_to=%2Forders%3Fsort%3Dasc"));
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("vary"), "Accept, Authorization, Cookie, Sec-Fetch-Mode");
    assert_eq!((page.header("set-cookie"), page.body.as_str()), ("absent", ""));
    let before = browser.cookie("__Secure-user-refresh").unwrap().to_owned();
    let back = browser.follow(program.address, &page);
    assert_eq!((back.status, back.header("location")), (303, "/orders?sort=asc"));
    assert_ne!(browser.cookie("__Secure-user-refresh").unwrap(), before);
    assert_eq!(browser.open(program.address, "/orders?sort=asc").status, 200);
}

#[test]
fn anything_but_a_navigation_gets_401() {
    let (service, program) = start();
    let kim = service.register("kim");
    service.advance(EXPIRY);
    let bearer = format!("Bearer {}", kim.token);
    let html = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    for (request, headers, status) in [
        ("GET /auth/page", &[html][..], 302),
        ("HEAD /auth/page/orders", &[html], 302),
        ("GET /auth/page", &[NAVIGATE], 302),
        ("GET /auth/page", &[("Accept", "application/json")], 401),
        ("GET /auth/page", &[], 401),
        ("GET /auth/page", &[html, ("Sec-Fetch-Mode", "cors")], 401),
        ("GET /auth/page", &[NAVIGATE, ("X-Forwarded-Method", "POST")], 401),
        ("POST /auth/page/orders", &[html], 401),
        ("GET /auth/page", &[NAVIGATE, ("Authorization", &bearer)], 401),
        ("GET /auth/check", &[NAVIGATE, html], 401),
    ] {
        let mut http = crate::http::Http::connect(program.address);
        let reply = http.request(request, headers);
        assert_eq!(reply.status, status, "{request} {headers:?}: {reply:?}");
        assert_eq!(reply.header("location") != "absent", status == 302, "{reply:?}");
    }
}

#[test]
fn without_a_session_a_page_leads_to_the_login() {
    let (service, program) = start_with(&[("LOGIN_URL", "/login?theme=dark")]);
    service.register("kim");
    let mut browser = Browser::default();
    let page = browser.open(program.address, "/orders");
    let login = browser.follow(program.address, &page);
    let location = login.header("location").to_owned();
    assert_eq!((login.status, location.as_str()), (303, "/login?theme=dark&return_to=%2Forders"));
    assert_eq!(login.header("set-cookie"), "absent");
    let mut browser = Browser::logged_in(&program, "kim");
    browser.clone().send(program.address, "DELETE /v1/sessions", &[SAME_ORIGIN], None);
    until(|| browser.clone().open(program.address, "/orders").status == 302);
    let page = browser.open(program.address, "/orders");
    let login = browser.follow(program.address, &page);
    assert_eq!(login.header("location"), location);
    assert!(browser.jar.is_empty(), "{login:?}");
}

#[test]
fn a_script_refreshes_with_post() {
    let (service, program) = start();
    service.register("kim");
    let mut browser = Browser::logged_in(&program, "kim");
    let before = browser.clone();
    let send = |browser: &mut Browser| {
        browser.send(program.address, "POST /auth/refresh", &[SAME_ORIGIN], None)
    };
    // The tokens are new, so they stay.
    let reply = send(&mut browser);
    assert_eq!((reply.status, reply.header("set-cookie")), (200, "absent"), "{reply:?}");
    service.advance(EXPIRY);
    let reply = send(&mut browser);
    assert_eq!(reply.status, 200, "{reply:?}");
    for (name, (value, _)) in &browser.jar {
        assert_ne!(before.cookie(name), Some(value.as_str()), "{name}");
        assert!(!reply.body.contains(value.as_str()));
    }
    // Theft: the old tokens, later than a tab could.
    service.advance(Duration::from_secs(60));
    let mut thief = before;
    assert_eq!((send(&mut thief).status, thief.jar.len()), (401, 0));
    let reply = Browser::default().send(program.address, "POST /auth/refresh", &[], None);
    assert_eq!((reply.status, reply.header("set-cookie")), (401, "absent"));
}

/// The reply to a repeated request is old, and must not make the tokens of others look younger.
#[test]
fn a_repeated_refresh_does_not_change_the_age_of_other_tokens() {
    let (service, program) = start();
    service.register("kim");
    service.register("lee");
    let attacker = Browser::logged_in(&program, "lee");
    let refresh = attacker.cookie("__Secure-user-refresh").unwrap().to_owned();
    // Its signature is wrong, so it is not used instead of a refresh.
    let access = attacker.cookie("__Host-user").unwrap();
    let forged = format!("{}.{}", access.rsplit_once('.').unwrap().0, "A".repeat(43));
    let cookies = format!("__Host-user={forged}; __Secure-user-refresh={refresh}");
    let repeat = || {
        let headers = [SAME_ORIGIN, ("Cookie", cookies.as_str()), ("Idempotency-Key", "same")];
        let reply = raw(program.address, "POST /auth/refresh", &headers, "");
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    let mut victim = Browser::logged_in(&program, "kim");
    repeat();
    service.advance(Duration::from_secs(90));
    // An honest reply shows the time of the service.
    Browser::logged_in(&program, "kim");
    repeat();
    let before = victim.cookie("__Host-user").unwrap().to_owned();
    let reply = victim.send(program.address, "POST /auth/refresh", &[SAME_ORIGIN], None);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_ne!(victim.cookie("__Host-user"), Some(before.as_str()), "it is older than a minute");
}

#[test]
fn twenty_tabs_that_refresh_on_two_instances_stay_logged_in() {
    let (service, first) = start();
    let second = start_program(&service, &[]);
    service.register("kim");
    let mut browser = Browser::logged_in(&first, "kim");
    for round in 0..3 {
        service.advance(EXPIRY);
        // Half of the tabs ask while the cookies are the old ones, and the others after that.
        let tabs: Vec<_> = (0..20)
            .map(|tab| {
                let mut tab_cookies = browser.clone();
                let address = if tab % 2 == 0 { first.address } else { second.address };
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(tab * 10));
                    let page = tab_cookies.open(address, "/orders");
                    let reply = match tab % 4 {
                        0 => {
                            let headers = &[SAME_ORIGIN];
                            tab_cookies.send(address, "POST /auth/refresh", headers, None)
                        }
                        _ => tab_cookies.follow(address, &page),
                    };
                    let expected = if tab % 4 == 0 { "absent" } else { "/orders" };
                    assert_eq!(reply.header("location"), expected, "{reply:?}");
                    tab_cookies
                })
            })
            .collect();
        let tabs: Vec<Browser> = tabs.into_iter().map(|tab| tab.join().unwrap()).collect();
        // Every tab has a usable token, and the browser keeps the cookies of any of them.
        for tab in &tabs {
            assert_eq!(tab.clone().open(second.address, "/orders").status, 200, "{round}");
        }
        browser = tabs[round * 7].clone();
        for (address, tab) in [(first.address, 3), (second.address, 18)] {
            let mut late = tabs[tab].clone();
            let reply = late.send(address, "POST /auth/refresh", &[SAME_ORIGIN], None);
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    }
}

#[test]
fn a_browser_is_never_sent_in_a_circle() {
    // The cookie of the access token does not reach the page, as on a host of RETURN_HOSTS without
    // COOKIE_DOMAIN.
    let (service, program) = start_with(&[
        ("LOGIN_URL", "https://accounts.example.com/login"),
        ("RETURN_HOSTS", "app.example.com"),
    ]);
    service.register("kim");
    let mut browser = Browser::logged_in(&program, "kim");
    let target = "https://app.example.com/orders";
    let refresh = "GET /auth/refresh?return_to=https%3A%2F%2Fapp.example.com%2Forders";
    let mut returns = 0;
    let end = loop {
        let proxied = [
            NAVIGATE,
            ("X-Forwarded-Uri", "/orders"),
            ("X-Forwarded-Host", "app.example.com"),
            ("X-Forwarded-Proto", "https"),
        ];
        let page = raw(program.address, "GET /auth/page", &proxied, "");
        let location = page.header("location");
        assert_eq!(location, refresh.replace("GET ", "https://accounts.example.com"));
        let reply = browser.send(program.address, refresh, &[NAVIGATE], None);
        assert_eq!(reply.status, 303, "{reply:?}");
        if reply.header("location") != target {
            break reply;
        }
        returns += 1;
        assert!(returns < 10);
    };
    // Browsers give up after 20 redirects.
    assert_eq!((returns, end.header("location")), (6, "https://accounts.example.com/login"));
    for _ in 0..3 {
        let reply = browser.send(program.address, refresh, &[NAVIGATE], None);
        assert_eq!(reply.header("location"), end.header("location"));
    }
    until(|| program.log().contains("a page finds no usable token"));
    let lines = program.log().matches("a page finds no usable token").count();
    assert_eq!(lines, 1, "anyone can send such requests, so it is reported once a minute");
    let other = browser.send(program.address, "GET /auth/refresh?return_to=/a", &[NAVIGATE], None);
    assert_eq!(other.header("location"), "/a", "another page is counted by itself");
    // A chain of pages that redirect would not be counted.
    let chain = "GET /auth/refresh?return_to=/auth/refresh?return_to=/a";
    assert_eq!(browser.send(program.address, chain, &[NAVIGATE], None).status, 400);
}

#[test]
fn a_login_page_that_requires_a_login_is_reported() {
    let (service, program) = start_with(&[("LOGIN_URL", "/login")]);
    service.register("kim");
    let mut browser = Browser::default();
    let page = browser.open(program.address, "/login?return_to=%2Forders");
    let reply = browser.follow(program.address, &page);
    assert_eq!((reply.status, reply.header("location")), (401, "absent"));
    let line = "a browser was sent from the page of LOGIN_URL to the login";
    until(|| program.log().contains(line));
    // Anyone can send such a request, so it is reported once a minute.
    for _ in 0..3 {
        browser.follow(program.address, &page);
    }
    let other = browser.send(program.address, "GET /auth/refresh", &[NAVIGATE], None);
    assert_eq!((other.status, other.header("location")), (303, "/login"));
    assert_eq!(program.log().matches(line).count(), 1);
}

/// The headers of a page on this host, as a proxy states them.
fn at(host: &str) -> [(&str, &str); 3] {
    [NAVIGATE, ("X-Forwarded-Host", host), ("X-Forwarded-Proto", "https")]
}

#[test]
fn a_host_without_the_refresh_token_neither_logs_out_nor_keeps_the_browser() {
    let (service, program) = start_with(&[
        ("COOKIE_DOMAIN", "example.com"),
        ("LOGIN_URL", "https://accounts.example.com/login"),
        ("RETURN_HOSTS", "app.example.com"),
    ]);
    service.register("kim");
    let mut accounts = Browser::logged_in(&program, "kim");
    service.advance(EXPIRY);
    let mut app = accounts.clone();
    app.jar.remove("__Secure-user-refresh");
    let orders = "GET /auth/refresh?return_to=/orders";
    let refresh = "/auth/refresh?return_to=https%3A%2F%2Fapp.example.com%2Forders";
    let reply = app.send(program.address, orders, &at("app.example.com"), None);
    let location = format!("https://accounts.example.com{refresh}");
    assert_eq!((reply.status, reply.header("location")), (303, location.as_str()));
    assert!(app.cookie("__Secure-user").is_some(), "{reply:?}");
    let script = [SAME_ORIGIN, ("X-Forwarded-Host", "app.example.com")];
    let reply = app.send(program.address, "POST /auth/refresh", &script, None);
    assert_eq!((reply.status, reply.header("set-cookie")), (401, "absent"));
    // The host of the login, and hosts to which no browser is sent back.
    for host in ["accounts.example.com", "evil.example", "a/b"] {
        let mut other = app.clone();
        let reply = other.send(program.address, orders, &at(host), None);
        let login = "https://accounts.example.com/login?return_to=%2Forders";
        assert_eq!((reply.status, reply.header("location")), (303, login), "{host}");
        assert_eq!(reply.header("set-cookie"), "absent", "{host}");
    }
    let reply = Browser::default().send(program.address, orders, &at("app.example.com"), None);
    let login =
        "https://accounts.example.com/login?return_to=https%3A%2F%2Fapp.example.com%2Forders";
    assert_eq!((reply.status, reply.header("location")), (303, login));
    // A proxy that states the wrong host.
    let circle = (0..9).find(|_| {
        let request = format!("GET {refresh}");
        let reply = app.send(program.address, &request, &at("app.example.com"), None);
        reply.header("location") == "https://accounts.example.com/login"
    });
    assert!(circle.is_some());
    let request = format!("GET {refresh}");
    let reply = accounts.send(program.address, &request, &at("accounts.example.com"), None);
    assert_eq!((reply.status, reply.header("location")), (303, "https://app.example.com/orders"));
}

#[test]
fn a_page_on_the_host_of_the_login_is_refreshed_and_opened() {
    let (service, program) = start_with(&[
        ("LOGIN_URL", "https://Accounts.example.com/login"),
        ("RETURN_HOSTS", "app.example.com"),
    ]);
    service.register("kim");
    let mut browser = Browser::logged_in(&program, "kim");
    let headers = [&at("accounts.example.com")[..], &[("X-Forwarded-Uri", "/orders")]].concat();
    let page = raw(program.address, "GET /auth/page", &headers, "");
    let (_, path) = page.header("location").split_once(".com").unwrap();
    let reply = browser.send(program.address, &format!("GET {path}"), &headers, None);
    let orders = "https://accounts.example.com/orders";
    assert_eq!((reply.status, reply.header("location")), (303, orders), "{reply:?}");
}

#[test]
fn a_new_token_stays_whatever_the_clocks_say() {
    let skew = Duration::from_secs(90);
    for is_ahead in [false, true] {
        let (service, program) = start();
        for name in ["kim", "lee"] {
            service.register(name);
        }
        match is_ahead {
            true => service.clock.set_back(skew),
            false => service.advance(skew),
        }
        let mut browser = Browser::logged_in(&program, "kim");
        let mut refresh = || {
            let reply = browser.send(program.address, "POST /auth/refresh", &[SAME_ORIGIN], None);
            assert_eq!(reply.status, 200, "{reply:?}");
            reply.values("set-cookie").count()
        };
        assert_eq!(refresh(), 0, "ahead: {is_ahead}");
        service.advance(Duration::from_secs(70));
        Browser::logged_in(&program, "lee");
        assert_eq!(refresh(), 2, "ahead: {is_ahead}");
        assert_eq!(refresh(), 0, "ahead: {is_ahead}");
    }
}

#[test]
fn while_the_service_is_down_a_browser_stays_logged_in() {
    let mut service = LiveService::start();
    let program = start_program(&service, &[("API_TIMEOUT_MS", "1000")]);
    service.register("kim");
    let mut browser = Browser::logged_in(&program, "kim");
    service.advance(EXPIRY);
    service.stop();
    for (request, headers) in
        [("GET /auth/refresh?return_to=/a", NAVIGATE), ("POST /auth/refresh", SAME_ORIGIN)]
    {
        let reply = browser.send(program.address, request, &[headers], None);
        assert!([503, 504].contains(&reply.status), "{reply:?}");
        assert_eq!((reply.header("location"), browser.jar.len()), ("absent", 2));
    }
    service.resume();
    until(|| program.metric("user_http_service_connections{state=\"healthy\"}") > 0.0);
    let reply = browser.send(program.address, "POST /auth/refresh", &[SAME_ORIGIN], None);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(browser.open(program.address, "/a").status, 200);
}

#[test]
fn without_the_api_only_the_check_of_pages_is_answered() {
    let program = Program::start(&scripted::node(|_, _| None));
    assert_eq!(get(program.address, "/auth/page", &[NAVIGATE]).status, 302);
    assert_eq!(get(program.address, "/auth/refresh", &[NAVIGATE]).status, 404);
}
