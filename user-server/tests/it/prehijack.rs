//! Account pre-hijacking: registering another user's address first gains nothing, and registering
//! it ten thousand times neither withholds the owner's email nor allows more guesses than
//! published.

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
/// Registrations of several clients; fewer suffice.
const REGISTRATIONS_OF_CLIENTS: usize = 2_000;
/// The published limit: ten emails a day, with five guesses each.
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
    let attacker_id = client.call(attack).await.unwrap().verification_id;
    let first_code = server.emails.code(VICTIM, 1).await;
    let victim_id = client.call(register("victim", VICTIM)).await.unwrap().verification_id;
    server.advance_outbox(&client, MAIL_PAUSE).await;
    let code = server.emails.code(VICTIM, 2).await;
    assert_ne!(code, first_code, "equal by chance once in a million runs");

    assert_eq!(code_of(&client, verify_email(attacker_id, &code)).await, ErrorCode::INVALID_CODE);
    assert_eq!(
        code_of(&client, verify_email(victim_id, &first_code)).await,
        ErrorCode::INVALID_CODE
    );
    let session = client.call(verify_email(victim_id, &code)).await.unwrap();
    let user = client.call(GetUser { access_token: session.access_token.clone() }).await.unwrap();
    assert_eq!((&*user.username, &*user.email), ("victim", VICTIM));
    assert_eq!(client.call(login(VICTIM, PASSWORD)).await.unwrap().user_id, session.user_id);
    assert_eq!(code_of(&client, login(VICTIM, NEW_PASSWORD)).await, ErrorCode::INVALID_CREDENTIALS);

    assert_eq!(code_of(&client, verify_email(attacker_id, &code)).await, ErrorCode::INVALID_CODE);
    assert_eq!(
        code_of(&client, verify_email(attacker_id, &first_code)).await,
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
    server.clock.freeze();
    let client = server.client();
    for number in 0..15 {
        let request = register("mallory", VICTIM);
        let answer = client.call_with(request, on_behalf_of("192.0.2.7")).await.unwrap();
        assert_eq!(
            (answer.code_expires_in, answer.resend_after),
            (900, 60),
            "the answer does not reveal the wait: {number}"
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
        "the owner got the next email"
    );
    server.stop().await;
}

/// Opens a store without a server: mail slots depend on the store only, and ten thousand password
/// hashes would be slow.
async fn store() -> (Db, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Arc::new(SqliteStore::open(&folder.path().join("users.db")).await.unwrap()), folder)
}

/// Registers the victim's address many times, and returns the ids of the verifications.
async fn attack(db: &Db, registrations: usize, clients: usize, now: Timestamp) -> Vec<Uuid> {
    let mut ids = Vec::with_capacity(registrations);
    for number in 0..registrations {
        let client = format!("mallory {}", number % clients);
        ids.push(fixture::register(db, "mallory", VICTIM, &client, now).await);
    }
    ids
}

/// Sends the emails from `now` on, each in its slot, up to that of `id`. Returns the number of
/// emails before it, and its time.
async fn emails_before(db: &Db, id: Uuid, mut now: Timestamp) -> (usize, Timestamp) {
    let mut before = 0;
    loop {
        match db.claim(&policy(), now).await.unwrap() {
            OutboxClaim::Mail(mail) => {
                db.settle(mail.id, true, now).await.unwrap();
                if verifies(&mail) == Some(id) {
                    return (before, now);
                }
                before += 1;
            }
            OutboxClaim::Nothing => {}
            OutboxClaim::Idle(Some(due)) => now = due,
            OutboxClaim::Idle(None) => {
                panic!("the owner's email was dropped after {before} others")
            }
        }
    }
}

/// Makes every guess that these codes allow, and returns the number of those that could be right.
async fn guess_all(db: &Db, ids: impl IntoIterator<Item = &Uuid>, now: Timestamp) -> usize {
    let mut guesses = 0;
    for id in ids {
        while let GuessCharge::Charged(guess) = charge(db, *id, Purpose::Registration, now).await {
            guesses += usize::from(!guess.dead && !guess.expired);
        }
    }
    guesses
}

#[tokio::test]
async fn ten_thousand_registrations_cost_the_owner_one_mail_slot_and_allow_fifty_guesses_a_day() {
    let (db, _folder) = store().await;
    let mut ids = attack(&db, REGISTRATIONS, 1, NOW).await;
    assert_eq!(fixture::send_all(&db, NOW).await.len(), 1);
    let owner = fixture::register(&db, "victim", VICTIM, "owner", at(1)).await;
    assert_eq!(emails_before(&db, owner, at(1)).await, (0, at(60)));
    ids.insert(0, owner);
    let mut guesses = guess_all(&db, &ids[..2], at(60)).await;
    assert_eq!(guesses, 10, "two codes were emailed");
    assert_eq!(guess_all(&db, &ids[40..80], at(60)).await, 0, "codes that were never sent");
    let (mut now, mut resends) = (at(60), 0);
    while now < at(DAY) {
        match db.claim(&policy(), now).await.unwrap() {
            OutboxClaim::Mail(mail) => {
                db.settle(mail.id, true, now).await.unwrap();
                let emailed = verifies(&mail).unwrap();
                guesses += guess_all(&db, [&emailed], now).await;
                // A new code of the same registration, for another network each time.
                resends += 1;
                let (client, later) = (format!("another {resends}"), now.plus(RESEND_AFTER));
                let queued = db.resend_at(emailed, &client, KIDS, later).await.unwrap();
                assert_eq!(queued, ResendResult::Queued);
                let soon = db.resend_at(emailed, &client, KIDS, later).await.unwrap();
                assert_eq!(soon, ResendResult::TooSoon(RESEND_AFTER));
            }
            OutboxClaim::Nothing => {}
            OutboxClaim::Idle(Some(due)) => now = due,
            OutboxClaim::Idle(None) => break,
        }
    }
    assert_eq!(guess_all(&db, &ids[..400], at(DAY - 1)).await, 0, "no other code can be right");
    assert_eq!(guesses, GUESSES_A_DAY);
}

#[tokio::test]
async fn thousands_of_registrations_of_many_clients_cost_the_owner_a_mail_slot_each() {
    let (db, _folder) = store().await;
    attack(&db, REGISTRATIONS_OF_CLIENTS, 4, NOW).await;
    let owner = fixture::register(&db, "victim", VICTIM, "owner", at(1)).await;
    // Another hundred clients register after the owner.
    for number in 0..100 {
        fixture::register(&db, "mallory", VICTIM, &format!("late {number}"), at(2)).await;
    }
    assert_eq!(emails_before(&db, owner, at(2)).await, (4, at(2 + 4 * 60)));
}
