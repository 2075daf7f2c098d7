//! Turns: what an address may be sent, and whose mail goes next.

use user_server::domain::{OutboxClaim, Timestamp, UserUpdate};
use uuid::Uuid;

use super::fixture::*;

/// The time at which something is due.
async fn due(db: &Db, now: Timestamp) -> Timestamp {
    loop {
        match db.claim(&policy(), now).await.unwrap() {
            OutboxClaim::Nothing => {}
            OutboxClaim::Idle(Some(at)) => return at,
            other => panic!("{other:?}"),
        }
    }
}

/// Sends all that waits, as each turn comes; when each mail went, and what it verifies.
async fn send_in_turn(db: &Db, mut now: Timestamp) -> Vec<(Timestamp, Uuid)> {
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

pub async fn an_address_has_its_budget(db: &Db) {
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(register(db, "ada", "ada@example.org", "client", NOW).await);
    }
    let sent = send_in_turn(db, NOW).await;
    let times: Vec<Timestamp> = sent.iter().map(|(time, _)| *time).collect();
    // A minute between two, five an hour, ten a day. What would come a day later has been waiting
    // too long.
    let expected =
        [0, 60, 120, 180, 240, HOUR, HOUR + 60, HOUR + 120, HOUR + 180, HOUR + 240].map(at);
    assert_eq!(times, expected);
    assert_eq!(
        sent.iter().map(|(_, id)| *id).collect::<Vec<_>>(),
        ids[..10],
        "the first come first"
    );
    let id = register(db, "ada", "ada@example.org", "client", at(DAY - 1)).await;
    assert!(next_mail(db, at(DAY - 1)).await.is_none());
    // The first code could be guessed at for as long as it lived, and no day may hold the guesses
    // of eleven.
    let free = at(DAY).plus(policy().code_life);
    assert_eq!(due(db, at(DAY - 1)).await, free);
    assert_eq!(send_in_turn(db, free).await, [(free, id)]);
}

pub async fn clients_take_turns(db: &Db) {
    let mut mallorys = Vec::new();
    for _ in 0..4 {
        mallorys.push(register(db, "ada", "ada@example.org", "mallory", NOW).await);
    }
    let first = next_mail(db, NOW).await.unwrap();
    db.settle(first.id, NOW).await.unwrap();
    assert_eq!(verifies(&first), Some(mallorys[0]));
    let owners = register(db, "ada", "ada@example.org", "owner", at(1)).await;
    let third = register(db, "ada", "ada@example.org", "third", at(2)).await;
    let again = register(db, "ada", "ada@example.org", "owner", at(3)).await;
    let order: Vec<Uuid> = send_in_turn(db, at(4)).await.into_iter().map(|(_, id)| id).collect();
    assert_eq!(order, [owners, third, mallorys[1], again, mallorys[2], mallorys[3]]);
}

pub async fn a_suffix_is_the_same_address(db: &Db) {
    register(db, "ada", "ada@example.org", "client", NOW).await;
    register(db, "ada", "Ada+spam@example.org", "client", NOW).await;
    register(db, "ada", "other@example.org", "client", NOW).await;
    assert_eq!(send_all(db, NOW).await.len(), 2);
    let late = send_all(db, at(60)).await;
    assert_eq!((late.len(), late[0].recipient.mailbox.as_str()), (1, "Ada+spam@example.org"));
}

pub async fn a_purpose_has_a_budget_of_its_own(db: &Db) {
    let (grace, hers) = user(db, "grace").await;
    user(db, "ada").await;
    register(db, "mallory", "new@example.org", "client", NOW).await;
    let moving = UserUpdate {
        email: Some((Uuid::new_v4(), email("new@example.org"))),
        ..change(&grace, &hers)
    };
    db.update_user_at(&moving, NOW).await.unwrap();
    request_reset(db, "ada@example.org", NOW).await;
    assert_eq!(send_all(db, NOW).await.len(), 3);
}

pub async fn patience_ends(db: &Db) {
    for _ in 0..200 {
        register(db, "ada", "ada@example.org", "mallory", NOW).await;
    }
    assert_eq!(send_all(db, NOW).await.len(), 1);
    let late = register(db, "ada", "ada@example.org", "mallory", at(1)).await;
    let mails = send_all(db, at(DAY)).await;
    assert_eq!(
        mails.iter().filter_map(verifies).collect::<Vec<_>>(),
        [late],
        "what waited for a day is dropped"
    );
    assert!(matches!(db.claim(&policy(), at(DAY)).await.unwrap(), OutboxClaim::Idle(None)));
}

pub async fn a_voided_mail_takes_no_turn(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = Uuid::new_v4();
        let moving =
            UserUpdate { email: Some((id, email("new@example.org"))), ..change(&ada, &first) };
        db.update_user_at(&moving, NOW).await.unwrap();
        ids.push(id);
    }
    let mails = send_all(db, NOW).await;
    assert_eq!(mails.iter().filter_map(verifies).collect::<Vec<_>>(), ids[2..]);
}
