//! What emails and replies tell strangers.

use std::time::Duration;

use user_proto::client::Client;
use user_proto::{Login, RequestMessage, ResendCode, UpdateUser};
use uuid::Uuid;

use super::server_with_mail_at;
use crate::smtp::{Action, Sink};
use crate::support::{
    NO_CODE, PASSWORD, TestServer, on_behalf_of, register, request_reset, reset,
    update_with_password, verify_email,
};

/// A name that reads like an advertisement.
const LURE: &str = "www.gift.example";

/// Anyone could send their text to a stranger, in the service's name: an email to an address that
/// does not belong to an account contains no text that anyone chose.
#[tokio::test]
async fn an_email_to_a_stranger_contains_no_chosen_text() {
    let server = TestServer::start().await;
    let client = server.client();
    let (id, code) = server.registered_code(&client, LURE, "stranger@example.org").await;
    client.call(verify_email(id, &code)).await.unwrap();
    let login = Login { device: Some(LURE.into()), ..Login::new(LURE.into(), PASSWORD.into()) };
    let session = client.call(login).await.unwrap();
    let token = session.access_token.expose_str().unwrap().to_owned();
    let change = UpdateUser {
        email: Some("another.stranger@example.org".into()),
        ..update_with_password(&token)
    };
    client.call(change).await.unwrap();
    server.emails.code("another.stranger@example.org", 1).await;
    for stranger in ["stranger@example.org", "another.stranger@example.org"] {
        for email in server.emails.to(stranger) {
            assert!(email.body.contains("Hello,"), "{email:?}");
            for chosen in ["gift", LURE] {
                assert!(!email.body.contains(chosen), "{chosen}: {email:?}");
            }
        }
    }
    // The owner of an account is greeted by the name that they chose themselves.
    client.call(request_reset("stranger@example.org")).await.unwrap();
    let emails = server.emails.wait_for("stranger@example.org", 2).await;
    assert!(emails[1].body.contains(&format!("Hello {LURE},")), "{:?}", emails[1]);
    client.close().await;
    server.stop().await;
}

/// Sends a request from a network of its own, and returns the bytes of its reply, except its ids.
async fn reply<M: RequestMessage>(client: &Client, ip: &str, request: M) -> String
where
    M::Reply: std::fmt::Debug,
{
    match client.call_with(request, on_behalf_of(ip)).await {
        Ok(reply) => format!("{reply:?}"),
        Err(error) => format!("{error:?}"),
    }
}

/// What one client sees of a verification: resends and guesses, at times around every limit.
async fn observe(server: &TestServer, ids: [(Uuid, Uuid); 3]) -> [Vec<String>; 3] {
    let client = server.client();
    let mut seen: [Vec<String>; 3] = Default::default();
    let steps = [1, 20, 38, 2, 59, 61, 900, 2, 120, 900, 60, 3600, 61, 30_000, 61];
    for (step, seconds) in steps.into_iter().enumerate() {
        server.clock.advance(Duration::from_secs(seconds));
        // The worker has the time for an attempt, in vain or not.
        tokio::time::sleep(Duration::from_millis(200)).await;
        for (number, ((registration, reset_id), seen)) in ids.iter().zip(&mut seen).enumerate() {
            let ip = format!("192.0.2.{number}");
            for id in [registration, reset_id] {
                seen.push(reply(&client, &ip, ResendCode { verification_id: *id }).await);
            }
            for _ in 0..step % 3 {
                seen.push(reply(&client, &ip, verify_email(*registration, NO_CODE)).await);
                seen.push(reply(&client, &ip, reset(*reset_id, NO_CODE)).await);
            }
        }
    }
    client.close().await;
    seen
}

/// Compares a known, an unknown and a pending address while the mail server gives this answer.
async fn compare(answer: Option<(&'static str, Action)>) -> Vec<String> {
    let sink = Sink::start(vec![]).await;
    let server = server_with_mail_at(sink.port, &[]).await;
    server.clock.freeze();
    let client = server.client();
    let id = server.register(&client, "known", "known@example.org").await.verification_id;
    let code = sink.emails(1).await[0].email().code().unwrap();
    client.call(verify_email(id, &code)).await.unwrap();
    server.register(&client, "pending", "pending@example.org").await;
    sink.emails(2).await;
    // Each address has the budget of a new day.
    server.clock.advance(Duration::from_secs(25 * 3600));
    sink.set_script(answer.into_iter().collect());
    let mut ids = Vec::new();
    for (number, address) in ["known", "unknown", "pending"].into_iter().enumerate() {
        let (ip, address) = (format!("192.0.2.{number}"), format!("{address}@example.org"));
        let name = format!("mallory{number}");
        let registered = client.call_with(register(&name, &address), on_behalf_of(&ip)).await;
        let requested = client.call_with(request_reset(&address), on_behalf_of(&ip)).await;
        ids.push((registered.unwrap().verification_id, requested.unwrap().verification_id));
    }
    let [known, unknown, pending] = observe(&server, [ids[0], ids[1], ids[2]]).await;
    assert_eq!(known, unknown, "{answer:?}");
    assert_eq!(pending, unknown, "{answer:?}");
    client.close().await;
    server.stop().await;
    known
}

/// Anyone could learn which addresses have accounts from the waits, guesses and lifetimes of codes,
/// above all while emails fail: they depend on the requests only, so the bytes are the same for
/// every address, and the same in every state of the mail server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_do_not_depend_on_the_address_or_the_mail_server() {
    let mut all = Vec::new();
    for answer in [
        None,
        Some(("MAIL", Action::Reply("451 4.7.1 over quota"))),
        Some(("RCPT", Action::Reply("550 5.7.1 not from you"))),
        Some(("RCPT", Action::Reply("550 5.1.1 no such user"))),
        Some(("GREETING", Action::Drop)),
    ] {
        all.push(compare(answer).await);
    }
    for seen in &all[1..] {
        assert_eq!(*seen, all[0]);
    }
    let seen = all[0].join("\n");
    for expected in ["CODE_EXPIRED", "INVALID_CODE", "RATE_LIMITED", "CodeResent"] {
        assert!(seen.contains(expected), "no reply {expected}: {seen}");
    }
}
