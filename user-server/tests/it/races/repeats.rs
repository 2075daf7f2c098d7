//! Many requests under one idempotency key at once.

use user_proto::{Common, EmailVerified, ErrorCode, IdempotencyKey};

use crate::support::{
    PASSWORD, Site, check, code_of, count, login, long_deadline, outcome, register, together,
    verify_email,
};

fn keyed(number: u8) -> Common<'static> {
    Common { idempotency_key: Some(IdempotencyKey([number; 16])), ..long_deadline() }
}

/// A code's guesses, a name, a session, a rotation: each is spent once, and all learn the same.
pub async fn sixteen_repeats_under_one_key_are_one_change(site: &Site) {
    let crowd = site.clients();
    let ids = together((0..16).map(|number| {
        let client = crowd[number % crowd.len()].clone();
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
        let (client, id, code) = (crowd[number % crowd.len()].clone(), ids[0], code.clone());
        async move { client.call_with(verify_email(id, &code), keyed(2)).await.unwrap() }
    }))
    .await;
    assert!(
        sessions.iter().all(|session| *session == sessions[0]),
        "one session, told in the same words"
    );
    assert_eq!(check(&crowd[0], sessions[0].access_token.expose_str().unwrap()).await, None);
    let logins = together((0..16).map(|number| {
        let client = crowd[number % crowd.len()].clone();
        async move { client.call_with(login("ada", PASSWORD), keyed(3)).await.unwrap() }
    }))
    .await;
    assert!(logins.iter().all(|session| *session == logins[0]));
    let refresh_token = logins[0].refresh_token.expose_str().unwrap();
    let successors = together((0..16).map(|number| {
        let (client, token) = (crowd[number % crowd.len()].clone(), refresh_token.to_owned());
        async move {
            let refresh = user_proto::RefreshToken { refresh_token: token.as_str().into() };
            client.call_with(refresh, keyed(4)).await.unwrap()
        }
    }))
    .await;
    assert!(successors.iter().all(|session| *session == successors[0]));
    assert_eq!(site.emails.to("ada@example.org").len(), 1, "one mail");
    let all =
        user_proto::Logout { token: successors[0].access_token.clone(), all_sessions: Some(()) };
    assert_eq!(
        crowd[0].call(all).await.unwrap().sessions_ended,
        2,
        "the first session, and one of sixteen logins"
    );
}

/// Where they say different things, one is done and the others are told so.
pub async fn sixteen_different_requests_under_one_key_are_one_change(site: &Site) {
    let crowd = site.clients();
    let results: Vec<Result<_, ErrorCode>> = together((0..16).map(|number| {
        let client = crowd[number % crowd.len()].clone();
        let (name, email) = (format!("ada{number}"), format!("ada{number}@example.org"));
        async move { outcome(client.call_with(register(&name, &email), keyed(9)).await) }
    }))
    .await;
    assert_eq!(results.iter().flatten().count(), 1, "{results:?}");
    assert_eq!(count(&results, ErrorCode::IDEMPOTENCY_CONFLICT), 15, "{results:?}");
    // A refusal is not kept: the key is free for whatever comes next.
    for _ in 0..2 {
        let wrong = outcome(crowd[0].call_with(login("nobody", PASSWORD), keyed(10)).await);
        assert_eq!(wrong.unwrap_err(), ErrorCode::INVALID_CREDENTIALS);
    }
    assert!(crowd[0].call_with(register("grace", "grace@example.org"), keyed(10)).await.is_ok());
    assert_eq!(
        code_of(&crowd[0], login("grace", PASSWORD)).await,
        ErrorCode::INVALID_CREDENTIALS,
        "not confirmed"
    );
}
