//! Guesses at codes, and resends.

use std::time::Duration;

use user_server::domain::{ClaimedMail, GuessCharge, MailKind, Purpose, ResendResult, Timestamp};
use user_server::outbox::{GUESSES, RESEND_AFTER};
use uuid::Uuid;

use super::fixture::*;

const CODE: Purpose = Purpose::Registration;

pub async fn parallel_guesses_share_the_limit_of_a_code(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    assert!(matches!(charge(db, id, CODE, NOW).await, GuessCharge::NotIssued));
    send_all(db, NOW).await;
    let results = together((0..64).map(|_| {
        let db = db.clone();
        async move { charge(&db, id, CODE, NOW).await }
    }))
    .await;
    let charged = results.iter().filter(|charge| matches!(charge, GuessCharge::Charged(_))).count();
    let spent = results.iter().filter(|charge| matches!(charge, GuessCharge::Spent)).count();
    assert_eq!((charged, spent), (5, 59), "guesses before the code is issued are free");
}

pub async fn a_code_is_valid_only_for_its_id_purpose_owner_and_lifetime(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    send_all(db, NOW).await;
    assert!(
        matches!(charge(db, Uuid::new_v4(), CODE, NOW).await, GuessCharge::Spent),
        "an unknown id"
    );
    assert!(
        matches!(charge(db, id, Purpose::PasswordReset, NOW).await, GuessCharge::Spent),
        "another purpose"
    );
    let of_user = db.charge_guess(id, CODE, Some(Uuid::new_v4()), GUESSES, NOW).await.unwrap();
    assert!(matches!(of_user, GuessCharge::Spent), "another owner");
    let last = NOW.plus(CODE_LIFE - Duration::from_millis(1));
    assert!(matches!(charge(db, id, CODE, last).await, GuessCharge::Charged(_)));
    assert!(
        matches!(charge(db, id, CODE, NOW.plus(CODE_LIFE)).await, GuessCharge::Spent),
        "an expired code"
    );
}

pub async fn a_refund_applies_to_its_own_code(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    send_all(db, NOW).await;
    let first = guess(db, id, CODE, NOW).await;
    for _ in 0..10 {
        db.refund_guess(&first).await.unwrap();
    }
    for _ in 0..GUESSES {
        guess(db, id, CODE, NOW).await;
    }
    assert!(
        matches!(charge(db, id, CODE, NOW).await, GuessCharge::Spent),
        "refunds never exceed the limit"
    );
    assert_eq!(
        db.resend_at(id, "client", RESEND_AFTER, KIDS, at(60)).await.unwrap(),
        ResendResult::Queued
    );
    assert_eq!(generation(&send_all(db, at(60)).await[0]), first.generation + 1);
    for _ in 0..GUESSES {
        guess(db, id, CODE, at(60)).await;
    }
    db.refund_guess(&first).await.unwrap();
    assert!(
        matches!(charge(db, id, CODE, at(60)).await, GuessCharge::Spent),
        "the refund of an older code has no effect"
    );
}

pub async fn a_resend_repeats_the_code(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    assert_eq!(
        db.resend_at(id, "client", RESEND_AFTER, KIDS, NOW).await.unwrap(),
        ResendResult::Queued,
        "the email is queued already"
    );
    let first = send_all(db, at(5)).await;
    assert_eq!(first.len(), 1, "one email for two requests");
    guess(db, id, CODE, at(5)).await;
    let too_soon = ResendResult::TooSoon(Duration::from_secs(20));
    assert_eq!(db.resend_at(id, "client", RESEND_AFTER, KIDS, at(45)).await.unwrap(), too_soon);
    assert_eq!(
        db.resend_at(id, "client", RESEND_AFTER, KIDS, at(65)).await.unwrap(),
        ResendResult::Queued
    );
    let second = send_all(db, at(65)).await;
    assert_eq!(generation(&second[0]), generation(&first[0]));
    for _ in 1..GUESSES {
        guess(db, id, CODE, at(65)).await;
    }
    assert!(matches!(charge(db, id, CODE, at(65)).await, GuessCharge::Spent), "no new guesses");
    assert_eq!(
        db.resend_at(Uuid::new_v4(), "client", RESEND_AFTER, KIDS, NOW).await.unwrap(),
        ResendResult::Spent
    );
}

pub async fn a_resend_after_expiry_creates_a_new_code(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    let first = send_all(db, NOW).await;
    for _ in 0..GUESSES - 1 {
        guess(db, id, CODE, NOW).await;
    }
    assert_eq!(
        db.resend_at(id, "client", RESEND_AFTER, KIDS, at(900)).await.unwrap(),
        ResendResult::Queued
    );
    let second = send_all(db, at(900)).await;
    assert_eq!(generation(&second[0]), generation(&first[0]) + 1);
    for _ in 0..GUESSES {
        assert_eq!(guess(db, id, CODE, at(901)).await.generation, generation(&second[0]));
    }
    assert!(matches!(charge(db, id, CODE, at(901)).await, GuessCharge::Spent));
}

pub async fn a_resend_replaces_a_retired_key(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    let key_of = |emails: &[ClaimedMail]| match &emails[0].kind {
        MailKind::Code { kid, .. } => kid.clone(),
        MailKind::Notice(_) => panic!("a notice"),
    };
    let first = send_all(db, NOW).await;
    assert_eq!(key_of(&first), "kid-1");
    guess(db, id, CODE, NOW).await;
    let resend = async |kids: &[&str], at: Timestamp| {
        assert_eq!(
            db.resend_at(id, "client", RESEND_AFTER, kids, at).await.unwrap(),
            ResendResult::Queued
        );
        key_of(&send_all(db, at).await)
    };
    assert_eq!(resend(&["kid-2", "kid-1"], at(60)).await, "kid-1", "the key is still accepted");
    assert_eq!(resend(&["kid-2", "kid-3"], at(120)).await, "kid-2");
    assert_eq!(resend(&["kid-3", "kid-2"], at(180)).await, "kid-2");
    for _ in 1..GUESSES {
        assert_eq!(guess(db, id, CODE, at(180)).await.kid, "kid-2");
    }
    assert!(matches!(charge(db, id, CODE, at(180)).await, GuessCharge::Spent), "no new guesses");
}

pub async fn parallel_resends_queue_one_email(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    send_all(db, NOW).await;
    let results = together((0..16).map(|_| {
        let db = db.clone();
        async move { db.resend_at(id, "client", RESEND_AFTER, KIDS, at(60)).await.unwrap() }
    }))
    .await;
    assert!(results.iter().all(|result| *result == ResendResult::Queued), "{results:?}");
    assert_eq!(send_all(db, at(60)).await.len(), 1);
    assert!(send_all(db, at(120)).await.is_empty());
}
