//! Checks without a call to the service, where it signs tokens with public keys, and the published
//! keys.

use std::time::{Duration, Instant};

use crate::http::get;
use crate::program::{Program, until};
use crate::service::LiveService;

const JWKS: &str = "/.well-known/jwks.json";

fn start(algorithm: &str) -> (LiveService, Program) {
    let service = LiveService::start_with(&[("TOKEN_SIGNING", algorithm)]);
    let program = Program::start(&service.address);
    (service, program)
}

fn checks_in_memory(program: &Program) -> f64 {
    program.metric("user_http_checks_in_memory_total")
}

#[test]
fn tokens_with_public_keys_are_checked_in_memory() {
    for algorithm in ["EdDSA", "ES256"] {
        let (service, program) = start(algorithm);
        let kim = service.register("kim");
        until(|| program.metric("user_http_verifier_ready") == 1.0);
        let before = checks_in_memory(&program);
        let reply = program.verdict(&kim.token);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("x-user-id"), kim.user_id);
        assert_eq!(reply.header("x-session-id"), kim.session_id);
        assert_eq!(reply.header("x-claims"), "{}");
        // The signature that is changed contains no character for padding bits.
        let (input, signature) = kim.token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        let forged = format!("{input}.{first}{}", &signature[1..]);
        let reply = program.verdict(&forged);
        assert_eq!((reply.status, reply.header("x-auth-error")), (401, "INVALID_TOKEN"));
        assert_eq!(checks_in_memory(&program) - before, 2.0);
        let ready = get(program.monitor, "/readyz", &[]).body;
        assert!(ready.contains(r#""verifier":{"ready":true,"keys":2,"age_ms":"#), "{ready}");
    }
}

#[test]
fn a_session_that_ended_is_refused_in_memory_within_a_second() {
    let (service, program) = start("EdDSA");
    let kim = service.register("kim");
    until(|| program.metric("user_http_verifier_ready") == 1.0);
    for _ in 0..16 {
        let session = service.log_in("kim");
        assert_eq!(program.verdict(&session.token).status, 200);
        let before = checks_in_memory(&program);
        service.log_out(&session);
        let ended = Instant::now();
        until(|| program.verdict(&session.token).status == 401);
        assert!(ended.elapsed() < Duration::from_secs(1), "{:?}", ended.elapsed());
        let reply = program.verdict(&session.token);
        assert_eq!(reply.header("x-auth-error"), "SESSION_REVOKED");
        assert!(checks_in_memory(&program) > before);
    }
    assert_eq!(program.verdict(&kim.token).status, 200, "only the other sessions have ended");
}

#[test]
fn an_unreachable_service_is_noticed_within_the_age_limit() {
    let (mut service, program) = start("EdDSA");
    let kim = service.register("kim");
    until(|| program.metric("user_http_verifier_ready") == 1.0);
    service.stop();
    let stopped = Instant::now();
    until(|| program.verdict(&kim.token).status == 503);
    assert!(stopped.elapsed() < Duration::from_secs(6), "{:?}", stopped.elapsed());
    service.resume();
    until(|| program.verdict(&kim.token).status == 200);
}

#[test]
fn tokens_with_hs256_are_checked_by_the_service() {
    let (service, program) = start("HS256");
    let kim = service.register("kim");
    assert_eq!(program.verdict(&kim.token).status, 200);
    assert_eq!(checks_in_memory(&program), 0.0);
    until(|| get(program.address, JWKS, &[]).body == r#"{"keys":[]}"#);
}

#[test]
fn tokens_of_another_audience_are_checked_by_the_service_unless_it_is_set() {
    let service = LiveService::start_with(&[("TOKEN_SIGNING", "EdDSA"), ("JWT_AUDIENCE", "shop")]);
    let kim = service.register("kim");
    let program = Program::start_with(&service.address, &[("JWT_AUDIENCE", "shop")]);
    until(|| program.metric("user_http_verifier_ready") == 1.0);
    let before = checks_in_memory(&program);
    assert_eq!(program.verdict(&kim.token).status, 200);
    assert_eq!(checks_in_memory(&program) - before, 1.0);
    // A forgotten setting costs calls, and refuses nobody.
    let program = Program::start(&service.address);
    until(|| program.metric("user_http_verifier_ready") == 1.0);
    assert_eq!(program.verdict(&kim.token).status, 200);
    assert_eq!(checks_in_memory(&program), 0.0);
}

#[test]
fn the_keys_are_published() {
    let (mut service, program) = start("ES256");
    until(|| get(program.address, JWKS, &[]).status == 200);
    let reply = get(program.address, JWKS, &[]);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/jwk-set+json");
    assert_eq!(reply.header("cache-control"), "public, max-age=30");
    for expected in [r#""alg":"ES256""#, r#""crv":"P-256""#, r#""kty":"EC""#, r#""alg":"EdDSA""#] {
        assert!(reply.body.contains(expected), "{}", reply.body);
    }
    assert!(!reply.body.contains(r#""d":"#), "{}", reply.body);
    service.stop();
    let stopped = Instant::now();
    until(|| get(program.address, JWKS, &[]).status == 503);
    assert!(stopped.elapsed() < Duration::from_secs(6), "{:?}", stopped.elapsed());
    let down = Program::start(&service.address);
    let reply = get(down.address, JWKS, &[]);
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[test]
fn a_process_that_was_stopped_accepts_no_ended_session() {
    let (service, program) = start("EdDSA");
    let (kim, other) = (service.register("kim"), service.register("lee"));
    until(|| program.metric("user_http_verifier_ready") == 1.0);
    assert_eq!(program.verdict(&kim.token).status, 200);
    program.signal("STOP");
    service.log_out(&kim);
    // Longer than the age limit, by which the process must notice.
    std::thread::sleep(Duration::from_millis(5500));
    program.signal("CONT");
    for _ in 0..50 {
        assert_ne!(program.verdict(&kim.token).status, 200);
    }
    until(|| program.verdict(&other.token).status == 200);
    assert_eq!(program.verdict(&kim.token).header("x-auth-error"), "SESSION_REVOKED");
}
