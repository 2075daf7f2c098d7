//! Nodes that hang, are slow, restart or refuse, and clocks that jump.

use std::time::{Duration, Instant};

use user_proto::ErrorCode;
use user_proto::verifier::{Verifier, VerifierConfig, VerifyError};

use super::service::{Service, until, verifier};
use super::signer::{Claims, Signer, id};

const SECOND: Duration = Duration::from_secs(1);

fn is_valid(verifier: &Verifier, token: &str) -> bool {
    verifier.verify_local(token).is_some_and(|verdict| verdict.is_ok())
}

/// Returns the largest age during this time.
async fn largest_age(verifier: &Verifier, time: Duration) -> Duration {
    let began = Instant::now();
    let mut largest = Duration::ZERO;
    while began.elapsed() < time {
        largest = largest.max(verifier.status().age.unwrap());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    largest
}

#[tokio::test]
async fn the_age_stays_below_a_second_in_normal_operation() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let largest = largest_age(&verifier, 2 * SECOND).await;
    // Twice the wait: an answer counts from its request, until the next one arrives.
    assert!(largest < 3 * SECOND / 4, "{largest:?}");
    let watches = service.script().watches;
    assert!((6..12).contains(&watches), "{watches}");
    assert_eq!(service.script().full_answers, 1);
}

#[tokio::test]
async fn a_delay_in_either_direction_and_staleness_only_increase_the_age() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let ms = Duration::from_millis;
    for (delay, stale_ms) in [((ms(400), ms(0)), 0), ((ms(0), ms(400)), 0), ((ms(0), ms(0)), 400)] {
        service.script().delay = delay;
        service.script().stale_ms = stale_ms;
        tokio::time::sleep(2 * SECOND).await;
        let began = Instant::now();
        let mut smallest = SECOND;
        while began.elapsed() < SECOND {
            smallest = smallest.min(verifier.status().age.unwrap());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(smallest >= ms(400), "{delay:?} {stale_ms} {smallest:?}");
        assert!(smallest < SECOND, "{delay:?} {stale_ms} {smallest:?}");
    }
}

#[tokio::test]
async fn a_verdict_states_the_age_of_the_revocations_if_it_is_over_a_second() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let token = signers[0].token();
    let stale = || verifier.verify_local(&token).unwrap().unwrap().stale;
    assert_eq!(stale(), None);
    // The time at which the set was complete does not go back, so the age grows to that.
    service.script().stale_ms = 2_000;
    tokio::time::sleep(Duration::from_millis(1_400)).await;
    let stale = stale().unwrap();
    assert!(stale > SECOND && stale < 3 * SECOND, "{stale:?}");
}

#[tokio::test]
async fn past_the_age_limit_the_service_is_asked() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let config = VerifierConfig { age_limit: SECOND, ..VerifierConfig::default() };
    let verifier = verifier(&[&service], config);
    assert!(verifier.wait_until_complete(5 * SECOND).await);
    let token = signers[0].token();
    assert!(is_valid(&verifier, &token));
    service.script().follow_error = Some(ErrorCode::UNAVAILABLE);
    let failed = Instant::now();
    until(|| verifier.verify_local(&token).is_none()).await;
    assert!(failed.elapsed() < SECOND + SECOND / 4, "{:?}", failed.elapsed());
    assert!(!verifier.ready());
    assert!(verifier.status().last_error.unwrap().contains("UNAVAILABLE"));
    assert_eq!(verifier.verify(&token).await, Err(VerifyError::Unavailable));
    service.script().verify_error = None;
    assert!(verifier.verify(&token).await.is_ok());
    // A forged token is not refused in memory either: the key may have been replaced.
    let forged = Signer::eddsa("ed").token();
    assert_eq!(verifier.verify_local(&forged), None);
    service.script().follow_error = None;
    until(|| is_valid(&verifier, &token)).await;
    assert!(verifier.ready());
    assert_eq!(verifier.status().last_error, None);
}

#[tokio::test]
async fn an_answer_of_a_node_that_is_older_than_the_age_limit_does_not_count() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    // A token of another issuer, about which the service is always asked.
    let mut claims = Claims::default().json();
    claims["iss"] = "other".into();
    let token = signers[0].assemble(&signers[0].header().to_string(), &claims.to_string());
    service.script().verify_error = None;
    let verify = async |stale_ms| {
        service.script().verified.stale_ms = stale_ms;
        verifier.verify(&token).await.map(|verified| verified.stale)
    };
    assert_eq!(verify(None).await, Ok(None));
    assert_eq!(verify(Some(5_000)).await, Ok(Some(5 * SECOND)));
    assert_eq!(verify(Some(5_001)).await, Err(VerifyError::Unavailable));
    assert_eq!(verify(Some(29_000)).await, Err(VerifyError::Unavailable));
    assert_eq!(verifier.status().unavailable, 2);
    // A revocation stays one, however old.
    let session = service.script().verified.session_id;
    service.revoke(&verifier, 1, session.as_bytes(), 0).await;
    assert_eq!(verify(Some(29_000)).await, Err(VerifyError::Revoked));
    // Trust that is withdrawn later does not change the limit, and one that was never given does.
    service.script().verified.session_id = id();
    service.script().follow_error = Some(ErrorCode::NOT_PERMITTED);
    until(|| verifier.status().last_error.is_some()).await;
    assert_eq!(verify(Some(5_001)).await, Err(VerifyError::Unavailable));
    let untrusted = service.verifier();
    until(|| untrusted.status().last_error.is_some()).await;
    service.script().verified.stale_ms = Some(29_000);
    assert!(untrusted.verify(&token).await.is_ok());
}

#[tokio::test]
async fn with_every_node_down_a_token_is_neither_valid_nor_invalid() {
    let signers = [Signer::eddsa("ed")];
    let nodes = [Service::start(&signers).await, Service::start(&signers).await];
    let config = VerifierConfig { age_limit: SECOND, ..VerifierConfig::default() };
    let verifier = verifier(&[&nodes[0], &nodes[1]], config);
    assert!(verifier.wait_until_complete(5 * SECOND).await);
    let token = signers[0].token();
    for node in &nodes {
        node.stop();
    }
    until(|| verifier.verify_local(&token).is_none()).await;
    let began = Instant::now();
    assert_eq!(verifier.verify(&token).await, Err(VerifyError::Unavailable));
    assert!(began.elapsed() < 3 * SECOND + SECOND / 2);
    assert_eq!(verifier.status().unavailable, 1);
}

#[tokio::test]
async fn a_hung_service_makes_the_result_unavailable_in_time() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let config = VerifierConfig {
        age_limit: SECOND,
        ask_timeout: SECOND,
        max_asking: 4,
        ..Default::default()
    };
    let verifier = verifier(&[&service], config);
    assert!(verifier.wait_until_complete(5 * SECOND).await);
    let token = signers[0].token();
    service.script().hangs = true;
    until(|| verifier.verify_local(&token).is_none()).await;
    let began = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (verifier, token) = (verifier.clone(), token.clone());
        calls.spawn(async move { verifier.verify(token).await });
    }
    for result in calls.join_all().await {
        assert_eq!(result, Err(VerifyError::Unavailable));
    }
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
    service.script().hangs = false;
    until(|| is_valid(&verifier, &token)).await;
}

#[tokio::test]
async fn if_one_node_hangs_another_is_followed_within_a_second() {
    let signers = [Signer::eddsa("ed")];
    let nodes = [Service::start(&signers).await, Service::start(&signers).await];
    let verifier = verifier(&[&nodes[0], &nodes[1]], VerifierConfig::default());
    assert!(verifier.wait_until_complete(5 * SECOND).await);
    let first = usize::from(nodes[0].script().watches == 0);
    let (followed, other) = (&nodes[first], &nodes[1 - first]);
    // Both nodes know a revocation that the verifier has from one of them.
    let claims = Claims::default();
    let token = signers[0].issue(&claims);
    other.push(1, claims.session.as_bytes(), 0);
    followed.revoke(&verifier, 1, claims.session.as_bytes(), 0).await;
    assert_eq!(other.script().watches, 0, "one node is followed");
    followed.script().hangs = true;
    let largest = largest_age(&verifier, 3 * SECOND).await;
    assert!(largest < SECOND, "{largest:?}");
    assert_eq!(other.script().full_answers, 1, "the cursor of the other node is not known");
    assert_eq!(verifier.verify_local(&token), Some(Err(VerifyError::Revoked)));
    let next = Claims::default();
    other.revoke(&verifier, 1, next.session.as_bytes(), 0).await;
    let token = signers[0].issue(&next);
    assert_eq!(verifier.verify_local(&token), Some(Err(VerifyError::Revoked)));
    // It stays with the node that works, and goes back when that fails.
    followed.script().hangs = false;
    let full = followed.script().full_answers;
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(followed.script().full_answers, full);
    other.stop();
    until(|| followed.script().full_answers > full).await;
    let largest = largest_age(&verifier, SECOND).await;
    assert!(largest < SECOND, "{largest:?}");
    assert_eq!(verifier.verify_local(&token), Some(Err(VerifyError::Revoked)), "never removed");
}

#[tokio::test]
async fn a_node_that_shuts_down_is_followed_again_as_soon_as_it_is_back() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    service.script().follow_error = Some(ErrorCode::SHUTTING_DOWN);
    tokio::time::sleep(SECOND / 4).await;
    // Another run takes over at the same address.
    service.script().run = "new run".to_owned();
    service.script().follow_error = None;
    let largest = largest_age(&verifier, 2 * SECOND).await;
    assert!(largest < 3 * SECOND / 2, "{largest:?}");
    assert!(largest_age(&verifier, SECOND).await < SECOND);
    assert!(is_valid(&verifier, &signers[0].token()));
}

#[tokio::test]
async fn a_node_that_refuses_is_reported() {
    let service = Service::start(&[]).await;
    service.script().follow_error = Some(ErrorCode::NOT_PERMITTED);
    let verifier = service.verifier();
    until(|| verifier.status().last_error.is_some()).await;
    assert!(verifier.status().last_error.unwrap().contains("030A"));
    assert!(!verifier.wait_until_complete(SECOND / 2).await);
    let asked = service.script().keys_asked;
    assert!(asked < 10, "{asked}");
}

#[tokio::test]
async fn if_the_clock_of_the_service_jumps_no_token_lives_longer() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let now = Claims::default().issued_at;
    let token = signers[0].token();
    let old = Claims { issued_at: now - 600, expires_at: now - 10, ..Claims::default() };
    let old = signers[0].issue(&old);
    assert!(is_valid(&verifier, &token));
    assert_eq!(verifier.verify_local(&old), Some(Err(VerifyError::Expired)));
    // An hour back: what had expired stays undecided here, and so does what seems to come from the
    // future.
    service.script().clock_ms = -3_600_000;
    service.next_watch(&verifier).await;
    assert_eq!(verifier.verify_local(&old), None);
    assert_eq!(verifier.verify_local(&token), None);
    // Back again, and an hour ahead.
    service.script().clock_ms = 0;
    service.next_watch(&verifier).await;
    assert!(is_valid(&verifier, &token));
    service.script().clock_ms = 3_600_000;
    service.next_watch(&verifier).await;
    assert_eq!(verifier.verify_local(&token), Some(Err(VerifyError::Expired)));
}

#[tokio::test]
async fn a_cached_token_expires() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let now = Claims::default().issued_at;
    let claims = Claims { expires_at: now + 3, ..Claims::default() };
    let token = signers[0].issue(&claims);
    assert!(is_valid(&verifier, &token));
    while is_valid(&verifier, &token) {
        assert!(super::signer::unix_ms() < 1000 * claims.expires_at, "valid after its expiry");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(verifier.verify_local(&token), Some(Err(VerifyError::Expired)));
    // At most the wait and the delay of one answer too early.
    let early = (1000 * claims.expires_at).saturating_sub(super::signer::unix_ms());
    assert!(early < 600, "{early} ms");
}

#[tokio::test]
async fn a_closed_verifier_and_its_last_clone_stop_following() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    verifier.close().await;
    let watches = service.script().watches;
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(service.script().watches, watches);
    assert_eq!(verifier.verify(id().to_string()).await, Err(VerifyError::Invalid));
    let other = service.ready().await;
    drop(other);
    let watches = service.script().watches;
    tokio::time::sleep(SECOND / 2).await;
    assert!(service.script().watches <= watches + 1);
}

#[tokio::test]
async fn a_server_that_promises_more_and_sends_nothing_is_not_asked_in_a_busy_loop() {
    let service = Service::start(&Signer::both()).await;
    service.script().page = 0;
    service.push(1, &[7; 16], 0);
    let verifier = service.verifier();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let watches = service.script().watches;
    // One every 10 ms, and a margin for the first.
    assert!((2..=40).contains(&watches), "{watches} in 300 ms");
    assert!(!verifier.ready());
}
