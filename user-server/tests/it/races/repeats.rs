//! Concurrent requests under one idempotency key.

use user_proto::{Common, EmailVerified, ErrorCode, IdempotencyKey};

use crate::support::{
    PASSWORD, Site, check, code_of, count, login, long_deadline, outcome, register, together,
    verify_email,
};

fn keyed(number: u8) -> Common<'static> {
    Common { idempotency_key: Some(IdempotencyKey([number; 16])), ..long_deadline() }
}

/// A registration, an activation, a login and a refresh: each takes effect once, and all replies
/// are equal.
pub async fn sixteen_repeats_under_one_key_are_one_change(site: &Site) {
    let clients = site.clients();
    let ids = together((0..16).map(|number| {
        let client = clients[number % clients.len()].clone();
        async move {
            client
                .call_with(register("ada", "ada@example.org"), keyed(1))
                .await
                .unwrap()
                .verification_id
        }
    }))
    .await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let code = site.emails.code("ada@example.org", 1).await;
    let sessions: Vec<EmailVerified<'_>> = together((0..16).map(|number| {
        let (client, id, code) = (clients[number % clients.len()].clone(), ids[0], code.clone());
        async move { client.call_with(verify_email(id, &code), keyed(2)).await.unwrap() }
    }))
    .await;
    assert!(
        sessions.iter().all(|session| *session == sessions[0]),
        "one session, and equal replies"
    );
    assert_eq!(check(&clients[0], sessions[0].access_token.expose_str().unwrap()).await, None);
    let logins = together((0..16).map(|number| {
        let client = clients[number % clients.len()].clone();
        async move { client.call_with(login("ada", PASSWORD), keyed(3)).await.unwrap() }
    }))
    .await;
    assert!(logins.iter().all(|session| *session == logins[0]));
    let refresh_token = logins[0].refresh_token.expose_str().unwrap();
    let successors = together((0..16).map(|number| {
        let (client, token) = (clients[number % clients.len()].clone(), refresh_token.to_owned());
        async move {
            let refresh = user_proto::RefreshToken { refresh_token: token.as_str().into() };
            client.call_with(refresh, keyed(4)).await.unwrap()
        }
    }))
    .await;
    assert!(successors.iter().all(|session| *session == successors[0]));
    assert_eq!(site.emails.to("ada@example.org").len(), 1, "one email");
    let all =
        user_proto::Logout { token: successors[0].access_token.clone(), all_sessions: Some(()) };
    assert_eq!(
        clients[0].call(all).await.unwrap().sessions_ended,
        2,
        "the first session, and the session of the sixteen logins"
    );
}

/// Different requests: one takes effect, and the others conflict.
pub async fn sixteen_different_requests_under_one_key_are_one_change(site: &Site) {
    let clients = site.clients();
    let results: Vec<Result<_, ErrorCode>> = together((0..16).map(|number| {
        let client = clients[number % clients.len()].clone();
        let (name, email) = (format!("ada{number}"), format!("ada{number}@example.org"));
        async move { outcome(client.call_with(register(&name, &email), keyed(9)).await) }
    }))
    .await;
    assert_eq!(results.iter().flatten().count(), 1, "{results:?}");
    assert_eq!(count(&results, ErrorCode::IDEMPOTENCY_CONFLICT), 15, "{results:?}");
    // A refusal is not stored: the key stays free for the next request.
    for _ in 0..2 {
        let wrong = outcome(clients[0].call_with(login("unknown", PASSWORD), keyed(10)).await);
        assert_eq!(wrong.unwrap_err(), ErrorCode::INVALID_CREDENTIALS);
    }
    assert!(clients[0].call_with(register("grace", "grace@example.org"), keyed(10)).await.is_ok());
    assert_eq!(
        code_of(&clients[0], login("grace", PASSWORD)).await,
        ErrorCode::INVALID_CREDENTIALS,
        "not confirmed"
    );
}
