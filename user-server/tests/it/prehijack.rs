//! Somebody else's address: who registers it first gains nothing, and who registers it ten thousand
//! times neither keeps the owner's mail away nor gets more guesses than are published.

use std::sync::Arc;

use user_proto::{ErrorCode, GetUser};
use user_server::domain::{GuessCharge, OutboxClaim, Purpose, ResendResult, Timestamp};
use user_server::outbox::RESEND_AFTER;
use user_server::store::SqliteStore;
use uuid::Uuid;

use crate::contract::fixture::{self, DAY, Db, KIDS, NOW, at, charge, policy, verifies};
use crate::support::{
    Changes, MAIL_PAUSE, NEW_PASSWORD, PASSWORD, TestServer, code_of, login, on_behalf_of,
    register, verify_email,
};

const VICTIM: &str = "victim@example.org";
const REGISTRATIONS: usize = 10_000;
/// Fewer, where it is clients that count.
const OF_MANY_CLIENTS: usize = 2_000;
/// What design and documentation publish: ten mails a day with five guesses each.
const GUESSES_A_DAY: usize = 50;

#[tokio::test]
async fn the_queue_of_one_client_does_not_delay_the_owner() {
    let server = TestServer::start().await;
    let client = server.client();
    for number in 0..5 {
        let name = format!("mallory{number}");
        client.call_with(register(&name, VICTIM), on_behalf_of("203.0.113.9")).await.unwrap();
    }
    server.emails.code(VICTIM, 1).await;
    let owner =
        client.call_with(register("victim", VICTIM), on_behalf_of("192.0.2.7")).await.unwrap();
    server.clock.advance(MAIL_PAUSE);
    let second = server.emails.code(VICTIM, 2).await;
    client.call(verify_email(owner.verification_id, &second)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn the_account_belongs_to_the_reader_of_the_email() {
    let server = TestServer::start().await;
    let client = server.client();
    let attack =
        user_proto::Register { password: NEW_PASSWORD.into(), ..register("mallory", VICTIM) };
    let attackers = client.call(attack).await.unwrap().verification_id;
    let first_code = server.emails.code(VICTIM, 1).await;
    let victims = client.call(register("victim", VICTIM)).await.unwrap().verification_id;
    server.advance_outbox(&client, MAIL_PAUSE).await;
    let code = server.emails.code(VICTIM, 2).await;
    assert_ne!(code, first_code, "one in a million, this is no fault");

    assert_eq!(code_of(&client, verify_email(attackers, &code)).await, ErrorCode::INVALID_CODE);
    assert_eq!(code_of(&client, verify_email(victims, &first_code)).await, ErrorCode::INVALID_CODE);
    let session = client.call(verify_email(victims, &code)).await.unwrap();
    let user = client.call(GetUser { access_token: session.access_token.clone() }).await.unwrap();
    assert_eq!((&*user.username, &*user.email), ("victim", VICTIM));
    assert_eq!(client.call(login(VICTIM, PASSWORD)).await.unwrap().user_id, session.user_id);
    assert_eq!(code_of(&client, login(VICTIM, NEW_PASSWORD)).await, ErrorCode::INVALID_CREDENTIALS);

    assert_eq!(code_of(&client, verify_email(attackers, &code)).await, ErrorCode::INVALID_CODE);
    assert_eq!(
        code_of(&client, verify_email(attackers, &first_code)).await,
        ErrorCode::EMAIL_TAKEN
    );
    assert_eq!(
        code_of(&client, login("mallory", NEW_PASSWORD)).await,
        ErrorCode::INVALID_CREDENTIALS
    );
    server.stop().await;
}

#[tokio::test]
async fn many_registrations_do_not_withhold_the_owners_email() {
    let server = TestServer::start().await;
    server.clock.hold();
    let client = server.client();
    for number in 0..15 {
        let request = register("mallory", VICTIM);
        let answer = client.call_with(request, on_behalf_of("192.0.2.7")).await.unwrap();
        assert_eq!(
            (answer.code_expires_in, answer.resend_after),
            (900, 60),
            "the wait does not show: {number}"
        );
    }
    server.emails.wait_for(VICTIM, 1).await;
    let answer =
        client.call_with(register("victim", VICTIM), on_behalf_of("198.51.100.1")).await.unwrap();
    assert_eq!((answer.code_expires_in, answer.resend_after), (900, 60));
    server.advance_outbox(&client, MAIL_PAUSE).await;
    let code = server.emails.code(VICTIM, 2).await;
    assert!(
        client.call(verify_email(answer.verification_id, &code)).await.is_ok(),
        "it is the next"
    );
    server.stop().await;
}

/// A store alone: ten thousand password hashes would measure the processor, and the turns are all
/// the store's.
async fn store() -> (Db, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Arc::new(SqliteStore::open(&folder.path().join("users.db")).await.unwrap()), folder)
}

/// Registers the victim's address; the ids.
async fn attack(db: &Db, registrations: usize, clients: usize, now: Timestamp) -> Vec<Uuid> {
    let mut ids = Vec::with_capacity(registrations);
    for number in 0..registrations {
        let client = format!("mallory {}", number % clients);
        ids.push(fixture::register(db, "mallory", VICTIM, &client, now).await);
    }
    ids
}

/// Sends from `now` on, turn by turn, until a mail of `id` has gone; how many mails went before it,
/// and when it did.
async fn mails_before(db: &Db, id: Uuid, mut now: Timestamp) -> (usize, Timestamp) {
    let mut before = 0;
    loop {
        match db.claim(&policy(), now).await.unwrap() {
            OutboxClaim::Mail(mail) => {
                db.settle(mail.id, now).await.unwrap();
                if verifies(&mail) == Some(id) {
                    return (before, now);
                }
                before += 1;
            }
            OutboxClaim::Nothing => {}
            OutboxClaim::Idle(Some(due)) => now = due,
            OutboxClaim::Idle(None) => panic!("the owner's mail was dropped after {before} others"),
        }
    }
}

/// Spends every guess that there is at these codes; how many there were.
async fn guess_all(db: &Db, ids: impl IntoIterator<Item = &Uuid>, now: Timestamp) -> usize {
    let mut guesses = 0;
    for id in ids {
        while let GuessCharge::Charged(_) = charge(db, *id, Purpose::Registration, now).await {
            guesses += 1;
        }
    }
    guesses
}

#[tokio::test]
async fn ten_thousand_registrations_of_one_client_cost_the_owner_one_mail_slot_and_give_fifty_guesses_a_day()
 {
    let (db, _folder) = store().await;
    let mut ids = attack(&db, REGISTRATIONS, 1, NOW).await;
    assert_eq!(fixture::send_all(&db, NOW).await.len(), 1);
    let owners = fixture::register(&db, "victim", VICTIM, "owner", at(1)).await;
    assert_eq!(mails_before(&db, owners, at(1)).await, (0, at(60)));
    ids.insert(0, owners);
    let mut guesses = guess_all(&db, &ids[..40], at(60)).await;
    assert_eq!(guesses, 10, "two codes were mailed");
    let mut now = at(60);
    while now < at(DAY) {
        match db.claim(&policy(), now).await.unwrap() {
            OutboxClaim::Mail(mail) => {
                db.settle(mail.id, now).await.unwrap();
                let mailed = verifies(&mail).unwrap();
                // At what was mailed, at what was mailed before, and at what never was.
                guesses += guess_all(&db, ids[..40].iter().chain([&mailed]), now).await;
                let soon =
                    db.resend_at(mailed, "mallory 0", RESEND_AFTER, KIDS, now).await.unwrap();
                assert_eq!(soon, ResendResult::TooSoon(RESEND_AFTER));
                let later = db
                    .resend_at(mailed, "another", RESEND_AFTER, KIDS, now.plus(RESEND_AFTER))
                    .await
                    .unwrap();
                assert_eq!(later, ResendResult::Queued);
            }
            OutboxClaim::Nothing => {}
            OutboxClaim::Idle(Some(due)) => now = due,
            OutboxClaim::Idle(None) => break,
        }
    }
    assert_eq!(guess_all(&db, &ids, at(DAY - 1)).await, 0, "no other id has a guess to give");
    assert_eq!(guesses, GUESSES_A_DAY);
}

#[tokio::test]
async fn thousands_of_registrations_of_many_clients_cost_the_owner_a_mail_slot_each() {
    let (db, _folder) = store().await;
    attack(&db, OF_MANY_CLIENTS, 4, NOW).await;
    let owners = fixture::register(&db, "victim", VICTIM, "owner", at(1)).await;
    // And a client for each of another hundred, all of which come after the owner.
    for number in 0..100 {
        fixture::register(&db, "mallory", VICTIM, &format!("late {number}"), at(2)).await;
    }
    assert_eq!(mails_before(&db, owners, at(2)).await, (4, at(2 + 4 * 60)));
}
