//! Mails: held by one worker at a time, sent at least once, and never with what no longer counts.

use std::time::Duration;

use user_server::domain::{
    Backlog, ClaimedMail, GuessCharge, MailKind, Notice, OutboxClaim, Purpose, UserUpdate,
};
use uuid::Uuid;

use super::fixture::*;

const CODE: Purpose = Purpose::Registration;

pub async fn a_mail_is_held_by_one_worker(db: &Db) {
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.push(
            register(
                db,
                &format!("ada{number}"),
                &format!("ada{number}@example.org"),
                "client",
                NOW,
            )
            .await,
        );
    }
    let mails: Vec<ClaimedMail> = together((0..16).map(|_| {
        let db = db.clone();
        async move { next_mail(&db, NOW).await }
    }))
    .await
    .into_iter()
    .flatten()
    .collect();
    let mut seen: Vec<Uuid> = mails.iter().filter_map(verifies).collect();
    ids.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, ids);
    assert!(mails.iter().all(|mail| mail.attempt == 1 && mail.created_at == NOW));
}

pub async fn a_mail_comes_again_when_its_worker_has_gone(db: &Db) {
    let id = register(db, "ada", "Ada@example.org", "client", NOW).await;
    let first = next_mail(db, NOW).await.unwrap();
    assert_eq!(
        (first.recipient.mailbox.as_str(), first.recipient.username.as_str()),
        ("Ada@example.org", "ada")
    );
    let lease = NOW.plus(policy().lease);
    let OutboxClaim::Idle(Some(due)) = db.claim(&policy(), NOW).await.unwrap() else {
        panic!("it is held")
    };
    assert_eq!(due, lease, "when there will be something to do");
    assert!(next_mail(db, lease.minus(Duration::from_millis(1))).await.is_none());
    let second = next_mail(db, lease).await.unwrap();
    assert_eq!((second.id, second.attempt, verifies(&second)), (first.id, 2, Some(id)));
    db.settle(second.id, lease).await.unwrap();
    assert!(next_mail(db, at(HOUR)).await.is_none());
    assert!(matches!(db.claim(&policy(), at(HOUR)).await.unwrap(), OutboxClaim::Idle(None)));
}

pub async fn a_mail_comes_again_when_it_was_given_back(db: &Db) {
    register(db, "ada", "ada@example.org", "client", NOW).await;
    let first = next_mail(db, NOW).await.unwrap();
    db.retry_at(first.id, at(5)).await.unwrap();
    assert!(next_mail(db, at(4)).await.is_none());
    assert_eq!(next_mail(db, at(5)).await.unwrap().attempt, 2);
    db.settle(first.id, at(5)).await.unwrap();
    db.retry_at(first.id, at(5)).await.unwrap();
    assert!(next_mail(db, at(HOUR)).await.is_none(), "what is settled stays so");
}

pub async fn a_spent_code_is_not_mailed(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    let first = next_mail(db, NOW).await.unwrap();
    for _ in 0..5 {
        guess(db, id, CODE, NOW).await;
    }
    db.retry_at(first.id, at(5)).await.unwrap();
    assert!(next_mail(db, at(5)).await.is_none(), "nobody could use it");
    assert!(matches!(charge(db, id, CODE, at(5)).await, GuessCharge::Spent));
}

pub async fn a_code_of_a_mail_that_comes_again_is_the_same(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    let first = next_mail(db, NOW).await.unwrap();
    guess(db, id, CODE, NOW).await;
    db.retry_at(first.id, at(HOUR)).await.unwrap();
    assert!(matches!(charge(db, id, CODE, at(HOUR - 1)).await, GuessCharge::Spent));
    let second = next_mail(db, at(HOUR)).await.unwrap();
    assert_eq!(generation(&second), generation(&first));
    for _ in 1..5 {
        guess(db, id, CODE, at(HOUR + 899)).await;
    }
    assert!(
        matches!(charge(db, id, CODE, at(HOUR + 899)).await, GuessCharge::Spent),
        "it lives again, with no new guesses"
    );
}

pub async fn an_owner_is_told_instead(db: &Db) {
    user(db, "ada").await;
    let id = register(db, "mallory", "ADA@example.org", "client", at(60)).await;
    assert!(matches!(charge(db, id, CODE, at(60)).await, GuessCharge::NotIssued));
    let mails = send_all(db, at(60)).await;
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!(mails[0].kind, MailKind::Notice(Notice::AlreadyRegistered));
    assert_eq!(
        (mails[0].recipient.mailbox.as_str(), mails[0].recipient.username.as_str()),
        ("ada@example.org", "ada"),
        "as stored, not as typed"
    );
    assert!(guess(db, id, CODE, at(60)).await.dead, "it is guessed at like any other");
}

pub async fn an_owner_is_told_once_an_hour(db: &Db) {
    user(db, "ada").await;
    let (grace, hers) = user(db, "grace").await;
    let told = async |seconds| send_all(db, at(seconds)).await.len();
    register(db, "mallory", "ada@example.org", "client", at(60)).await;
    assert_eq!(told(60).await, 1);
    register(db, "mallory", "ada@example.org", "client", at(120)).await;
    let moving = UserUpdate {
        email: Some((Uuid::new_v4(), email("ada@example.org"))),
        ..change(&grace, &hers)
    };
    db.update_user_at(&moving, at(120)).await.unwrap();
    assert_eq!(told(120).await, 0, "by whichever way the address was typed");
    register(db, "mallory", "ada@example.org", "client", at(HOUR + 60)).await;
    assert_eq!(told(HOUR + 60).await, 1);
}

pub async fn what_waits_is_counted(db: &Db) {
    let none = Backlog { unsent: 0, waiting: 0, oldest: None };
    assert_eq!(db.backlog(NOW).await.unwrap(), none);
    register(db, "ada", "ada@example.org", "client", NOW).await;
    register(db, "bob", "ada@example.org", "client", NOW).await;
    assert_eq!(db.backlog(at(5)).await.unwrap(), Backlog { waiting: 2, oldest: Some(NOW), ..none });
    let OutboxClaim::Mail(mail) = db.claim(&policy(), at(5)).await.unwrap() else {
        panic!("a mail is due")
    };
    assert_eq!(
        db.backlog(at(6)).await.unwrap(),
        Backlog { unsent: 1, waiting: 1, oldest: Some(at(5)) }
    );
    db.settle(mail.id, at(6)).await.unwrap();
    assert_eq!(db.backlog(at(6)).await.unwrap(), Backlog { waiting: 1, ..none });
}
