//! Idempotency keys: one holder, one use, and no change without the claim that it was made under.

use std::time::Duration;

use user_server::domain::{
    ChangeContext, Fault, KeyClaim, KeyState, KeyedRequest, NewSession, RecordedOutcome, Timestamp,
};
use uuid::Uuid;

use super::fixture::*;

fn wish(key: Uuid, until: Timestamp) -> KeyedRequest {
    let claim = KeyClaim { key, holder: Uuid::new_v4() };
    KeyedRequest { claim, kid: "kid-1".to_owned(), tag: [7; 32], until }
}

fn under(claim: KeyClaim, now: Timestamp) -> ChangeContext {
    ChangeContext { claim: Some(claim), ..now.into() }
}

pub async fn a_key_is_claimed_by_one_and_used_once(db: &Db) {
    let (ada, _) = user(db, "ada").await;
    let key = Uuid::new_v4();
    let results = together((0..16).map(|_| {
        let db = db.clone();
        async move {
            let wish = wish(key, at(10));
            (db.claim_key(&wish, NOW).await.unwrap(), wish.claim)
        }
    }))
    .await;
    let claims: Vec<KeyClaim> = results
        .iter()
        .filter(|(standing, _)| *standing == KeyState::Claimed)
        .map(|(_, claim)| *claim)
        .collect();
    let [claim] = claims.as_slice() else { panic!("{results:?}") };
    let open = KeyState::Used { kid: "kid-1".to_owned(), tag: [7; 32], outcome: None };
    assert_eq!(results.iter().filter(|(standing, _)| *standing == open).count(), 15);
    let opened = session();
    assert!(
        db.open_session_at(&ada, &opened, None, Adjustment::nothing(), under(*claim, at(1)))
            .await
            .unwrap()
            .is_some()
    );
    let done = RecordedOutcome::at(at(1)).user(ada.id).session(opened.opened(ada.id, at(1)));
    let used = KeyState::Used { kid: "kid-1".to_owned(), tag: [7; 32], outcome: Some(done) };
    db.release_key(*claim).await.unwrap();
    assert_eq!(db.claim_key(&wish(key, at(30)), at(20)).await.unwrap(), used, "what is done stays");
    let second = db
        .open_session_at(&ada, &session(), None, Adjustment::nothing(), under(*claim, at(2)))
        .await;
    assert!(matches!(second, Err(Fault::Unavailable(_))), "a claim is good for one change");
}

pub async fn a_claim_runs_out_and_its_holder_changes_nothing(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let (slow, quick) = (wish(Uuid::new_v4(), at(10)), Uuid::new_v4());
    assert_eq!(db.claim_key(&slow, NOW).await.unwrap(), KeyState::Claimed);
    let next = wish(slow.claim.key, at(20));
    assert!(matches!(
        db.claim_key(&next, at(9)).await.unwrap(),
        KeyState::Used { outcome: None, .. }
    ));
    assert_eq!(db.claim_key(&next, at(10)).await.unwrap(), KeyState::Claimed);
    let late = under(slow.claim, at(11));
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
        "nothing was done"
    );
    db.release_key(slow.claim).await.unwrap();
    assert_eq!(
        db.end_session_at(first.id, under(next.claim, at(12))).await.unwrap().sessions,
        1,
        "its successor may"
    );
    let free = wish(quick, at(30));
    assert_eq!(db.claim_key(&free, at(20)).await.unwrap(), KeyState::Claimed);
    db.release_key(free.claim).await.unwrap();
    assert_eq!(
        db.claim_key(&wish(quick, at(30)), at(20)).await.unwrap(),
        KeyState::Claimed,
        "given back"
    );
}

pub async fn a_key_is_forgotten_after_a_day(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let wished = wish(Uuid::new_v4(), at(10));
    db.claim_key(&wished, NOW).await.unwrap();
    db.end_session_at(first.id, under(wished.claim, NOW)).await.unwrap();
    let day = Duration::from_secs(24 * 3600);
    let again = wish(wished.claim.key, NOW.plus(2 * day));
    let just_before = NOW.plus(day - Duration::from_millis(1));
    let KeyState::Used { outcome: Some(done), .. } =
        db.claim_key(&again, just_before).await.unwrap()
    else {
        panic!("within a day")
    };
    let ended = RecordedOutcome { sessions_ended: 1, ..RecordedOutcome::at(NOW).user(ada.id) };
    assert_eq!(done, ended);
    assert_eq!(db.claim_key(&again, NOW.plus(day)).await.unwrap(), KeyState::Claimed);
}
