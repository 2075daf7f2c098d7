//! Whether an address is known is nobody's business: the answers are the same in every byte but the
//! ids.

use std::time::{Duration, Instant};

use user_proto::client::Client;
use user_proto::{ConfirmEmail, ErrorCode, ErrorReply, ResendCode, UpdateUser};
use uuid::Uuid;

use crate::support::{
    MAIL_PAUSE, NO_CODE, PASSWORD, TestServer, code_of, login, refused, register, request_reset,
    reset, update_with_password, verify_email,
};

const KNOWN: &str = "known@example.org";
const PENDING: &str = "pending@example.org";
const UNKNOWN: &str = "unknown@example.org";
const ALL: [&str; 3] = [KNOWN, PENDING, UNKNOWN];

/// A server where one address is known and one pending, long enough ago that neither has a mail to
/// wait for.
async fn server() -> (TestServer, Client) {
    let server = TestServer::start().await;
    server.clock.hold();
    let client = server.client();
    server.account(&client, "known").await;
    server.registered_code(&client, "pending", PENDING).await;
    server.clock.advance(MAIL_PAUSE);
    (server, client)
}

/// Asserts that all are the same.
fn alike<T: PartialEq + std::fmt::Debug>(answers: Vec<T>) {
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
}

/// The refusal of a resend once the verification's mail had its turn.
async fn young_mail(client: &Client, verification_id: Uuid) -> ErrorReply<'static> {
    for _ in 0..2000 {
        match client.call(ResendCode { verification_id }).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            refusal => return refused(refusal),
        }
    }
    panic!("the mail of {verification_id} never had its turn")
}

/// What a verification tells: of its mail, of guesses, and of its mail again.
async fn probe(
    server: &TestServer,
    client: &Client,
    ids: &[Uuid],
    purpose: impl AsyncFn(Uuid) -> ErrorCode,
) {
    let mut early = Vec::new();
    for id in ids {
        early.push(young_mail(client, *id).await);
    }
    assert_eq!(early[0].code, ErrorCode::RATE_LIMITED);
    alike(early);
    for number in 0..7 {
        let mut refusals = Vec::new();
        for id in ids {
            refusals.push(purpose(*id).await);
        }
        assert_eq!(
            refusals[0],
            if number < 5 { ErrorCode::INVALID_CODE } else { ErrorCode::CODE_EXPIRED }
        );
        alike(refusals);
    }
    server.clock.advance(MAIL_PAUSE);
    let mut again = Vec::new();
    for id in ids {
        again.push(client.call(ResendCode { verification_id: *id }).await.unwrap());
    }
    alike(again);
    for id in ids {
        young_mail(client, *id).await;
    }
}

#[tokio::test]
async fn a_registration_does_not_reveal_accounts() {
    let (server, client) = server().await;
    let (mut answers, mut ids) = (Vec::new(), Vec::new());
    for address in ALL {
        let mut answer = client.call(register("mallory", address)).await.unwrap();
        ids.push(std::mem::take(&mut answer.verification_id));
        answers.push(answer);
    }
    alike(answers);
    probe(&server, &client, &ids, async |id| code_of(&client, verify_email(id, NO_CODE)).await)
        .await;
    let told: Vec<String> = server.emails.to(KNOWN).into_iter().map(|mail| mail.subject).collect();
    assert_eq!(told.len(), 2, "the owner is told, once an hour: {told:?}");
    assert_eq!(told[1], "You already have an account");
    server.clock.advance(Duration::from_secs(3600));
    client.call(register("mallory", "KNOWN@example.org")).await.unwrap();
    assert_eq!(server.emails.wait_for(KNOWN, 3).await[2].subject, "You already have an account");
    assert!(
        server.emails.to("KNOWN@example.org").is_empty(),
        "mail goes to the stored address, never to the typed one"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_reset_request_does_not_reveal_accounts() {
    let (server, client) = server().await;
    let (mut answers, mut ids) = (Vec::new(), Vec::new());
    for address in ALL {
        let mut answer = client.call(request_reset(address)).await.unwrap();
        ids.push(std::mem::take(&mut answer.verification_id));
        answers.push(answer);
    }
    alike(answers);
    probe(&server, &client, &ids, async |id| code_of(&client, reset(id, NO_CODE)).await).await;
    assert_eq!(
        server.emails.wait_for(KNOWN, 3).await.len(),
        3,
        "the code of the registration and two of resets"
    );
    assert_eq!(server.emails.to(PENDING).len(), 1, "nothing but the code of the registration");
    assert!(server.emails.to(UNKNOWN).is_empty(), "nobody asked for this mail");
    server.stop().await;
}

#[tokio::test]
async fn a_change_of_address_does_not_reveal_accounts() {
    let (server, client) = server().await;
    let (mut answers, mut ids, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    for (number, address) in ALL.into_iter().enumerate() {
        // Of one account each, since a newer change voids the older.
        let access = server.account(&client, &format!("grace{number}")).await.access();
        let moved = UpdateUser { email: Some(address.into()), ..update_with_password(&access) };
        let mut answer = client.call(moved).await.unwrap();
        ids.push(answer.verification_id.replace(Uuid::nil()).unwrap());
        answer.user_id = Uuid::nil();
        answer.username = "grace".into();
        answer.email = "grace@example.org".into();
        answers.push(answer);
        tokens.push(access);
    }
    alike(answers);
    let (ids_, tokens_) = (ids.clone(), tokens);
    let confirm = async |verification_id| {
        let place = ids_.iter().position(|id| *id == verification_id).unwrap();
        let access_token = tokens_[place].as_str().into();
        code_of(&client, ConfirmEmail { access_token, verification_id, code: NO_CODE.into() }).await
    };
    probe(&server, &client, &ids, confirm).await;
    server.stop().await;
}

#[tokio::test]
async fn a_login_does_not_reveal_accounts() {
    let (server, client) = server().await;
    let mut answers = Vec::new();
    for address in ALL {
        answers.push(refused(client.call(login(address, "tides rise at ten")).await));
    }
    answers.push(refused(client.call(login(PENDING, PASSWORD)).await));
    answers.push(refused(client.call(login("no such name, nor can be", PASSWORD)).await));
    answers.push(refused(client.call(login("", PASSWORD)).await));
    answers.push(refused(client.call(login("known", "")).await));
    answers.push(refused(client.call(login("known", &"x".repeat(1025))).await));
    assert_eq!(answers[0].code, ErrorCode::INVALID_CREDENTIALS);
    alike(answers);
    server.stop().await;
}

#[tokio::test]
async fn a_login_of_an_unknown_user_takes_as_long() {
    let (server, client) = server().await;
    let mut least = [Duration::MAX; 3];
    for _ in 0..5 {
        for (name, least) in
            [KNOWN, UNKNOWN, "no such name, nor can be"].into_iter().zip(&mut least)
        {
            let began = Instant::now();
            assert_eq!(
                code_of(&client, login(name, "tides rise at ten")).await,
                ErrorCode::INVALID_CREDENTIALS
            );
            *least = began.elapsed().min(*least);
        }
        // No attempt has to wait for the ones before it.
        server.clock.advance(Duration::from_secs(15 * 60));
    }
    // The least of a few is what the work takes, on a busy machine too; without a hash it would be
    // a small part of it.
    let [known, others @ ..] = least;
    assert!(others.into_iter().all(|other| other > known / 2), "{least:?}");
    server.stop().await;
}
