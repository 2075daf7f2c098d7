//! Emails: claimed by one worker at a time, sent at least once, and never with an invalid code.

use std::time::Duration;

use user_server::domain::{
    Backlog, ClaimedMail, GuessCharge, MailKind, Notice, OutboxClaim, Purpose, UserUpdate,
};
use uuid::Uuid;

use super::fixture::*;

const CODE: Purpose = Purpose::Registration;

pub async fn an_email_is_claimed_by_one_worker(db: &Db) {
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
    let emails: Vec<ClaimedMail> = together((0..16).map(|_| {
        let db = db.clone();
        async move { next_mail(&db, NOW).await }
    }))
    .await
    .into_iter()
    .flatten()
    .collect();
    let mut seen: Vec<Uuid> = emails.iter().filter_map(verifies).collect();
    ids.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, ids);
    assert!(emails.iter().all(|mail| mail.attempt == 1 && mail.created_at == NOW));
}

pub async fn an_email_is_claimed_again_after_its_lease(db: &Db) {
    let id = register(db, "ada", "Ada@example.org", "client", NOW).await;
    let first = next_mail(db, NOW).await.unwrap();
    assert_eq!(
        (first.recipient.mailbox.as_str(), first.recipient.username.as_str()),
        ("Ada@example.org", "ada")
    );
    let lease = NOW.plus(policy().lease);
    let OutboxClaim::Idle(Some(due)) = db.claim(&policy(), NOW).await.unwrap() else {
        panic!("the email is claimed")
    };
    assert_eq!(due, lease, "the time of the next work");
    assert!(next_mail(db, lease.minus(Duration::from_millis(1))).await.is_none());
    let second = next_mail(db, lease).await.unwrap();
    assert_eq!((second.id, second.attempt, verifies(&second)), (first.id, 2, Some(id)));
    db.settle(second.id, lease).await.unwrap();
    assert!(next_mail(db, at(HOUR)).await.is_none());
    assert!(matches!(db.claim(&policy(), at(HOUR)).await.unwrap(), OutboxClaim::Idle(None)));
}

pub async fn an_email_is_claimed_again_after_a_retry(db: &Db) {
    register(db, "ada", "ada@example.org", "client", NOW).await;
    let first = next_mail(db, NOW).await.unwrap();
    db.retry_at(first.id, at(5)).await.unwrap();
    assert!(next_mail(db, at(4)).await.is_none());
    assert_eq!(next_mail(db, at(5)).await.unwrap().attempt, 2);
    db.settle(first.id, at(5)).await.unwrap();
    db.retry_at(first.id, at(5)).await.unwrap();
    assert!(next_mail(db, at(HOUR)).await.is_none(), "a settled email stays settled");
}

pub async fn a_used_up_code_is_not_emailed(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    let first = next_mail(db, NOW).await.unwrap();
    for _ in 0..5 {
        guess(db, id, CODE, NOW).await;
    }
    db.retry_at(first.id, at(5)).await.unwrap();
    assert!(next_mail(db, at(5)).await.is_none(), "the code is used up");
    assert!(matches!(charge(db, id, CODE, at(5)).await, GuessCharge::Spent));
}

pub async fn a_repeated_email_has_the_same_code(db: &Db) {
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
        "the code is valid again, without new guesses"
    );
}

pub async fn the_owner_of_a_known_address_gets_a_notice_instead(db: &Db) {
    user(db, "ada").await;
    let id = register(db, "mallory", "ADA@example.org", "client", at(60)).await;
    assert!(matches!(charge(db, id, CODE, at(60)).await, GuessCharge::NotIssued));
    let emails = send_all(db, at(60)).await;
    assert_eq!(emails.len(), 1, "{emails:?}");
    assert_eq!(emails[0].kind, MailKind::Notice(Notice::AlreadyRegistered));
    assert_eq!(
        (emails[0].recipient.mailbox.as_str(), emails[0].recipient.username.as_str()),
        ("ada@example.org", "ada"),
        "the stored address, not the typed one"
    );
    assert!(
        guess(db, id, CODE, at(60)).await.dead,
        "guesses are charged like those of any other code"
    );
}

pub async fn the_owner_gets_one_notice_an_hour(db: &Db) {
    user(db, "ada").await;
    let (grace, her_session) = user(db, "grace").await;
    let notices = async |seconds| send_all(db, at(seconds)).await.len();
    register(db, "mallory", "ada@example.org", "client", at(60)).await;
    assert_eq!(notices(60).await, 1);
    register(db, "mallory", "ada@example.org", "client", at(120)).await;
    let new_address = UserUpdate {
        email: Some((Uuid::new_v4(), email("ada@example.org"))),
        ..change(&grace, &her_session)
    };
    db.update_user_at(&new_address, at(120)).await.unwrap();
    assert_eq!(notices(120).await, 0, "by any request that names the address");
    register(db, "mallory", "ada@example.org", "client", at(HOUR + 60)).await;
    assert_eq!(notices(HOUR + 60).await, 1);
}

pub async fn the_backlog_is_counted(db: &Db) {
    let empty = Backlog { unsent: 0, waiting: 0, oldest: None };
    assert_eq!(db.backlog(NOW).await.unwrap(), empty);
    register(db, "ada", "ada@example.org", "client", NOW).await;
    register(db, "bob", "ada@example.org", "client", NOW).await;
    assert_eq!(
        db.backlog(at(5)).await.unwrap(),
        Backlog { waiting: 2, oldest: Some(NOW), ..empty }
    );
    let OutboxClaim::Mail(mail) = db.claim(&policy(), at(5)).await.unwrap() else {
        panic!("an email is due")
    };
    assert_eq!(
        db.backlog(at(6)).await.unwrap(),
        Backlog { unsent: 1, waiting: 1, oldest: Some(at(5)) }
    );
    db.settle(mail.id, at(6)).await.unwrap();
    assert_eq!(db.backlog(at(6)).await.unwrap(), Backlog { waiting: 1, ..empty });
}
