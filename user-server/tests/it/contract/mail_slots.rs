//! Mail slots: the budget of an address, and the order of the emails to it.

use user_server::domain::{OutboxClaim, Timestamp, UserUpdate};
use uuid::Uuid;

use super::fixture::*;

/// Returns the time at which the next email is due.
async fn due(db: &Db, now: Timestamp) -> Timestamp {
    loop {
        match db.claim(&policy(), now).await.unwrap() {
            OutboxClaim::Nothing => {}
            OutboxClaim::Idle(Some(at)) => return at,
            other => panic!("{other:?}"),
        }
    }
}

/// Sends every queued email when its slot is due. Returns the time and the verification of each.
async fn send_in_slots(db: &Db, mut now: Timestamp) -> Vec<(Timestamp, Uuid)> {
    let mut sent = Vec::new();
    loop {
        match db.claim(&policy(), now).await.unwrap() {
            OutboxClaim::Mail(mail) => {
                db.settle(mail.id, now).await.unwrap();
                sent.push((now, verifies(&mail).unwrap()));
            }
            OutboxClaim::Nothing => {}
            OutboxClaim::Idle(Some(at)) => now = at,
            OutboxClaim::Idle(None) => return sent,
        }
    }
}

pub async fn an_address_has_a_budget_of_emails(db: &Db) {
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(register(db, "ada", "ada@example.org", "client", NOW).await);
    }
    let sent = send_in_slots(db, NOW).await;
    let times: Vec<Timestamp> = sent.iter().map(|(time, _)| *time).collect();
    // At most one a minute, five an hour, ten a day. The remaining two would wait for a day, and
    // are dropped.
    let expected =
        [0, 60, 120, 180, 240, HOUR, HOUR + 60, HOUR + 120, HOUR + 180, HOUR + 240].map(at);
    assert_eq!(times, expected);
    assert_eq!(
        sent.iter().map(|(_, id)| *id).collect::<Vec<_>>(),
        ids[..10],
        "first come, first served"
    );
    let id = register(db, "ada", "ada@example.org", "client", at(DAY - 1)).await;
    assert!(next_mail(db, at(DAY - 1)).await.is_none());
    // The first code could be guessed until it expired, and no 24 hours may contain the guesses of
    // eleven codes.
    let free = at(DAY).plus(policy().code_life);
    assert_eq!(due(db, at(DAY - 1)).await, free);
    assert_eq!(send_in_slots(db, free).await, [(free, id)]);
}

pub async fn mail_slots_are_shared_fairly_among_clients(db: &Db) {
    let mut from_mallory = Vec::new();
    for _ in 0..4 {
        from_mallory.push(register(db, "ada", "ada@example.org", "mallory", NOW).await);
    }
    let first = next_mail(db, NOW).await.unwrap();
    db.settle(first.id, NOW).await.unwrap();
    assert_eq!(verifies(&first), Some(from_mallory[0]));
    let from_owner = register(db, "ada", "ada@example.org", "owner", at(1)).await;
    let from_third = register(db, "ada", "ada@example.org", "third", at(2)).await;
    let from_owner_again = register(db, "ada", "ada@example.org", "owner", at(3)).await;
    let order: Vec<Uuid> = send_in_slots(db, at(4)).await.into_iter().map(|(_, id)| id).collect();
    assert_eq!(
        order,
        [
            from_owner,
            from_third,
            from_mallory[1],
            from_owner_again,
            from_mallory[2],
            from_mallory[3]
        ]
    );
}

pub async fn addresses_that_differ_in_a_suffix_share_a_budget(db: &Db) {
    register(db, "ada", "ada@example.org", "client", NOW).await;
    register(db, "ada", "Ada+spam@example.org", "client", NOW).await;
    register(db, "ada", "other@example.org", "client", NOW).await;
    assert_eq!(send_all(db, NOW).await.len(), 2);
    let late = send_all(db, at(60)).await;
    assert_eq!((late.len(), late[0].recipient.mailbox.as_str()), (1, "Ada+spam@example.org"));
}

pub async fn each_purpose_has_its_own_budget(db: &Db) {
    let (grace, her_session) = user(db, "grace").await;
    user(db, "ada").await;
    register(db, "mallory", "new@example.org", "client", NOW).await;
    let update = UserUpdate {
        email: Some((Uuid::new_v4(), email("new@example.org"))),
        ..change(&grace, &her_session)
    };
    db.update_user_at(&update, NOW).await.unwrap();
    request_reset(db, "ada@example.org", NOW).await;
    assert_eq!(send_all(db, NOW).await.len(), 3);
}

pub async fn a_code_that_waits_for_a_day_is_dropped(db: &Db) {
    for _ in 0..200 {
        register(db, "ada", "ada@example.org", "mallory", NOW).await;
    }
    assert_eq!(send_all(db, NOW).await.len(), 1);
    let late = register(db, "ada", "ada@example.org", "mallory", at(1)).await;
    let emails = send_all(db, at(DAY)).await;
    assert_eq!(
        emails.iter().filter_map(verifies).collect::<Vec<_>>(),
        [late],
        "emails that waited for a day are dropped"
    );
    assert!(matches!(db.claim(&policy(), at(DAY)).await.unwrap(), OutboxClaim::Idle(None)));
}

pub async fn a_voided_code_takes_no_mail_slot(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = Uuid::new_v4();
        let update =
            UserUpdate { email: Some((id, email("new@example.org"))), ..change(&ada, &first) };
        db.update_user_at(&update, NOW).await.unwrap();
        ids.push(id);
    }
    let emails = send_all(db, NOW).await;
    assert_eq!(emails.iter().filter_map(verifies).collect::<Vec<_>>(), ids[2..]);
}
