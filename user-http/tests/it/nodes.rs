//! What is sent to the service, and several nodes of it: stopped, silent, draining.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use user_proto::{Common, ErrorCode, Pong, Reply, Request};

use crate::http::{Http, get};
use crate::program::{Program, until};
use crate::scripted::{self, TOKEN, error, verified};
use crate::service::LiveService;

/// A node that refuses to be followed, and answers every check with the same reply, or with none.
/// Returns its address and the common tags of the checks.
fn scripted_node(reply: Option<Reply<'static>>) -> (String, Receiver<Common<'static>>) {
    let (sender, received) = channel();
    let address = scripted::node(move |request, common| match request {
        // The verifier then asks about every token.
        Request::GetKeys(_) | Request::WatchRevocations(_) => {
            Some(error(ErrorCode::NOT_PERMITTED, None))
        }
        _ => {
            let _ = sender.send(common.clone());
            reply.clone()
        }
    });
    (address, received)
}

#[test]
fn address_deadline_and_trace_are_passed_on() {
    let (node, received) = scripted_node(Some(verified().into()));
    let program = Program::start(&node);
    let sent = |headers: &[(&str, &str)]| {
        assert_eq!(program.check(&[headers, &[TOKEN]].concat()).status, 200);
        let common = received.recv_timeout(Duration::from_secs(5)).unwrap();
        let address = common.client_address.unwrap().ip().to_string();
        (address, common.deadline_ms.unwrap(), common.traceparent.map(|trace| trace.to_string()))
    };
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (address, deadline, traceparent) = sent(&[
        ("X-Forwarded-For", "198.51.100.1, 203.0.113.9"),
        ("Forwarded", "for=192.0.2.66"),
        ("traceparent", trace),
    ]);
    assert_eq!((address.as_str(), traceparent.as_deref()), ("203.0.113.9", Some(trace)));
    assert!((1900..=2000).contains(&deadline), "the default: {deadline}");
    let (address, deadline, traceparent) = sent(&[("X-Envoy-Expected-Rq-Timeout-Ms", "250")]);
    assert_eq!((address.as_str(), traceparent), ("127.0.0.1", None));
    assert!((200..=250).contains(&deadline), "that of the proxy: {deadline}");
    // A proxy cannot make it longer than the setting.
    assert!(sent(&[("X-Envoy-Expected-Rq-Timeout-Ms", "60000")]).1 <= 2000);
    // Only `Forwarded`, and more entries than any chain of proxies has.
    assert_eq!(sent(&[("Forwarded", "for=192.0.2.66")]).0, "127.0.0.1");
    let entries = vec!["203.0.113.9"; 21].join(", ");
    assert_eq!(sent(&[("X-Forwarded-For", &entries)]).0, "127.0.0.1");
}

#[test]
fn from_another_peer_the_address_of_the_socket_is_passed_on() {
    let (node, received) = scripted_node(Some(verified().into()));
    let program = Program::start_with(&node, &[("TRUSTED_PROXIES", "192.0.2.0/24")]);
    for _ in 0..3 {
        program.check(&[TOKEN, ("X-Forwarded-For", "203.0.113.9")]);
        let common = received.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(common.client_address.unwrap().ip().to_string(), "127.0.0.1");
    }
    until(|| program.log().contains("ignored X-Forwarded-For"));
    assert_eq!(program.log().matches("ignored X-Forwarded-For").count(), 1);
}

#[test]
fn with_the_proxy_protocol_the_headers_are_ignored() {
    let (node, received) = scripted_node(Some(verified().into()));
    let program = Program::start_with(&node, &[("PROXY_PROTOCOL", "1")]);
    let mut http = Http::connect(program.address);
    http.send("PROXY TCP4 203.0.113.77 127.0.0.1 4711 80\r\n");
    for _ in 0..2 {
        let headers = [TOKEN, ("X-Forwarded-For", "203.0.113.9")];
        assert_eq!(http.request("GET /auth/check", &headers).status, 200);
        let common = received.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(common.client_address.unwrap().ip().to_string(), "203.0.113.77");
    }
    let mut without = Http::connect(program.address);
    without.send(crate::http::text("GET /auth/check", &[TOKEN]));
    assert!(without.is_closed(), "a connection without the header");
    let stranger =
        Program::start_with(&node, &[("PROXY_PROTOCOL", "1"), ("TRUSTED_PROXIES", "192.0.2.1")]);
    let mut http = Http::connect(stranger.address);
    http.send("PROXY TCP4 203.0.113.77 127.0.0.1 4711 80\r\n");
    http.send(crate::http::text("GET /auth/check", &[TOKEN]));
    assert!(http.is_closed(), "a peer that is not trusted");
}

#[test]
fn every_error_of_the_service_is_a_refusal() {
    for (code, status, retry_after) in [
        (ErrorCode::INVALID_TOKEN, 401, "absent"),
        (ErrorCode::SESSION_REVOKED, 401, "absent"),
        (ErrorCode::ACCOUNT_DISABLED, 401, "absent"),
        // Says something about this program, not about the token.
        (ErrorCode::NOT_PERMITTED, 503, "1"),
        (ErrorCode(0x03fe), 401, "absent"),
        (ErrorCode::UNKNOWN_TYPE, 503, "1"),
        (ErrorCode::INVALID_VALUE, 503, "1"),
        (ErrorCode::USERNAME_TAKEN, 503, "1"),
        (ErrorCode::RATE_LIMITED, 503, "7"),
        (ErrorCode::BUSY, 503, "7"),
        (ErrorCode::INTERNAL, 503, "1"),
        (ErrorCode::UNAVAILABLE, 503, "1"),
        (ErrorCode::DEADLINE_EXCEEDED, 503, "1"),
        (ErrorCode(0x7777), 503, "1"),
    ] {
        let retry_after_ms = (retry_after == "7").then_some(6001);
        let (node, _received) = scripted_node(Some(error(code, retry_after_ms)));
        let program = Program::start(&node);
        let reply = program.check(&[TOKEN]);
        assert_eq!((reply.status, reply.header("retry-after")), (status, retry_after), "{code}");
    }
    // A reply of another type.
    let (node, _received) = scripted_node(Some(
        Pong { max_in_flight: None, idle_timeout: None, max_hashing: None }.into(),
    ));
    assert_eq!(Program::start(&node).check(&[TOKEN]).status, 503);
}

#[test]
fn a_silent_service_ends_a_check_at_its_deadline() {
    let (node, _received) = scripted_node(None);
    let program = Program::start_with(&node, &[("CHECK_TIMEOUT_MS", "300")]);
    let began = Instant::now();
    assert_eq!(program.check(&[TOKEN]).status, 503);
    assert!((250..1000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[test]
fn no_check_waits_for_a_silent_node_while_another_is_healthy() {
    let service = LiveService::start();
    let kim = service.register("kim");
    let (silent, received) = scripted_node(None);
    let program = Program::start(&format!("{silent},{}", service.address));
    until(|| get(program.monitor, "/readyz", &[]).body.matches("\"connected\":true").count() == 2);
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let began = Instant::now();
        assert_eq!(program.verdict(&kim.token).status, 200);
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    // Its pings are answered, so it is tried again now and then, but never waited for.
    let tried = received.try_iter().count();
    assert!((1..10).contains(&tried), "{tried}");
}

#[test]
fn a_node_that_stops_loses_no_check() {
    let mut services = [LiveService::start(), LiveService::start()];
    let kims = [services[0].register("kim"), services[1].register("kim")];
    let program = Program::start(&format!("{},{}", services[0].address, services[1].address));
    until(|| get(program.monitor, "/readyz", &[]).body.matches("\"connected\":true").count() == 2);
    // The two services share nothing, so a verdict tells which of them has answered.
    let passed = || (0..20).filter(|_| program.verdict(&kims[1].token).status == 200).count();
    // Calls for keys and revocations take turns with the checks.
    let about_half = |count| (8..=12).contains(&count);
    assert!(about_half(passed()));
    services[0].stop();
    assert_eq!(passed(), 20, "all checks go to the other node");
    services[0].resume();
    until(|| about_half(passed()));
}

#[test]
fn an_outage_of_the_service_is_logged_once_and_so_is_its_end() {
    let mut service = LiveService::start();
    let kim = service.register("kim");
    let program = Program::start_with(&service.address, &[("LOG", "info")]);
    let count = |text: &str| program.log().matches(text).count();
    let (lost, back) = ("no node of the user service answers", "the user service answers again");
    assert_eq!((count(lost), count(back)), (0, 0), "{}", program.log());
    for outages in 1..=2 {
        service.stop();
        until(|| count(lost) == outages);
        assert_eq!(program.verdict(&kim.token).status, 503);
        thread::sleep(Duration::from_millis(1200));
        assert_eq!((count(lost), count(back)), (outages, outages - 1), "{}", program.log());
        service.resume();
        until(|| count(back) == outages);
    }
    assert!(program.log().contains("\"level\":\"WARN\""), "{}", program.log());
    assert!(program.log().contains(&service.address), "{}", program.log());
}

#[test]
fn a_service_that_is_down_at_the_start_is_logged_too() {
    let program = Program::start_with("127.0.0.1:1", &[("LOG", "info")]);
    until(|| program.log().contains("no node of the user service answers"));
}
