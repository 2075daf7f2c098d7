//! Mail slots: the budget of an address, and the order of the emails to it.

use user_server::domain::{ClaimedMail, NewSession, OutboxClaim, Timestamp, UserUpdate};
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
                db.settle(mail.id, true, now).await.unwrap();
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
    for number in 0..12 {
        let client = format!("client {number}");
        ids.push(register(db, "ada", "ada@example.org", &client, NOW).await);
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
    db.settle(first.id, true, NOW).await.unwrap();
    assert_eq!(verifies(&first), Some(from_mallory[0]));
    let from_owner = register(db, "ada", "ada@example.org", "owner", at(1)).await;
    let from_third = register(db, "ada", "ada@example.org", "third", at(2)).await;
    let from_owner_again = register(db, "ada", "ada@example.org", "owner", at(3)).await;
    let order: Vec<Uuid> = send_in_slots(db, at(4)).await.into_iter().map(|(_, id)| id).collect();
    assert_eq!(
        order,
        [from_owner, from_third, from_mallory[1], from_owner_again, from_mallory[2]],
        "the fourth email of one network exceeds its share"
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
    db.update_user_at(update, NOW).await.unwrap();
    request_reset(db, "ada@example.org", NOW).await;
    assert_eq!(send_all(db, NOW).await.len(), 3);
}

pub async fn a_code_that_waits_for_a_day_is_dropped(db: &Db) {
    for number in 0..200 {
        register(db, "ada", "ada@example.org", &format!("mallory {number}"), NOW).await;
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
        db.update_user_at(update, NOW).await.unwrap();
        ids.push(id);
    }
    let emails = send_all(db, NOW).await;
    assert_eq!(emails.iter().filter_map(verifies).collect::<Vec<_>>(), ids[2..]);
}

/// One network could use up the budget of an address against its owner: it gets three emails a day
/// of ten, whatever it requests.
pub async fn a_network_has_a_share_of_a_budget(db: &Db) {
    for _ in 0..20 {
        register(db, "ada", "ada@example.org", "mallory", NOW).await;
    }
    for (seconds, count) in [(0, 1), (60, 1), (120, 1), (180, 0)] {
        assert_eq!(send_all(db, at(seconds)).await.len(), count, "{seconds}");
    }
    // The slot is not blocked for another network, which need not wait for the share either.
    let owner = register(db, "ada", "ada@example.org", "owner", at(200)).await;
    let ids = |emails: Vec<ClaimedMail>| emails.iter().filter_map(verifies).collect::<Vec<_>>();
    assert_eq!(ids(send_all(db, at(200)).await), [owner]);
    // An unknown network may stand for many, so only the budget of the address counts.
    let unknown = register(db, "ada", "ada@example.org", "", at(300)).await;
    assert_eq!(ids(send_all(db, at(300)).await), [unknown]);
    register(db, "ada", "ada@example.org", "", at(360)).await;
    assert!(send_all(db, at(360)).await.is_empty(), "five an hour");
    for number in 0..3 {
        let now = at(HOUR + 60 * number);
        register(db, "ada", "ada@example.org", "", now).await;
        assert_eq!(send_all(db, now).await.len(), 1, "{number}");
    }
}

/// Strangers from many networks could use up the budget of an address against its owner: a network
/// that opened a session of the account has three emails of its own.
pub async fn a_known_network_has_a_budget_of_its_own(db: &Db) {
    let (ada, _) = user(db, "ada").await;
    let home = NewSession { client: "home".to_owned(), ..session() };
    assert!(open(db, &ada, &home, NOW).await);
    for number in 0..30 {
        let client = format!("mallory {number}");
        request_reset_from(db, "ada@example.org", &client, NOW).await;
    }
    let mut now = NOW;
    let mut sent = 0;
    while now < at(4 * HOUR) {
        sent += send_all(db, now).await.len();
        now = now.plus(std::time::Duration::from_secs(60));
    }
    assert_eq!(sent, 10, "the budget of the day is used up");
    let mut own = Vec::new();
    for minute in 0..5 {
        let now = at(4 * HOUR + 60 * minute);
        let id = request_reset_from(db, "ada@example.org", "home", now).await;
        own.extend(send_all(db, now).await.iter().filter_map(verifies).filter(|of| *of == id));
    }
    assert_eq!(own.len(), 3);
    let away = request_reset_from(db, "ada@example.org", "away", at(5 * HOUR)).await;
    let mail = next_mail(db, at(5 * HOUR)).await;
    assert!(mail.is_none(), "{away} has no share left: {mail:?}");
    // After 30 days, the network is unknown again.
    let late = at(30 * DAY);
    for number in 0..10 {
        let now = late.plus(std::time::Duration::from_secs(number * 60));
        request_reset_from(db, "ada@example.org", &format!("mallory {number}"), now).await;
        send_all(db, now).await;
    }
    let now = late.plus(std::time::Duration::from_secs(600));
    request_reset_from(db, "ada@example.org", "home", now).await;
    assert!(next_mail(db, now).await.is_none());
}
