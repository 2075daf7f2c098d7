//! No answer reveals whether an address is known: the answers are identical except for the ids.

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

/// Starts a server with a known and a pending address, to both of which the next email can be sent
/// at once.
async fn server() -> (TestServer, Client) {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    server.account(&client, "known").await;
    server.registered_code(&client, "pending", PENDING).await;
    server.clock.advance(MAIL_PAUSE);
    (server, client)
}

/// Asserts that all answers are equal.
fn assert_equal<T: PartialEq + std::fmt::Debug>(answers: Vec<T>) {
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
}

/// Waits until the email of a verification has had its mail slot, and returns the refusal of a
/// resend.
async fn refused_resend(client: &Client, verification_id: Uuid) -> ErrorReply<'static> {
    for _ in 0..2000 {
        match client.call(ResendCode { verification_id }).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            refusal => return refused(refusal),
        }
    }
    panic!("no mail slot for {verification_id}")
}

/// Asserts that verifications behave equally: their resends and their guesses.
async fn compare(
    server: &TestServer,
    client: &Client,
    ids: &[Uuid],
    guess: impl AsyncFn(Uuid) -> ErrorCode,
) {
    let mut resends = Vec::new();
    for id in ids {
        resends.push(refused_resend(client, *id).await);
    }
    assert_eq!(resends[0].code, ErrorCode::RATE_LIMITED);
    assert_equal(resends);
    for number in 0..7 {
        let mut refusals = Vec::new();
        for id in ids {
            refusals.push(guess(*id).await);
        }
        assert_eq!(
            refusals[0],
            if number < 5 { ErrorCode::INVALID_CODE } else { ErrorCode::CODE_EXPIRED }
        );
        assert_equal(refusals);
    }
    server.clock.advance(MAIL_PAUSE);
    let mut again = Vec::new();
    for id in ids {
        again.push(client.call(ResendCode { verification_id: *id }).await.unwrap());
    }
    assert_equal(again);
    for id in ids {
        refused_resend(client, *id).await;
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
    assert_equal(answers);
    compare(&server, &client, &ids, async |id| code_of(&client, verify_email(id, NO_CODE)).await)
        .await;
    let subjects: Vec<String> =
        server.emails.to(KNOWN).into_iter().map(|mail| mail.subject).collect();
    assert_eq!(subjects.len(), 2, "one notice an hour to the owner: {subjects:?}");
    assert_eq!(subjects[1], "You already have an account");
    server.clock.advance(Duration::from_secs(3600));
    client.call(register("mallory", "KNOWN@example.org")).await.unwrap();
    assert_eq!(server.emails.wait_for(KNOWN, 3).await[2].subject, "You already have an account");
    assert!(
        server.emails.to("KNOWN@example.org").is_empty(),
        "emails go to the stored address, never to the typed one"
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
    assert_equal(answers);
    compare(&server, &client, &ids, async |id| code_of(&client, reset(id, NO_CODE)).await).await;
    assert_eq!(
        server.emails.wait_for(KNOWN, 3).await.len(),
        3,
        "the code of the registration and two codes of resets"
    );
    assert_eq!(server.emails.to(PENDING).len(), 1, "only the code of the registration");
    assert!(server.emails.to(UNKNOWN).is_empty(), "an email to an unknown address");
    server.stop().await;
}

#[tokio::test]
async fn a_change_of_address_does_not_reveal_accounts() {
    let (server, client) = server().await;
    let (mut answers, mut ids, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    for (number, address) in ALL.into_iter().enumerate() {
        // Each with its own account, since a newer change voids the older one.
        let access = server.account(&client, &format!("grace{number}")).await.access();
        let update = UpdateUser { email: Some(address.into()), ..update_with_password(&access) };
        let mut answer = client.call(update).await.unwrap();
        ids.push(answer.verification_id.replace(Uuid::nil()).unwrap());
        answer.user_id = Uuid::nil();
        answer.username = "grace".into();
        answer.email = "grace@example.org".into();
        answers.push(answer);
        tokens.push(access);
    }
    assert_equal(answers);
    let known_ids = ids.clone();
    let confirm = async |verification_id| {
        let index = known_ids.iter().position(|id| *id == verification_id).unwrap();
        let access_token = tokens[index].as_str().into();
        code_of(&client, ConfirmEmail { access_token, verification_id, code: NO_CODE.into() }).await
    };
    compare(&server, &client, &ids, confirm).await;
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
    answers.push(refused(client.call(login("not a valid name", PASSWORD)).await));
    answers.push(refused(client.call(login("", PASSWORD)).await));
    answers.push(refused(client.call(login("known", "")).await));
    answers.push(refused(client.call(login("known", &"x".repeat(1025))).await));
    assert_eq!(answers[0].code, ErrorCode::INVALID_CREDENTIALS);
    assert_equal(answers);
    server.stop().await;
}

#[tokio::test]
async fn a_login_of_an_unknown_user_takes_as_long() {
    let (server, client) = server().await;
    let mut minimum = [Duration::MAX; 3];
    for _ in 0..15 {
        for (name, minimum) in [KNOWN, UNKNOWN, "not a valid name"].into_iter().zip(&mut minimum) {
            let began = Instant::now();
            assert_eq!(
                code_of(&client, login(name, "tides rise at ten")).await,
                ErrorCode::INVALID_CREDENTIALS
            );
            *minimum = began.elapsed().min(*minimum);
        }
        // Longer than the wait after any number of failures.
        server.clock.advance(Duration::from_secs(15 * 60));
    }
    // The minimum of several attempts is close to the time of the work, even on a busy machine.
    // Without a hash, it would be a small part of that.
    let [known, others @ ..] = minimum;
    assert!(others.into_iter().all(|other| other > known / 2), "{minimum:?}");
    server.stop().await;
}
