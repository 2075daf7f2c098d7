//! Concurrent guesses, registrations and resends.

use user_proto::{EmailVerified, ErrorCode, ResendCode, VerifyEmail};

use crate::support::{
    MAIL_PAUSE, NO_CODE, Site, TestServer, check, code_of, count, login, long_deadline, outcome,
    register, request_reset, reset, together, verify_email,
};

type Verified = Result<EmailVerified<'static>, ErrorCode>;

pub async fn sixty_four_right_codes_are_one_success(site: &Site) {
    let clients = site.clients();
    let (id, code) = site.registered_code(&clients[0], "ada", "ada@example.org").await;
    let results: Vec<Verified> = together((0..64).map(|number| {
        let (client, code) = (clients[number % clients.len()].clone(), code.clone());
        async move { outcome(client.call(verify_email(id, &code)).await) }
    }))
    .await;
    let sessions: Vec<_> = results.iter().flatten().collect();
    assert_eq!(sessions.len(), 1, "{results:?}");
    assert_eq!(count(&results, ErrorCode::CODE_EXPIRED), 63, "{results:?}");
    assert_eq!(check(&clients[0], sessions[0].access_token.expose_str().unwrap()).await, None);
}

pub async fn sixty_four_wrong_codes_are_five_guesses(site: &Site) {
    let clients = site.clients();
    let (id, code) = site.registered_code(&clients[0], "ada", "ada@example.org").await;
    let results: Vec<Verified> = together((0..64).map(|number| {
        let client = clients[number % clients.len()].clone();
        async move { outcome(client.call(verify_email(id, NO_CODE)).await) }
    }))
    .await;
    assert_eq!(count(&results, ErrorCode::INVALID_CODE), 5, "{results:?}");
    assert_eq!(count(&results, ErrorCode::CODE_EXPIRED), 59, "{results:?}");
    assert_eq!(code_of(&clients[0], verify_email(id, &code)).await, ErrorCode::CODE_EXPIRED);
}

pub async fn sixty_four_registrations_of_one_name_create_one_user(site: &Site) {
    let clients = site.clients();
    let address = |number: usize| format!("ada{number}@example.org");
    let ids = together((0..64).map(|number| {
        let client = clients[number % clients.len()].clone();
        async move {
            client
                .call_with(register("ada", &address(number)), long_deadline())
                .await
                .unwrap()
                .verification_id
        }
    }))
    .await;
    let mut codes = Vec::new();
    for (number, id) in ids.into_iter().enumerate() {
        codes.push((id, site.emails.code(&address(number), 1).await));
    }
    let results: Vec<Verified> =
        together(codes.clone().into_iter().enumerate().map(|(number, (id, code))| {
            let client = clients[number % clients.len()].clone();
            async move { outcome(client.call(verify_email(id, &code)).await) }
        }))
        .await;
    assert_eq!(results.iter().flatten().count(), 1, "{results:?}");
    assert_eq!(count(&results, ErrorCode::USERNAME_TAKEN), 63, "{results:?}");
    let renamed: Vec<Verified> =
        together(codes.into_iter().enumerate().map(|(number, (id, code))| {
            let client = clients[number % clients.len()].clone();
            async move {
                let name = format!("ada{number}");
                outcome(
                    client
                        .call(VerifyEmail {
                            username: Some(name.into()),
                            ..verify_email(id, &code)
                        })
                        .await,
                )
            }
        }))
        .await;
    assert_eq!(renamed.iter().flatten().count(), 63, "the codes are still valid: {renamed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_resends_are_one_email() {
    let server = TestServer::start().await;
    let clients = server.clients();
    let (id, code) = server.registered_code(&clients[0], "ada", "ada@example.org").await;
    server.clock.advance(MAIL_PAUSE);
    let results = together((0..16).map(|number| {
        let client = clients[number % clients.len()].clone();
        async move { outcome(client.call(ResendCode { verification_id: id }).await) }
    }))
    .await;
    // The email may be sent during the resends; later ones are refused until the wait is over.
    let (sent, late) = (results.iter().flatten().count(), count(&results, ErrorCode::RATE_LIMITED));
    assert!(sent >= 1 && sent + late == 16, "{results:?}");
    assert_eq!(server.emails.code("ada@example.org", 2).await, code);
    server.advance_outbox(&clients[0], MAIL_PAUSE).await;
    server.registered_code(&clients[0], "last", "last@example.org").await;
    assert_eq!(server.emails.to("ada@example.org").len(), 2);
    server.stop().await;
}

pub async fn many_right_codes_reset_a_password_once(site: &Site) {
    let clients = site.clients();
    let ada = site.account(&clients[0], "ada").await;
    let id = clients[0].call(request_reset(&ada.email)).await.unwrap().verification_id;
    let code = site.emails.code(&ada.email, 2).await;
    let results = together((0..16).map(|number| {
        let (client, code) = (clients[number % clients.len()].clone(), code.clone());
        async move { outcome(client.call_with(reset(id, &code), long_deadline()).await) }
    }))
    .await;
    assert_eq!(results.iter().flatten().count(), 1, "{results:?}");
    assert_eq!(count(&results, ErrorCode::CODE_EXPIRED), 15, "{results:?}");
    let old = login("ada", crate::support::PASSWORD);
    assert_eq!(code_of(&clients[0], old).await, ErrorCode::INVALID_CREDENTIALS);
    assert!(clients[0].call(login("ada", crate::support::NEW_PASSWORD)).await.is_ok());
}
