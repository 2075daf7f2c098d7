//! Limits of connections: the size of a head, times, and their number.

use std::time::{Duration, Instant};

use crate::http::{Http, get};
use crate::program::{Program, until};
use crate::service::LiveService;

#[test]
fn a_head_that_is_too_large_or_has_too_many_lines_is_rejected() {
    let service = LiveService::start();
    let program = Program::start_with(&service.address, &[("MAX_HEAD", "8")]);
    let long = "x".repeat(9 * 1024);
    assert_eq!(program.check(&[("X-Long", &long)]).status, 431);
    let many: Vec<(&str, &str)> = vec![("X-Many", "1"); 200];
    assert_eq!(program.check(&many).status, 431);
    let path = format!("/auth/check/{}", "x".repeat(9 * 1024));
    assert!(matches!(get(program.address, &path, &[]).status, 414 | 431));
}

#[test]
fn a_head_must_arrive_in_time_and_an_idle_connection_is_closed() {
    let service = LiveService::start();
    let settings = [("HEAD_TIMEOUT", "1"), ("IDLE_TIMEOUT", "2")];
    let program = Program::start_with(&service.address, &settings);
    let lasts = |send: &[&str]| {
        let mut http = Http::connect(program.address);
        let began = Instant::now();
        for part in send {
            http.send(part);
        }
        while http.reply().is_some() {}
        began.elapsed().as_millis()
    };
    let request = "GET /auth/check HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!((900..1900).contains(&lasts(&[])), "nothing was sent");
    assert!((900..1900).contains(&lasts(&["GET /auth"])), "a part of a head");
    assert!((1900..2900).contains(&lasts(&[request])), "idle after a reply");
    // A slow sender does not gain time with every byte.
    let mut http = Http::connect(program.address);
    let began = Instant::now();
    http.send(request);
    assert_eq!(http.reply().unwrap().status, 401);
    while began.elapsed() < Duration::from_secs(3) && http.stream.peer_addr().is_ok() {
        http.send("G");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(http.is_closed());
    until(|| program.metric("user_http_connections_closed_total{reason=\"head_timeout\"}") == 3.0);
    assert_eq!(program.metric("user_http_connections_closed_total{reason=\"idle\"}"), 1.0);
}

#[test]
fn silent_connections_make_room_for_others() {
    let service = LiveService::start();
    let program = Program::start_with(&service.address, &[("MAX_CONNECTIONS", "4")]);
    let mut used = Http::connect(program.address);
    assert_eq!(used.request("GET /auth/check", &[]).status, 401);
    let silent: Vec<Http> = (0..20).map(|_| Http::connect(program.address)).collect();
    // Fewer than the silent connections that are left: a server that has not noticed yet that the
    // connection of a check was closed would give up the next oldest one.
    for _ in 0..2 {
        assert_eq!(program.check(&[]).status, 401);
    }
    assert_eq!(used.request("GET /auth/check", &[]).status, 401, "it had a request");
    assert!(program.metric("user_http_connections_open") <= 4.0);
    assert!(program.metric("user_http_connections_closed_total{reason=\"evicted\"}") >= 17.0);
    drop(silent);
}
