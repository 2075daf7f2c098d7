//! Guesses at codes, and resends.

use std::time::Duration;

use user_server::domain::{
    ClaimedMail, FailedAttempt, GuessCharge, MailKind, PendingLimit, PendingResult, Purpose,
    Registration, ResendResult, ResetRequest, Timestamp,
};
use user_server::outbox::{self, GUESSES};
use uuid::Uuid;

use super::fixture::*;

const CODE: Purpose = Purpose::Registration;

pub async fn parallel_guesses_share_the_limit_of_a_code(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    send_all(db, NOW).await;
    let results = together((0..64).map(|_| {
        let db = db.clone();
        async move { charge(&db, id, CODE, NOW).await }
    }))
    .await;
    let charged = results.iter().filter(|charge| matches!(charge, GuessCharge::Charged(_))).count();
    let spent = results.iter().filter(|charge| matches!(charge, GuessCharge::Spent)).count();
    assert_eq!((charged, spent), (5, 59));
}

pub async fn a_code_is_valid_only_for_its_id_purpose_owner_and_lifetime(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    send_all(db, NOW).await;
    assert!(
        matches!(charge(db, Uuid::new_v4(), CODE, NOW).await, GuessCharge::Unknown),
        "an unknown id"
    );
    assert!(
        matches!(charge(db, id, Purpose::PasswordReset, NOW).await, GuessCharge::Unknown),
        "another purpose"
    );
    let of_user = db
        .charge_guess(id, CODE, Some(Uuid::new_v4()), GUESSES, Adjustment::nothing(), NOW)
        .await
        .unwrap();
    assert!(matches!(of_user, GuessCharge::Unknown), "another owner");
    let last = NOW.plus(CODE_LIFE - Duration::from_millis(1));
    assert!(!guess(db, id, CODE, last).await.expired);
    assert!(guess(db, id, CODE, NOW.plus(CODE_LIFE)).await.expired);
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
    assert_eq!(db.resend_at(id, "client", KIDS, at(60)).await.unwrap(), ResendResult::Queued);
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
    let too_soon = |seconds| ResendResult::TooSoon(Duration::from_secs(seconds));
    assert_eq!(db.resend_at(id, "client", KIDS, NOW).await.unwrap(), too_soon(60));
    let first = send_all(db, at(5)).await;
    assert_eq!(first.len(), 1);
    guess(db, id, CODE, at(5)).await;
    assert_eq!(db.resend_at(id, "client", KIDS, at(45)).await.unwrap(), too_soon(15));
    assert_eq!(db.resend_at(id, "client", KIDS, at(65)).await.unwrap(), ResendResult::Queued);
    let second = send_all(db, at(65)).await;
    assert_eq!(generation(&second[0]), generation(&first[0]));
    for _ in 1..GUESSES {
        guess(db, id, CODE, at(65)).await;
    }
    assert!(matches!(charge(db, id, CODE, at(65)).await, GuessCharge::Spent), "no new guesses");
    let unknown = db.resend_at(Uuid::new_v4(), "client", KIDS, NOW).await.unwrap();
    assert_eq!(unknown, ResendResult::Unknown);
}

pub async fn a_resend_after_expiry_creates_a_new_code(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    let first = send_all(db, NOW).await;
    for _ in 0..GUESSES - 1 {
        guess(db, id, CODE, NOW).await;
    }
    assert_eq!(db.resend_at(id, "client", KIDS, at(900)).await.unwrap(), ResendResult::Queued);
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
        assert_eq!(db.resend_at(id, kids[0], kids, at).await.unwrap(), ResendResult::Queued);
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
        async move { db.resend_at(id, "client", KIDS, at(60)).await.unwrap() }
    }))
    .await;
    let queued = results.iter().filter(|result| **result == ResendResult::Queued).count();
    assert_eq!(queued, 1, "{results:?}");
    assert_eq!(send_all(db, at(60)).await.len(), 1);
    assert!(send_all(db, at(120)).await.is_empty());
}

/// A row with an email that is sent, one with an email that fails, one with an email that waits,
/// and a dead one: guesses and resends are answered alike, whatever happened to the emails.
pub async fn what_a_client_sees_does_not_depend_on_the_email(db: &Db) {
    user(db, "known").await;
    let sent = register(db, "sent", "sent@example.org", "client", NOW).await;
    send_all(db, NOW).await;
    let failing = register(db, "failing", "failing@example.org", "client", NOW).await;
    let mail = next_mail(db, NOW).await.unwrap();
    let dead = register(db, "dead", "known@example.org", "client", NOW).await;
    next_mail(db, at(30)).await;
    let waiting = register(db, "waiting", "waiting@example.org", "client", NOW).await;
    let ids = [sent, failing, dead, waiting];
    let mut seen: [Vec<String>; 4] = Default::default();
    for (step, seconds) in [0, 1, 59, 60, 119, 960, 961, 1860, 2760, 2820].into_iter().enumerate() {
        for (id, seen) in ids.iter().zip(&mut seen) {
            let result = db.resend_at(*id, "client", KIDS, at(seconds)).await.unwrap();
            seen.push(format!("{seconds}: {result:?}"));
            for _ in 0..=step % 4 {
                let charge = charge(db, *id, CODE, at(seconds)).await;
                seen.push(matches!(charge, GuessCharge::Charged(_)).to_string());
            }
        }
        let failed = FailedAttempt {
            at: at(seconds),
            retry_at: at(seconds + 5),
            unexplained: false,
            domain: None,
        };
        db.retry(mail.id, &failed).await.unwrap();
        // The worker tries again, in vain.
        if step % 2 == 0 {
            while next_mail(db, at(seconds + 5)).await.is_some() {}
        }
    }
    for other in &seen[1..] {
        assert_eq!(*other, seen[0]);
    }
    assert!(seen[0].iter().any(|answer| answer == "false"), "no code ran out of guesses");
}

pub async fn a_verification_has_ten_resends(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    for number in 1..=10 {
        let result = db.resend_at(id, "client", KIDS, at(number * 60)).await.unwrap();
        assert_eq!(result, ResendResult::Queued, "{number}");
    }
    let wait = Duration::from_secs(DAY - 3600) + CODE_LIFE;
    let result = db.resend_at(id, "client", KIDS, at(3600)).await.unwrap();
    assert_eq!(result, ResendResult::TooSoon(wait), "until the row is deleted");
}

/// Strangers could fill the database with rows: a network has so many registrations and resets
/// pending, for known and unknown addresses alike, and no other network is affected.
pub async fn a_network_has_a_limit_of_pending_rows(db: &Db) {
    user(db, "ada").await;
    let life = outbox::verification_life(CODE_LIFE);
    let limit = PendingLimit { max: 20, life };
    let results = together((0..64).map(|number| {
        let db = db.clone();
        async move {
            let name = if number % 2 == 0 { "ada".to_owned() } else { format!("user{number}") };
            let address = format!("{name}@example.org");
            let new = Registration { limit, ..registration("bob", &address, "mallory") };
            let request = ResetRequest { limit, ..reset_request(&address, "mallory") };
            match number % 4 {
                0 | 1 => db.register_at(&new, NOW).await.unwrap(),
                _ => db.request_reset_at(&request, NOW).await.unwrap(),
            }
        }
    }))
    .await;
    let stored = results.iter().filter(|result| **result == PendingResult::Stored).count();
    let refused = results.iter().filter(|result| **result == PendingResult::TooMany(life)).count();
    assert_eq!((stored, refused), (20, 44));
    let from = |client| Registration { limit, ..registration("eve", "eve@example.org", client) };
    assert_eq!(db.register_at(&from("another"), NOW).await.unwrap(), PendingResult::Stored);
    // A completed registration is no longer pending, and none is after its lifetime.
    let bounded = Registration { limit: PendingLimit { max: 1, life }, ..from("third") };
    let id = bounded.verification_id;
    assert_eq!(db.register_at(&bounded, NOW).await.unwrap(), PendingResult::Stored);
    let again = || Registration { limit: bounded.limit, ..from("third") };
    assert!(matches!(db.register_at(&again(), NOW).await.unwrap(), PendingResult::TooMany(_)));
    while next_mail(db, at(60)).await.is_some() {}
    let right = guess(db, id, CODE, at(60)).await;
    db.activate_at(&right, None, Uuid::new_v4(), &session(), at(60)).await.unwrap();
    assert_eq!(db.register_at(&again(), at(60)).await.unwrap(), PendingResult::Stored);
    let later = NOW.plus(life).plus(Duration::from_secs(60));
    assert_eq!(db.register_at(&again(), later).await.unwrap(), PendingResult::Stored);
}
