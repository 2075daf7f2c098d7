//! Revocations of every kind, and the answers in which they arrive.

use std::time::{Duration, Instant};

use user_proto::verifier::{Verifier, VerifierConfig, VerifyError};

use super::service::{Service, until, verifier};
use super::signer::{Claims, Signer, id};

const REVOKED: Option<Result<(), VerifyError>> = Some(Err(VerifyError::Revoked));
const VALID: Option<Result<(), VerifyError>> = Some(Ok(()));

fn check(verifier: &Verifier, token: &str) -> Option<Result<(), VerifyError>> {
    verifier.verify_local(token).map(|verdict| verdict.map(drop))
}

#[tokio::test]
async fn an_ended_session_revokes_its_tokens_only() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let claims = Claims::default();
    let same_session = Claims { issued_at: claims.issued_at + 1, user: id(), ..claims };
    let same_user = Claims { session: id(), ..claims };
    let tokens = [claims, same_session, same_user].map(|claims| signers[0].issue(&claims));
    for token in &tokens {
        assert_eq!(check(&verifier, token), VALID);
    }
    service.revoke(&verifier, 1, claims.session.as_bytes(), 0).await;
    assert_eq!(check(&verifier, &tokens[0]), REVOKED, "in the cache");
    assert_eq!(check(&verifier, &tokens[1]), REVOKED);
    assert_eq!(check(&verifier, &tokens[2]), VALID);
    assert_eq!(check(&verifier, &signers[1].issue(&claims)), REVOKED, "not in the cache");
    assert_eq!(verifier.status().revocations, 1);
    assert_eq!(verifier.status().revoked, 3);
}

#[tokio::test]
async fn a_deleted_user_revokes_every_token() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let claims = Claims::default();
    let later = Claims { issued_at: claims.issued_at + 30, session: id(), ..claims };
    service.revoke(&verifier, 2, claims.user.as_bytes(), 0).await;
    for claims in [claims, later] {
        assert_eq!(check(&verifier, &signers[0].issue(&claims)), REVOKED);
    }
    assert_eq!(check(&verifier, &signers[0].token()), VALID);
}

#[tokio::test]
async fn the_latest_time_of_a_revocation_of_all_tokens_counts() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let claims = Claims::default();
    let token = |issued_at| signers[0].issue(&Claims { issued_at, ..claims });
    let before = claims.issued_at;
    service.revoke(&verifier, 3, &[], before).await;
    assert_eq!(check(&verifier, &token(before)), REVOKED);
    assert_eq!(check(&verifier, &token(before - 1)), REVOKED, "also one of a longer lifetime");
    assert_eq!(check(&verifier, &token(before + 1)), VALID);
    service.revoke(&verifier, 3, &[], before - 100).await;
    assert_eq!(check(&verifier, &token(before)), REVOKED);
    service.revoke(&verifier, 3, &[], before + 1).await;
    assert_eq!(check(&verifier, &token(before + 1)), REVOKED);
    assert_eq!(check(&verifier, &token(before + 2)), VALID);
}

#[tokio::test]
async fn a_revoked_key_is_dropped_for_good() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let tokens = [signers[0].token(), signers[1].token()];
    for token in &tokens {
        assert_eq!(check(&verifier, token), VALID);
    }
    let asked = service.script().keys_asked;
    service.revoke(&verifier, 4, b"ed", 0).await;
    until(|| service.script().keys_asked > asked).await;
    service.next_watch(&verifier).await;
    // The key set of the service still contains the key.
    assert_eq!(check(&verifier, &tokens[0]), Some(Err(VerifyError::Invalid)));
    assert_eq!(check(&verifier, &signers[0].token()), Some(Err(VerifyError::Invalid)));
    assert_eq!(check(&verifier, &tokens[1]), VALID);
    assert_eq!(verifier.status().keys, 1);
    // The entry is in every full answer, and then changes nothing.
    let asked = service.script().keys_asked;
    service.script().run = "new run".to_owned();
    service.next_watch(&verifier).await;
    service.next_watch(&verifier).await;
    assert_eq!(service.script().keys_asked, asked);
    assert_eq!(check(&verifier, &tokens[1]), VALID);
}

#[tokio::test]
async fn after_an_entry_that_is_not_understood_the_service_is_asked() {
    let entries: [(u8, &[u8]); 6] =
        [(0, &[]), (5, &[1; 16]), (255, &[]), (1, &[1; 15]), (2, &[]), (4, &[0xff])];
    for (kind, id) in entries {
        let signers = [Signer::eddsa("ed")];
        let service = Service::start(&signers).await;
        let verifier = service.ready().await;
        let token = signers[0].token();
        assert_eq!(check(&verifier, &token), VALID);
        service.revoke(&verifier, kind, id, 0).await;
        assert_eq!(check(&verifier, &token), None, "{kind} {id:?}");
        assert!(!verifier.ready());
        service.script().verify_error = None;
        assert!(verifier.verify(&token).await.is_ok());
        assert_eq!(service.script().verify_asked, 1);
    }
}

#[tokio::test]
async fn a_kid_that_is_too_long_names_no_key() {
    let [longest, long] = [256, 257].map(|length| Signer::eddsa(&"k".repeat(length)));
    let token = long.token();
    let service = Service::start(&[]).await;
    service.script().jwks = super::signer::jwks(&[longest, long]);
    let verifier = service.ready().await;
    assert_eq!(verifier.status().keys, 1);
    service.revoke(&verifier, 4, "k".repeat(257).as_bytes(), 0).await;
    assert!(verifier.ready() && verifier.status().keys == 1, "{:?}", verifier.status());
    // No service can accept it, so it is not asked.
    assert_eq!(verifier.verify(token).await, Err(VerifyError::Invalid));
    assert_eq!(service.script().verify_asked, 0);
    service.revoke(&verifier, 4, "k".repeat(256).as_bytes(), 0).await;
    assert_eq!(verifier.status().keys, 0);
}

#[tokio::test]
async fn a_verifier_is_not_ready_before_everything_has_arrived() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let claims = Claims::default();
    for _ in 0..3 {
        service.push(1, id().as_bytes(), 0);
    }
    service.push(1, claims.session.as_bytes(), 0);
    service.script().page = 1;
    service.script().delay.1 = Duration::from_millis(100);
    let verifier = service.verifier();
    let token = signers[0].issue(&claims);
    until(|| verifier.status().revocations == 2).await;
    assert_eq!(check(&verifier, &token), None);
    assert!(!verifier.ready());
    assert_eq!(verifier.status().age, None);
    assert_eq!(verifier.verify(&token).await, Err(VerifyError::Unavailable));
    assert!(verifier.wait_until_complete(Duration::from_secs(5)).await);
    assert_eq!(check(&verifier, &token), REVOKED);
    // The next one is sent at once.
    until(|| service.script().watches == 4 + 1).await;
}

#[tokio::test]
async fn entries_of_an_earlier_run_stay() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let (first, second) = (Claims::default(), Claims::default());
    service.revoke(&verifier, 1, first.session.as_bytes(), 0).await;
    // A new run that does not know the entry, such as after a restored backup.
    service.script().log.clear();
    service.script().run = "restored".to_owned();
    service.revoke(&verifier, 1, second.session.as_bytes(), 0).await;
    for claims in [first, second] {
        assert_eq!(check(&verifier, &signers[0].issue(&claims)), REVOKED);
    }
    assert_eq!(verifier.status().revocations, 2);
    assert!(verifier.ready());
}

#[tokio::test]
async fn a_revocation_is_noticed_at_once() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    for _ in 0..10 {
        let claims = Claims::default();
        let token = signers[0].issue(&claims);
        assert_eq!(check(&verifier, &token), VALID);
        let began = Instant::now();
        service.push(1, claims.session.as_bytes(), 0);
        while check(&verifier, &token) == VALID {
            assert!(began.elapsed() < Duration::from_millis(250), "{:?}", began.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn with_too_many_entries_the_service_is_asked_and_memory_stays_bounded() {
    let signers = [Signer::eddsa("ed")];
    let service = Service::start(&signers).await;
    let config = VerifierConfig { max_revocations: 10, ..VerifierConfig::default() };
    for _ in 0..10 {
        service.push(1, id().as_bytes(), 0);
    }
    let verifier = verifier(&[&service], config);
    assert!(verifier.wait_until_complete(Duration::from_secs(5)).await);
    let token = signers[0].token();
    assert_eq!(check(&verifier, &token), VALID);
    // Repeats count once.
    let known = service.script().log[0].id.to_vec();
    service.revoke(&verifier, 1, &known, 0).await;
    assert_eq!(check(&verifier, &token), VALID);
    service.revoke(&verifier, 1, id().as_bytes(), 0).await;
    assert_eq!(check(&verifier, &token), None);
    service.revoke(&verifier, 1, id().as_bytes(), 0).await;
    assert_eq!(verifier.status().revocations, 10);
    assert_eq!(verifier.status().age, None);
}
