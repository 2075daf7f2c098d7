//! Idempotency keys: one holder, one use, and no change without a valid claim.

use std::time::Duration;

use user_server::domain::{
    ChangeContext, Fault, GuessCharge, KeyClaim, KeyState, KeyedRequest, Notice, Purpose,
    RecordedOutcome, Timestamp, UserUpdate, Username,
};
use uuid::Uuid;

use super::fixture::*;

fn keyed_request(key: Uuid, until: Timestamp) -> KeyedRequest {
    let claim = KeyClaim { key, holder: Uuid::new_v4() };
    KeyedRequest { claim, node: Uuid::new_v4(), kid: "kid-1".to_owned(), tag: [7; 32], until }
}

/// A claim never outlives its node: another attempt at the same request gets it. SQLite has one
/// node, which releases all claims when it starts; on PostgreSQL, a node is dead once it has not
/// reported for two seconds.
pub async fn a_claim_does_not_outlive_its_node(db: &Db) {
    let (ada, _) = user(db, "ada").await;
    let (dead, alive) = (Uuid::new_v4(), Uuid::new_v4());
    db.start_node(dead).await.unwrap();
    let until = at(30);
    let abandoned = KeyedRequest { node: dead, ..keyed_request(Uuid::new_v4(), until) };
    assert_eq!(db.claim_key(&abandoned, NOW).await.unwrap(), KeyState::Claimed);
    // A completed request keeps its outcome.
    let done = KeyedRequest { node: dead, ..keyed_request(Uuid::new_v4(), until) };
    db.claim_key(&done, NOW).await.unwrap();
    db.complete_key(done.claim, &RecordedOutcome::at(NOW).user(ada.id)).await.unwrap();

    db.start_node(alive).await.unwrap();
    let again = |request: &KeyedRequest, tag| KeyedRequest {
        claim: KeyClaim { holder: Uuid::new_v4(), ..request.claim },
        node: alive,
        tag,
        ..request.clone()
    };
    let same = again(&abandoned, [7; 32]);
    let mut state = db.claim_key(&same, at(1)).await.unwrap();
    if state != KeyState::Claimed {
        // Only PostgreSQL gets here: the node may still be alive, and for as long as it says so, it
        // keeps its claim.
        for _ in 0..6 {
            db.report_alive(dead).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            let kept = db.claim_key(&same, at(1)).await.unwrap();
            assert!(matches!(kept, KeyState::Used { outcome: None, .. }), "a living node");
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let other = db.claim_key(&again(&abandoned, [8; 32]), at(1)).await.unwrap();
        assert!(matches!(other, KeyState::Used { outcome: None, .. }), "another request");
        db.report_alive(alive).await.unwrap();
        state = db.claim_key(&same, at(1)).await.unwrap();
    }
    assert_eq!(state, KeyState::Claimed, "the same request");
    let late = db
        .open_session_at(
            &ada,
            &session(),
            None,
            Adjustment::nothing(),
            with_claim(abandoned.claim, at(2)),
        )
        .await;
    assert!(matches!(late, Err(Fault::Unavailable(_))), "the first holder has lost the claim");
    assert!(matches!(
        db.claim_key(&again(&same, [7; 32]), at(2)).await.unwrap(),
        KeyState::Used { outcome: None, .. }
    ));
    assert!(matches!(
        db.claim_key(&again(&done, [7; 32]), at(2)).await.unwrap(),
        KeyState::Used { outcome: Some(_), .. }
    ));
}

fn with_claim(claim: KeyClaim, now: Timestamp) -> ChangeContext {
    ChangeContext { claim: Some(claim), ..now.into() }
}

pub async fn a_key_is_claimed_by_one_and_used_once(db: &Db) {
    let (ada, _) = user(db, "ada").await;
    let key = Uuid::new_v4();
    let results = together((0..16).map(|_| {
        let db = db.clone();
        async move {
            let request = keyed_request(key, at(10));
            (db.claim_key(&request, NOW).await.unwrap(), request.claim)
        }
    }))
    .await;
    let claims: Vec<KeyClaim> = results
        .iter()
        .filter(|(state, _)| *state == KeyState::Claimed)
        .map(|(_, claim)| *claim)
        .collect();
    let [claim] = claims.as_slice() else { panic!("{results:?}") };
    let open = KeyState::Used { kid: "kid-1".to_owned(), tag: [7; 32], outcome: None };
    assert_eq!(results.iter().filter(|(state, _)| *state == open).count(), 15);
    let opened = session();
    assert!(
        db.open_session_at(&ada, &opened, None, Adjustment::nothing(), with_claim(*claim, at(1)))
            .await
            .unwrap()
            .is_some()
    );
    let outcome = RecordedOutcome::at(at(1)).user(ada.id).session(opened.opened(ada.id, at(1)));
    let used = KeyState::Used { kid: "kid-1".to_owned(), tag: [7; 32], outcome: Some(outcome) };
    db.release_key(*claim).await.unwrap();
    assert_eq!(
        db.claim_key(&keyed_request(key, at(30)), at(20)).await.unwrap(),
        used,
        "the outcome stays"
    );
    let second = db
        .open_session_at(&ada, &session(), None, Adjustment::nothing(), with_claim(*claim, at(2)))
        .await;
    assert!(matches!(second, Err(Fault::Unavailable(_))), "a claim is valid for one change");
}

pub async fn an_expired_claim_changes_nothing(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let (slow, quick) = (keyed_request(Uuid::new_v4(), at(10)), Uuid::new_v4());
    assert_eq!(db.claim_key(&slow, NOW).await.unwrap(), KeyState::Claimed);
    let next = keyed_request(slow.claim.key, at(20));
    assert!(matches!(
        db.claim_key(&next, at(9)).await.unwrap(),
        KeyState::Used { outcome: None, .. }
    ));
    assert_eq!(db.claim_key(&next, at(10)).await.unwrap(), KeyState::Claimed);
    let late = with_claim(slow.claim, at(11));
    assert!(db.end_session_at(first.id, late.clone()).await.is_err());
    assert!(db.end_all_sessions_at(ada.id, late.clone()).await.is_err());
    assert!(
        db.open_session_at(&ada, &session(), None, Adjustment::nothing(), late.clone())
            .await
            .is_err()
    );
    assert!(db.rotate_at(first.id, 0, "kid-2", late.clone()).await.is_err());
    assert!(db.delete_user_at(&ada, late.clone()).await.is_err());
    assert_eq!(
        db.session(first.id).await.unwrap().map(|session| session.user_id),
        Some(ada.id),
        "nothing changed"
    );
    db.release_key(slow.claim).await.unwrap();
    assert_eq!(
        db.end_session_at(first.id, with_claim(next.claim, at(12))).await.unwrap().sessions,
        1,
        "the next holder may"
    );
    let free = keyed_request(quick, at(30));
    assert_eq!(db.claim_key(&free, at(20)).await.unwrap(), KeyState::Claimed);
    db.release_key(free.claim).await.unwrap();
    assert_eq!(
        db.claim_key(&keyed_request(quick, at(30)), at(20)).await.unwrap(),
        KeyState::Claimed,
        "released"
    );
}

pub async fn an_expired_claim_uses_up_no_code(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let change_id = Uuid::new_v4();
    let new_address = Some((change_id, email("new@example.org")));
    let update = UserUpdate { email: new_address, ..change(&ada, &first) };
    db.update_user_at(update, NOW).await.unwrap();
    let reset_id = request_reset(db, "ada@example.org", NOW).await;
    let pending = register(db, "joan", "joan@example.org", "client", NOW).await;
    assert_eq!(send_all(db, NOW).await.len(), 3);
    let new_code = guess(db, change_id, Purpose::EmailChange, NOW).await;
    let reset_code = guess(db, reset_id, Purpose::PasswordReset, NOW).await;
    let code = guess(db, pending, Purpose::Registration, NOW).await;
    let slow = keyed_request(Uuid::new_v4(), at(10));
    db.claim_key(&slow, NOW).await.unwrap();
    let next = keyed_request(slow.claim.key, at(200));
    assert_eq!(db.claim_key(&next, at(10)).await.unwrap(), KeyState::Claimed);
    let late = || with_claim(slow.claim, at(70));
    let password_hash = Some(("hash".to_owned(), Notice::PasswordChanged));
    let new_password = UserUpdate { password_hash, ..change(&ada, &first) };
    let username = Username::parse("countess").ok();
    let new_name = UserUpdate { username, ..change(&ada, &first) };
    let request = reset_request("ada@example.org", "client");
    let registration = registration("mary", "mary@example.org", "client");
    assert!(db.update_user_at(new_password, late()).await.is_err());
    assert!(db.update_user_at(new_name, late()).await.is_err());
    assert!(db.confirm_email_at(&new_code, late()).await.is_err());
    assert!(db.reset_password_at(&reset_code, "hash", late()).await.is_err());
    let (id, session) = (Uuid::new_v4(), session());
    assert!(db.activate_at(&code, None, id, &session, late()).await.is_err());
    assert!(db.resend_at(pending, "client", KIDS, late()).await.is_err());
    assert!(db.request_reset_at(&request, late()).await.is_err());
    assert!(db.register_at(&registration, late()).await.is_err());
    assert!(send_all(db, at(100)).await.is_empty(), "no email is queued");
    let unchanged = db.user(ada.id).await.unwrap().unwrap();
    assert_eq!((&unchanged.password_hash, unchanged.version), (&ada.password_hash, ada.version));
    assert!(is_live(db, &first).await);
    for (id, purpose) in [
        (change_id, Purpose::EmailChange),
        (reset_id, Purpose::PasswordReset),
        (pending, Purpose::Registration),
    ] {
        let again = guess(db, id, purpose, at(100)).await;
        assert_eq!((again.generation, again.expired), (0, false), "{purpose:?}");
    }
    for id in [request.verification_id, registration.verification_id] {
        let refused = db.refused_guess(id, Purpose::Registration, None, 5).await.unwrap();
        assert!(matches!(refused, Some(GuessCharge::Unknown)));
    }
}

pub async fn a_key_is_forgotten_after_a_day(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let request = keyed_request(Uuid::new_v4(), at(10));
    db.claim_key(&request, NOW).await.unwrap();
    db.end_session_at(first.id, with_claim(request.claim, NOW)).await.unwrap();
    let day = Duration::from_secs(24 * 3600);
    let again = keyed_request(request.claim.key, NOW.plus(2 * day));
    let just_before = NOW.plus(day - Duration::from_millis(1));
    let KeyState::Used { outcome: Some(outcome), .. } =
        db.claim_key(&again, just_before).await.unwrap()
    else {
        panic!("within a day")
    };
    let ended = RecordedOutcome { sessions_ended: 1, ..RecordedOutcome::at(NOW).user(ada.id) };
    assert_eq!(outcome, ended);
    assert_eq!(db.claim_key(&again, NOW.plus(day)).await.unwrap(), KeyState::Claimed);
}
