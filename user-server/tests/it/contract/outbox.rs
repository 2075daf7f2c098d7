//! Emails: claimed by one worker at a time, sent at least once, and never with an invalid code.

use std::time::Duration;

use user_server::domain::{
    Backlog, ClaimedMail, EmailState, FailedAttempt, GuessCharge, MailClass, MailKind, MailPolicy,
    Notice, OutboxClaim, Purpose, Timestamp, UndecidedRefusals, UserUpdate,
};
use uuid::Uuid;

use super::fixture::*;

const CODE: Purpose = Purpose::Registration;

/// Releases an email after a failure that concerns every email.
async fn retry(db: &Db, id: Uuid, retry_at: Timestamp) {
    let failed = FailedAttempt { at: NOW, retry_at, unexplained: false, domain: None };
    db.retry(id, &failed).await.unwrap();
}

/// Returns the states of the emails to an address.
async fn states(db: &Db, address: &str) -> Vec<EmailState> {
    db.emails_to(&email(address), 100).await.unwrap().into_iter().map(|email| email.state).collect()
}

pub async fn the_emails_to_an_address_are_listed_with_their_state(db: &Db) {
    let ada = register(db, "ada", "ada@example.org", "client", NOW).await;
    register(db, "grace", "grace@example.org", "client", NOW).await;
    assert_eq!(states(db, "ada@example.org").await, [EmailState::Waiting]);
    let found = db.emails_to(&email("ada@example.org"), 100).await.unwrap();
    let one = &found[0];
    assert_eq!((one.verification_id, one.attempts), (Some(ada), 0));
    assert_eq!(one.recipient.as_deref(), Some("ada@example.org"));
    let claimed = next_mail(db, NOW).await.unwrap();
    assert_eq!(verifies(&claimed), Some(ada));
    assert_eq!(states(db, "ada@example.org").await, [EmailState::Sending(at(60))]);
    retry(db, claimed.id, at(30)).await;
    assert_eq!(states(db, "ada@example.org").await, [EmailState::Due(at(30))]);
    let other = next_mail(db, NOW).await.unwrap();
    db.settle(other.id, true, at(1)).await.unwrap();
    assert_eq!(states(db, "grace@example.org").await, [EmailState::Accepted(at(1))]);
    assert_eq!(next_mail(db, at(30)).await.unwrap().id, claimed.id);
    assert_eq!(states(db, "ada@example.org").await, [EmailState::Sending(at(90))]);
    db.settle(claimed.id, false, at(31)).await.unwrap();
    assert_eq!(states(db, "ADA@example.org").await, [EmailState::GivenUp(at(31))]);
    // A part of an address is not the address, and an unknown one gets no email.
    assert!(states(db, "a@example.org").await.is_empty());
    request_reset(db, "nobody@example.org", NOW).await;
    assert!(next_mail(db, NOW).await.is_none());
    assert_eq!(states(db, "nobody@example.org").await, [EmailState::NotNeeded(NOW)]);
}

pub async fn a_failed_email_with_a_void_code_is_listed_as_not_needed(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    let claimed = next_mail(db, NOW).await.unwrap();
    for _ in 0..5 {
        guess(db, id, CODE, NOW).await;
    }
    retry(db, claimed.id, at(5)).await;
    assert!(next_mail(db, at(5)).await.is_none(), "the code is used up");
    assert_eq!(states(db, "ada@example.org").await, [EmailState::NotNeeded(at(5))]);
}

pub async fn the_variants_of_an_address_are_listed_with_it(db: &Db) {
    let listed = async |address: &str, limit| -> Vec<(Option<String>, String)> {
        let emails = db.emails_to(&email(address), limit).await.unwrap();
        emails.into_iter().map(|email| (email.recipient, email.kind)).collect()
    };
    let one = |to: &str, kind: &str| (Some(to.to_owned()), kind.to_owned());
    let id = register(db, "ada", "ada+x@example.org", "client", NOW).await;
    send_all(db, NOW).await;
    let guess = guess(db, id, CODE, NOW).await;
    db.activate_at(&guess, None, Uuid::new_v4(), &session(), NOW).await.unwrap();
    // A code and a notice: one is counted without the suffix, the other one with it.
    register(db, "mallory", "ADA+X@example.org", "client", at(60)).await;
    send_all(db, at(60)).await;
    register(db, "ada2", "ada@example.org", "client", at(61)).await;
    register(db, "adam", "adam@example.org", "client", at(62)).await;
    register(db, "other", "ada+x@other.example", "client", at(63)).await;
    let all = [
        one("ada+x@example.org", "registration"),
        one("ADA+X@example.org", "registration"),
        one("ada+x@example.org", "already_registered"),
        one("ada@example.org", "registration"),
    ];
    for address in ["ada@example.org", "ada+x@example.org", "ada+y@example.org"] {
        assert_eq!(listed(address, 100).await, all, "{address}");
    }
    assert_eq!(listed("ada@example.org", 1).await, all[3..]);
}

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
        ("Ada@example.org", "")
    );
    let lease = NOW.plus(policy().lease);
    let OutboxClaim::Idle(Some(due)) = db.claim(&policy(), NOW).await.unwrap() else {
        panic!("the email is claimed")
    };
    assert_eq!(due, lease, "the time of the next work");
    assert!(next_mail(db, lease.minus(Duration::from_millis(1))).await.is_none());
    let second = next_mail(db, lease).await.unwrap();
    assert_eq!((second.id, second.attempt, verifies(&second)), (first.id, 2, Some(id)));
    db.settle(second.id, true, lease).await.unwrap();
    assert!(next_mail(db, at(HOUR)).await.is_none());
    assert!(matches!(db.claim(&policy(), at(HOUR)).await.unwrap(), OutboxClaim::Idle(None)));
}

pub async fn an_email_is_claimed_again_after_a_retry(db: &Db) {
    register(db, "ada", "ada@example.org", "client", NOW).await;
    let first = next_mail(db, NOW).await.unwrap();
    retry(db, first.id, at(5)).await;
    assert!(next_mail(db, at(4)).await.is_none());
    assert_eq!(next_mail(db, at(5)).await.unwrap().attempt, 2);
    db.settle(first.id, true, at(5)).await.unwrap();
    retry(db, first.id, at(5)).await;
    assert!(next_mail(db, at(HOUR)).await.is_none(), "a settled email stays settled");
}

pub async fn a_used_up_code_is_not_emailed(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    let first = next_mail(db, NOW).await.unwrap();
    for _ in 0..5 {
        guess(db, id, CODE, NOW).await;
    }
    retry(db, first.id, at(5)).await;
    assert!(next_mail(db, at(5)).await.is_none(), "the code is used up");
    assert!(matches!(charge(db, id, CODE, at(5)).await, GuessCharge::Spent));
}

pub async fn a_repeated_email_has_the_same_code(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    let first = next_mail(db, NOW).await.unwrap();
    guess(db, id, CODE, NOW).await;
    retry(db, first.id, at(HOUR)).await;
    assert!(guess(db, id, CODE, at(HOUR - 1)).await.expired);
    let second = next_mail(db, at(HOUR)).await.unwrap();
    assert_eq!(generation(&second), generation(&first));
    for _ in 2..5 {
        assert!(!guess(db, id, CODE, at(HOUR + 899)).await.expired);
    }
    assert!(
        matches!(charge(db, id, CODE, at(HOUR + 899)).await, GuessCharge::Spent),
        "the code is valid again, without new guesses"
    );
}

pub async fn the_owner_of_a_known_address_gets_a_notice_instead(db: &Db) {
    user(db, "ada").await;
    let id = register(db, "mallory", "ADA@example.org", "client", at(60)).await;
    assert!(guess(db, id, CODE, at(60)).await.dead, "no code exists yet");
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
    db.update_user_at(new_address, at(120)).await.unwrap();
    assert_eq!(notices(120).await, 0, "by any request that names the address");
    register(db, "mallory", "ada@example.org", "client", at(HOUR + 60)).await;
    assert_eq!(notices(HOUR + 60).await, 1);
}

pub async fn the_backlog_is_counted(db: &Db) {
    let undecided = UndecidedRefusals::default();
    let empty = Backlog { unsent: 0, waiting: 0, oldest: None, undecided };
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
        Backlog { unsent: 1, waiting: 1, oldest: Some(at(5)), undecided }
    );
    db.settle(mail.id, true, at(6)).await.unwrap();
    assert_eq!(db.backlog(at(6)).await.unwrap(), Backlog { waiting: 1, ..empty });
}

pub async fn refusals_concern_every_email_from_three_domains_and_networks(db: &Db) {
    let refuse = async |number: u64, address: &str, client: &str| {
        let (now, domain) = (at(number), address.rsplit_once('@').unwrap().1);
        register(db, &format!("ada{number}"), address, client, now).await;
        let mail = next_mail(db, now).await.unwrap();
        let later = at(number + HOUR);
        let failed =
            FailedAttempt { at: now, retry_at: later, unexplained: false, domain: Some(domain) };
        db.retry(mail.id, &failed).await.unwrap();
        let backlog = db.backlog(now).await.unwrap();
        assert_eq!(backlog.oldest, None, "one recipient does not make the queue late");
        (backlog.undecided.domains, backlog.undecided.networks, backlog.undecided.concern_all())
    };
    assert_eq!(refuse(1, "a@one.example", "first").await, (1, 1, false));
    assert_eq!(refuse(2, "b@two.example", "first").await, (2, 1, false));
    assert_eq!(refuse(3, "c@three.example", "first").await, (3, 1, false));
    assert_eq!(refuse(4, "d@three.example", "second").await, (3, 2, false));
    assert_eq!(refuse(5, "e@three.example", "third").await, (3, 3, true));
    register(db, "grace", "grace@example.org", "client", at(6)).await;
    let delivered = next_mail(db, at(6)).await.unwrap();
    db.settle(delivered.id, false, at(6)).await.unwrap();
    assert!(db.backlog(at(6)).await.unwrap().undecided.concern_all(), "that was no delivery");
    register(db, "bob", "bob@example.org", "client", at(7)).await;
    let delivered = next_mail(db, at(7)).await.unwrap();
    db.settle(delivered.id, true, at(7)).await.unwrap();
    assert_eq!(db.backlog(at(7)).await.unwrap().undecided, UndecidedRefusals::default());
    // Nothing says that two unknown networks are the same one.
    for (number, address) in [(8, "f@one.example"), (9, "g@two.example"), (10, "h@three.example")] {
        assert_eq!(refuse(number, address, "").await.2, number == 10);
    }
}

pub async fn the_classes_of_emails_take_turns(db: &Db) {
    // The first attempt of one email has failed, codes wait, and so do notices.
    register(db, "early", "early@example.org", "client", NOW).await;
    let early = next_mail(db, NOW).await.unwrap();
    let (ada, her_session) = user(db, "ada").await;
    retry(db, early.id, NOW).await;
    let new_password = UserUpdate {
        password_hash: Some(("new".to_owned(), Notice::PasswordChanged)),
        ..change(&ada, &her_session)
    };
    db.update_user_at(new_password, NOW).await.unwrap();
    let code = register(db, "bob", "bob@example.org", "client", NOW).await;
    for (first, is_it) in [
        (MailClass::Retry, (|mail: &ClaimedMail| mail.attempt == 2) as fn(&ClaimedMail) -> bool),
        (MailClass::Notice, |mail| matches!(mail.kind, MailKind::Notice(_))),
        (MailClass::Code, |mail| matches!(mail.kind, MailKind::Code { .. })),
    ] {
        let policy = MailPolicy { first, ..policy() };
        let OutboxClaim::Mail(mail) = db.claim(&policy, NOW).await.unwrap() else { panic!() };
        assert!(is_it(&mail), "{first:?}: {mail:?}");
        assert!(first != MailClass::Code || verifies(&mail) == Some(code));
        db.settle(mail.id, true, NOW).await.unwrap();
    }
    assert!(next_mail(db, NOW).await.is_none());
}

pub async fn networks_take_turns(db: &Db) {
    for number in 0..50 {
        let name = format!("mallory{number}");
        register(db, &name, &format!("{name}@example.org"), "mallory", NOW).await;
    }
    let first = next_mail(db, NOW).await.unwrap();
    assert!(first.recipient.mailbox.starts_with("mallory"));
    let owner = register(db, "ada", "ada@example.org", "owner", at(1)).await;
    // At most one email of the other network may come first: the one of the same moment.
    let next: Vec<Option<Uuid>> = send_all(db, at(1)).await.iter().take(2).map(verifies).collect();
    assert!(next.contains(&Some(owner)), "{next:?}");
}

pub async fn notices_are_merged(db: &Db) {
    let (ada, her_session) = user(db, "ada").await;
    let mut credentials = ada.credentials;
    let mut change_password = async |seconds| {
        let update = UserUpdate {
            credentials: Some(credentials),
            password_hash: Some((format!("hash {seconds}"), Notice::PasswordChanged)),
            ..change(&ada, &her_session)
        };
        db.update_user_at(update.clone(), at(seconds)).await.unwrap();
        credentials += 1;
    };
    change_password(0).await;
    assert_eq!(send_all(db, NOW).await.len(), 1);
    for seconds in [60, 120, 180] {
        change_password(seconds).await;
        assert!(send_all(db, at(seconds)).await.is_empty(), "one an hour");
    }
    assert!(send_all(db, at(HOUR - 1)).await.is_empty());
    assert_eq!(send_all(db, at(HOUR)).await.len(), 1, "the later ones are merged");
    assert!(send_all(db, at(3 * HOUR)).await.is_empty());
    // Another kind, and another address, are not held up.
    register(db, "mallory", "ada@example.org", "client", at(3 * HOUR)).await;
    assert_eq!(send_all(db, at(3 * HOUR)).await.len(), 1);
}
