//! Retention: every table is swept, and no row is deleted early.

use std::time::Duration;

use user_server::domain::{
    Allowance, BudgetCounter, LogPart, MailKind, Notice, Purpose, ResendResult, Retention,
    Timestamp, UserUpdate,
};
use user_server::tokens::Rotation;

use super::fixture::*;

const CODE: Purpose = Purpose::Registration;

pub fn retention() -> Retention {
    let days = |days| Duration::from_secs(days * DAY);
    Retention {
        verifications: days(1) + policy().code_life,
        mails: days(1) + policy().code_life,
        revocations: Duration::from_secs(2 * HOUR),
        last_revocation: i64::MAX,
        session_idle: days(30),
        session_life: days(90),
        known_networks: days(30),
    }
}

pub async fn sweep(db: &Db, now: Timestamp) -> u64 {
    db.sweep(&retention(), now).await.unwrap()
}

pub async fn rows_within_their_retention_stay(db: &Db) {
    let (_, first) = user(db, "ada").await;
    let id = register(db, "grace", "grace@example.org", "client", at(60)).await;
    let waiting = register(db, "grace", "grace@example.org", "client", at(60)).await;
    send_all(db, at(60)).await;
    db.end_session_at(first.id, at(60)).await.unwrap();
    assert_eq!(sweep(db, at(60)).await, 0);
    assert_eq!(db.revocations(&LogPart::since(NOW)).await.unwrap().entries.len(), 1);
    guess(db, id, CODE, at(60)).await;
    assert!(guess(db, waiting, CODE, at(60)).await.dead, "no code exists yet");
    assert_eq!(send_all(db, at(120)).await.len(), 1);
    // A code that was resent stays valid for as long as the registration.
    assert_eq!(db.resend_at(id, "client", KIDS, at(DAY)).await.unwrap(), ResendResult::Queued);
    assert_eq!(send_all(db, at(DAY)).await.len(), 1);
    sweep(db, at(DAY + 120)).await;
    guess(db, id, CODE, at(DAY + 120)).await;
}

pub async fn rows_past_their_retention_are_deleted(db: &Db) {
    let (ada, idle) = user(db, "ada").await;
    let used = session();
    assert!(open(db, &ada, &used, NOW).await);
    let id = register(db, "grace", "grace@example.org", "client", NOW).await;
    send_all(db, NOW).await;
    let count = |counters: &mut [BudgetCounter]| {
        counters[0] =
            BudgetCounter { count: 1, since: NOW, blocked_until: NOW, expires_at: at(HOUR) };
        Ok(Allowance::Full)
    };
    assert_eq!(
        db.adjust(Adjustment::new([[1; 32]], count), None).await.unwrap(),
        Ok(Allowance::Full)
    );
    assert_eq!(sweep(db, at(HOUR + 1)).await, 1, "the counter");
    // A verification is deleted a day after its code expires, and an email when no code that
    // counts in the same day can be guessed.
    assert_eq!(
        sweep(db, at(DAY + 961)).await,
        6,
        "a verification, two emails, two mail slots, and the rank of a network"
    );
    assert_eq!(
        db.resend_at(id, "client", KIDS, at(DAY + 961)).await.unwrap(),
        ResendResult::Unknown
    );
    for (number, day) in [20, 40, 60, 80].into_iter().enumerate() {
        let number = u32::try_from(number).unwrap();
        let rotation = db.rotate_at(used.id, number, "kid-1", at(day * DAY)).await.unwrap();
        assert!(matches!(rotation, Rotation::Advanced(_)), "day {day}");
    }
    assert_eq!(sweep(db, at(30 * DAY + 1)).await, 1, "the idle session");
    assert!(!is_live(db, &idle).await && is_live(db, &used).await);
    assert_eq!(sweep(db, at(90 * DAY + 1)).await, 1, "the session at its maximum age");
    assert!(!is_live(db, &used).await);
    let other = session();
    assert!(open(db, &ada, &other, at(90 * DAY)).await);
    db.end_session_at(other.id, at(90 * DAY)).await.unwrap();
    assert_eq!(sweep(db, at(90 * DAY + 2 * HOUR + 1)).await, 1, "the entry of the revocation log");
    assert!(db.revocations(&LogPart::since(NOW)).await.unwrap().entries.is_empty());
    assert!(db.user(ada.id).await.unwrap().is_some(), "an account stays");
}

pub async fn a_sweep_keeps_the_email_budgets(db: &Db) {
    for number in 0..10 {
        register(db, "ada", "ada@example.org", &format!("client {number}"), NOW).await;
        let hour = number / 5 * HOUR;
        assert_eq!(send_all(db, at(hour + number % 5 * 60)).await.len(), 1, "email {number}");
    }
    register(db, "ada", "ada@example.org", "client", at(DAY - 2)).await;
    sweep(db, at(DAY - 1)).await;
    assert!(send_all(db, at(DAY - 1)).await.is_empty(), "ten a day");
    sweep(db, at(DAY)).await;
    assert!(
        send_all(db, at(DAY)).await.is_empty(),
        "the first code of the previous day could still be guessed"
    );
    let free = DAY + policy().code_life.as_secs();
    register(db, "ada", "ada@example.org", "client", at(free - 60)).await;
    sweep(db, at(free)).await;
    assert_eq!(send_all(db, at(free)).await.len(), 1);
    register(db, "ada", "ada@example.org", "client", at(free + 60)).await;
    sweep(db, at(free + 60)).await;
    assert_eq!(
        send_all(db, at(free + 60)).await.len(),
        1,
        "the second code of the previous day has expired too"
    );
}

pub async fn a_notice_that_no_worker_took_is_sent_after_a_month(db: &Db) {
    let (ada, her_session) = user(db, "ada").await;
    send_all(db, NOW).await;
    let update = UserUpdate {
        password_hash: Some(("hash 2".to_owned(), Notice::PasswordChanged)),
        ..change(&ada, &her_session)
    };
    db.update_user_at(update, at(60)).await.unwrap();
    let month = 31 * DAY;
    sweep(db, at(month)).await;
    let sent = send_all(db, at(month)).await;
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].kind, MailKind::Notice(Notice::PasswordChanged));
    sweep(db, at(2 * month)).await;
    let update = UserUpdate {
        credentials: Some(ada.credentials + 1),
        password_hash: Some(("hash 3".to_owned(), Notice::PasswordChanged)),
        ..change(&ada, &her_session)
    };
    db.update_user_at(update, at(2 * month)).await.unwrap();
    assert_eq!(send_all(db, at(2 * month)).await.len(), 1);
}

/// Stores this many counters that expire at once.
pub async fn expired_counters(db: &Db, count: u16) {
    for number in 0..count {
        let mut key = [2; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        let expired = |counters: &mut [BudgetCounter]| {
            counters[0] =
                BudgetCounter { count: 1, since: NOW, blocked_until: NOW, expires_at: NOW };
            Ok(Allowance::Full)
        };
        db.adjust(Adjustment::new([key], expired), None).await.unwrap().unwrap();
    }
}

pub async fn a_sweep_deletes_everything_in_batches(db: &Db) {
    expired_counters(db, 2100).await;
    assert_eq!(sweep(db, at(1)).await, 2100);
    assert_eq!(sweep(db, at(1)).await, 0);
}

pub async fn a_store_answers_pings_until_it_is_closed(db: &Db) {
    db.ping().await.unwrap();
    db.close().await;
    assert!(db.ping().await.is_err(), "a closed store");
}
