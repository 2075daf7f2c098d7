//! Keys that are added, removed or unknown, and lifetimes that change.

use std::time::Duration;

use user_proto::client::{Error, PoolConfig};
use user_proto::verifier::{Verifier, VerifierConfig, VerifyError};
use user_proto::{Common, ErrorCode};

use super::service::{Service, until};
use super::signer::{Claims, LIFE, Signer, id, jwks};

/// Makes the verifier call GetKeys.
async fn reload(service: &Service) {
    let asked = service.script().keys_asked;
    service.push(4, id().to_string().as_bytes(), 0);
    until(|| service.script().keys_asked > asked).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn a_key_that_is_no_longer_published_is_dropped() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let tokens = [signers[0].token(), signers[1].token()];
    for token in &tokens {
        assert!(verifier.verify_local(token).is_some_and(|v| v.is_ok()));
    }
    service.script().jwks = jwks(&signers[1..]);
    reload(&service).await;
    assert_eq!(verifier.verify_local(&tokens[0]), None, "asks the service");
    assert!(verifier.verify_local(&tokens[1]).unwrap().is_ok());
    // The same kid with another key, then the old one again.
    let replaced = Signer::eddsa("ed");
    service.script().jwks = jwks(std::slice::from_ref(&replaced));
    reload(&service).await;
    assert_eq!(verifier.verify_local(&tokens[0]), Some(Err(VerifyError::Invalid)));
    assert!(verifier.verify_local(replaced.token()).unwrap().is_ok());
    service.script().jwks = jwks(&signers);
    reload(&service).await;
    assert!(verifier.verify_local(&tokens[0]).unwrap().is_ok());
}

#[tokio::test]
async fn an_unknown_kid_calls_get_keys_at_most_once_in_ten_seconds() {
    let signers = Signer::both();
    let service = Service::start(&signers[..1]).await;
    let verifier = service.ready().await;
    assert_eq!(service.script().keys_asked, 1);
    service.script().jwks = jwks(&signers);
    let token = signers[1].token();
    assert_eq!(verifier.verify(&token).await, Err(VerifyError::Unavailable), "asked meanwhile");
    until(|| verifier.verify_local(&token).is_some()).await;
    assert!(verifier.verify_local(&token).unwrap().is_ok());
    assert_eq!(service.script().keys_asked, 2);
    for number in 0..200 {
        let unknown = Signer::eddsa(&format!("unknown {number}"));
        assert_eq!(verifier.verify_local(unknown.token()), None);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(service.script().keys_asked, 2);
}

#[tokio::test]
async fn the_keys_are_read_again_as_soon_as_the_service_has_restarted() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let tokens = [signers[0].token(), signers[1].token()];
    for _ in 0..3 {
        service.next_watch(&verifier).await;
    }
    assert_eq!(service.script().keys_asked, 1, "not without a new connection");
    // The service restarts without one of its secrets.
    service.script().jwks = jwks(&signers[1..]);
    service.script().run = "new run".to_owned();
    let restarted = std::time::Instant::now();
    service.disconnect();
    until(|| verifier.verify_local(&tokens[0]).is_none()).await;
    assert!(restarted.elapsed() < Duration::from_secs(2), "{:?}", restarted.elapsed());
    assert_eq!(verifier.verify(&tokens[0]).await, Err(VerifyError::Unavailable), "asked");
    assert!(verifier.verify_local(&tokens[1]).unwrap().is_ok());
    // A connection that is lost again and again costs one call in a second, and the repeats of
    // those that are lost with it.
    let asked = service.script().keys_asked;
    for _ in 0..40 {
        service.disconnect();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until(|| service.script().keys_asked > asked && verifier.ready()).await;
    let asked = service.script().keys_asked - asked;
    assert!(asked < 12, "{asked}");
}

#[tokio::test]
async fn the_keys_are_those_of_the_node_that_is_followed() {
    let signers = Signer::both();
    let nodes = [Service::start(&signers).await, Service::start(&signers).await];
    let verifier = super::service::verifier(&[&nodes[0], &nodes[1]], VerifierConfig::default());
    assert!(verifier.wait_until_complete(Duration::from_secs(5)).await);
    let first = usize::from(nodes[0].script().watches == 0);
    let (followed, other) = (&nodes[first], &nodes[1 - first]);
    assert_eq!((followed.script().keys_asked, other.script().keys_asked), (1, 0));
    // In the middle of a rolling change, the other node does not accept the first key any more.
    other.script().jwks = jwks(&signers[1..]);
    let token = signers[0].token();
    let is_valid = || verifier.verify_local(&token).is_some_and(|verdict| verdict.is_ok());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(is_valid());
    assert_eq!((followed.script().keys_asked, other.script().keys_asked), (1, 0));
    // The node that is followed is the last one that restarts.
    followed.script().hangs = true;
    followed.disconnect();
    let restarted = std::time::Instant::now();
    until(|| !is_valid()).await;
    assert!(restarted.elapsed() < Duration::from_secs(2), "{:?}", restarted.elapsed());
    followed.script().hangs = false;
    followed.script().jwks = jwks(&signers[1..]);
    for _ in 0..200 {
        assert!(!is_valid());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(verifier.ready());
}

#[tokio::test]
async fn keys_that_cannot_be_read_again_are_used_for_ten_seconds_at_most() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    service.script().refresh_after = 1;
    let verifier = service.ready().await;
    let token = signers[0].token();
    assert!(verifier.verify_local(&token).unwrap().is_ok());
    service.script().hides_keys = true;
    let hidden = std::time::Instant::now();
    while verifier.verify_local(&token).is_some() {
        assert!(hidden.elapsed() < Duration::from_secs(21), "{:?}", verifier.status());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(hidden.elapsed() > Duration::from_secs(15), "the shortest time is 10 s");
    assert!(!verifier.ready());
    service.script().hides_keys = false;
    until(|| verifier.ready()).await;
    assert!(verifier.verify_local(&token).unwrap().is_ok());
}

#[tokio::test]
async fn without_public_keys_the_service_is_asked() {
    let service = Service::start(&[]).await;
    let verifier = service.ready().await;
    assert!(!verifier.ready());
    let token = Signer::eddsa("ed").token();
    assert_eq!(verifier.verify_local(&token), None);
    service.script().verify_error = None;
    let verified = verifier.verify(&token).await.unwrap();
    assert_eq!(verified.user_id, service.script().verified.user_id);
    assert_eq!(verifier.status().asked, 1);
    // Whatever is not an access token is refused without a call.
    assert_eq!(verifier.verify("x.y.z").await, Err(VerifyError::Invalid));
    assert_eq!(verifier.status().asked, 1);
}

#[tokio::test]
async fn the_verdict_of_the_service_counts_when_it_is_asked() {
    let service = Service::start(&[]).await;
    let verifier = service.ready().await;
    let token = Signer::eddsa("ed").token();
    for (code, expected) in [
        (ErrorCode::INVALID_TOKEN, VerifyError::Invalid),
        (ErrorCode::TOKEN_EXPIRED, VerifyError::Expired),
        (ErrorCode::SESSION_REVOKED, VerifyError::Revoked),
        (ErrorCode::NOT_PERMITTED, VerifyError::Unavailable),
        (ErrorCode::RATE_LIMITED, VerifyError::Unavailable),
        (ErrorCode::BUSY, VerifyError::Unavailable),
        (ErrorCode::INTERNAL, VerifyError::Unavailable),
        (ErrorCode::UNAVAILABLE, VerifyError::Unavailable),
        (ErrorCode::DEADLINE_EXCEEDED, VerifyError::Unavailable),
        (ErrorCode::MALFORMED, VerifyError::Unavailable),
        (ErrorCode::UNKNOWN_TYPE, VerifyError::Unavailable),
        (ErrorCode(0x0377), VerifyError::Invalid),
        (ErrorCode(0x0677), VerifyError::Unavailable),
        (ErrorCode(0x7777), VerifyError::Unavailable),
    ] {
        service.script().verify_error = Some(code);
        assert_eq!(verifier.verify(&token).await, Err(expected), "{code}");
    }
    // A node that is behind says that the token is valid, but the verifier knows better.
    service.script().verify_error = None;
    // Without public keys, the limit of the node counts.
    for stale_ms in [1_500, 29_000] {
        service.script().verified.stale_ms = Some(stale_ms);
        let verified = verifier.verify(&token).await.unwrap();
        assert_eq!(verified.stale, Some(Duration::from_millis(stale_ms.into())));
    }
    let session = service.script().verified.session_id;
    service.revoke(&verifier, 1, session.as_bytes(), 0).await;
    assert_eq!(verifier.verify(&token).await, Err(VerifyError::Revoked));
    // Nor does it revive a retired key, about which it is not asked any more.
    let asked = service.script().verify_asked;
    service.revoke(&verifier, 4, b"ed", 0).await;
    assert_eq!(verifier.verify(&token).await, Err(VerifyError::Invalid));
    assert_eq!(service.script().verify_asked, asked);
    service.script().verified.session_id = id();
    assert!(verifier.verify(Signer::eddsa("other").token()).await.is_ok());
}

#[tokio::test]
async fn a_key_that_is_retired_during_the_call_is_not_revived() {
    let service = Service::start(&[]).await;
    let verifier = service.ready().await;
    service.script().verify_error = None;
    service.script().delay.1 = Duration::from_millis(300);
    let token = Signer::eddsa("ed").token();
    let call = tokio::spawn({
        let verifier = verifier.clone();
        async move { verifier.verify(&token).await }
    });
    until(|| service.script().verify_asked == 1).await;
    service.script().delay.1 = Duration::ZERO;
    service.push(4, b"ed", 0);
    assert_eq!(call.await.unwrap(), Err(VerifyError::Invalid));
}

#[tokio::test]
async fn the_service_gets_the_tags_of_a_check_and_its_error_is_returned() {
    let service = Service::start(&[]).await;
    let verifier = service.ready().await;
    let token = Signer::eddsa("ed").token();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let common = |deadline_ms| Common {
        client_address: Some(std::net::IpAddr::from([203, 0, 113, 9]).into()),
        deadline_ms: Some(deadline_ms),
        traceparent: Some(trace.into()),
        ..Common::default()
    };
    service.script().verify_error = Some(ErrorCode::RATE_LIMITED);
    service.script().retry_after_ms = Some(1_500);
    let error = verifier.verify_with(&token, common(500)).await.unwrap_err();
    assert_eq!(error.reason, VerifyError::Unavailable);
    assert_eq!(error.code(), Some(ErrorCode::RATE_LIMITED));
    assert_eq!(error.retry_after(), Some(Duration::from_millis(1_500)));
    let sent = service.script().asked_with.clone();
    assert_eq!(sent.client_address.unwrap().ip().to_string(), "203.0.113.9");
    assert_eq!(sent.traceparent.unwrap(), trace);
    assert!((400..=500).contains(&sent.deadline_ms.unwrap()), "{:?}", sent.deadline_ms);
    // The deadline of the configuration, if that is shorter.
    let _ = verifier.verify_with(&token, common(20_000)).await;
    assert!(service.script().asked_with.deadline_ms.unwrap() <= 3_000);
    // A verdict of the verifier itself has no error of the service.
    let error = verifier.verify_with("x.y.z", common(500)).await.unwrap_err();
    assert_eq!((error.reason, error.code()), (VerifyError::Invalid, None));
    service.script().hangs = true;
    let began = std::time::Instant::now();
    let error = verifier.verify_with(&token, common(300)).await.unwrap_err();
    assert_eq!(error.reason, VerifyError::Unavailable);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_token_of_a_longer_lifetime_is_checked_by_the_service_until_the_lifetime_is_known() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let claims = Claims::default();
    let long = Claims { expires_at: claims.expires_at + 1, ..claims };
    let [token, long] = [claims, long].map(|claims| signers[0].issue(&claims));
    assert!(verifier.verify_local(&token).unwrap().is_ok());
    // The service has begun to issue tokens that are valid for longer.
    let life = u32::try_from(LIFE).unwrap();
    service.script().access_life = life + 1;
    service.script().verify_error = None;
    let asked = service.script().keys_asked;
    assert!(verifier.verify(&long).await.is_ok());
    assert_eq!(service.script().verify_asked, 1);
    until(|| verifier.verify_local(&long).is_some_and(|verdict| verdict.is_ok())).await;
    assert_eq!(service.script().keys_asked, asked + 1);
    // Now shorter: what was issued before is valid, and the service says so.
    service.script().access_life = life - 1;
    reload(&service).await;
    let asked = service.script().keys_asked;
    for _ in 0..200 {
        assert_eq!(verifier.verify_local(&token), None, "cached before");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(service.script().keys_asked, asked, "at most once in ten seconds");
    assert!(verifier.verify(&token).await.is_ok());
    assert!(verifier.ready());
    // Whatever its lifetime, an ended session is refused in memory.
    service.revoke(&verifier, 1, claims.session.as_bytes(), 0).await;
    assert_eq!(verifier.verify_local(&long), Some(Err(VerifyError::Revoked)));
}

#[tokio::test]
async fn the_issuer_and_audience_are_those_of_the_configuration() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let claims = Claims::default().json();
    let mut other = claims.clone();
    (other["iss"], other["aud"]) = ("a".into(), "b".into());
    let header = signers[0].header().to_string();
    let tokens = [claims, other].map(|claims| signers[0].assemble(&header, &claims.to_string()));
    let config = |issuer: &str, audience: &str| VerifierConfig {
        issuer: issuer.to_owned(),
        audience: audience.to_owned(),
        ..VerifierConfig::default()
    };
    let expected = [
        (config("user-service", "user-service"), [true, false]),
        (config("a", "b"), [false, true]),
        (config("a", "user-service"), [false, false]),
    ];
    for (config, expected) in expected {
        let verifier = super::service::verifier(&[&service], config);
        assert!(verifier.wait_until_complete(Duration::from_secs(5)).await);
        let is_valid = |token| verifier.verify_local(token).is_some_and(|verdict| verdict.is_ok());
        let valid = tokens.each_ref().map(is_valid);
        assert_eq!(valid, expected);
    }
}

#[tokio::test]
async fn keys_are_not_read_over_a_network_in_plaintext() {
    let addrs = ["127.0.0.1:1".to_owned(), "192.0.2.1:3001".to_owned()];
    let result = Verifier::connect(&addrs, PoolConfig::default(), VerifierConfig::default());
    assert!(matches!(result, Err(Error::PlaintextRefused)), "{result:?}");
}
