//! Concurrent logins, password changes and deletions of one account.

use std::time::Instant;

use user_proto::{Common, DeleteUser, ErrorCode, Logout, RefreshToken, UpdateUser};

use crate::support::{
    NEW_PASSWORD, PASSWORD, Site, call_patiently, check, code_of, count, login, long_deadline,
    on_behalf_of, outcome, together, update, update_with_password,
};

/// Returns the access token and the refresh token of a reply.
macro_rules! tokens {
    ($reply:expr) => {
        $reply.ok().map(|r| {
            (
                r.access_token.expose_str().unwrap().to_owned(),
                r.refresh_token.expose_str().unwrap().to_owned(),
            )
        })
    };
}

pub async fn sixty_four_wrong_passwords_are_five_attempts(site: &Site) {
    let clients = site.clients();
    site.account(&clients[0], "ada").await;
    for name in ["ada", "unknown"] {
        let began = Instant::now();
        let results =
            together(
                (0..64).map(|number| {
                    let client = clients[number % clients.len()].clone();
                    let common = Common { deadline_ms: Some(30_000), ..on_behalf_of("192.0.2.7") };
                    async move {
                        call_patiently(&client, login(name, "tides rise at ten"), common).await
                    }
                }),
            )
            .await;
        let tried = count(&results, ErrorCode::INVALID_CREDENTIALS);
        assert!(
            site.allowed_attempts(began.elapsed()).contains(&tried),
            "{name}: {tried} in {:?}",
            began.elapsed()
        );
        assert_eq!(count(&results, ErrorCode::RATE_LIMITED), 64 - tried, "{name}: {results:?}");
    }
}

pub async fn no_session_outlives_its_account(site: &Site) {
    let clients = site.clients();
    let ada = site.account(&clients[0], "ada").await;
    let mut sessions = vec![(ada.access(), ada.refresh())];
    for _ in 0..3 {
        let session = site.login(&clients[0], "ada").await;
        sessions.push(tokens!(Ok::<_, ()>(session)).unwrap());
    }
    let initial = sessions.clone();
    let results = together((0..40).map(|number| {
        let client = clients[number % clients.len()].clone();
        let (access, refresh) = sessions[number % sessions.len()].clone();
        async move {
            match number % 10 {
                0..=2 => tokens!(outcome(
                    client.call(RefreshToken { refresh_token: refresh.as_str().into() }).await
                )),
                3..=5 => {
                    tokens!(outcome(
                        client.call_with(login("ada", PASSWORD), long_deadline()).await
                    ))
                }
                6 => {
                    let renamed = UpdateUser {
                        username: Some(format!("ada{number}").into()),
                        ..update(&access)
                    };
                    let _ = outcome(client.call(renamed).await);
                    None
                }
                7 => {
                    let email_update = UpdateUser {
                        email: Some("new@example.org".into()),
                        ..update_with_password(&access)
                    };
                    let _ = outcome(client.call_with(email_update, long_deadline()).await);
                    None
                }
                8 => {
                    let _ = outcome(
                        client
                            .call(Logout { token: access.as_str().into(), all_sessions: None })
                            .await,
                    );
                    None
                }
                _ => {
                    let (access_token, current_password) =
                        (access.as_str().into(), PASSWORD.into());
                    let delete = DeleteUser { access_token, current_password };
                    let _ = outcome(client.call_with(delete, long_deadline()).await);
                    None
                }
            }
        }
    }))
    .await;
    // Regardless of the order, the account is deleted after this answer.
    if let Ok(last) = outcome(clients[0].call(login("ada@example.org", PASSWORD)).await) {
        let delete = DeleteUser {
            access_token: last.access_token.clone(),
            current_password: PASSWORD.into(),
        };
        clients[0].call(delete).await.unwrap();
    }
    for (access, refresh) in initial.into_iter().chain(results.into_iter().flatten()) {
        site.expect_revoked(&clients[1], &access).await;
        let refresh = RefreshToken { refresh_token: refresh.as_str().into() };
        assert_eq!(code_of(&clients[2], refresh).await, ErrorCode::SESSION_REVOKED);
    }
    let login = login("ada@example.org", PASSWORD);
    assert_eq!(code_of(&clients[3], login).await, ErrorCode::INVALID_CREDENTIALS);
}

pub async fn a_login_during_a_password_change_leaves_no_session(site: &Site) {
    let clients = site.clients();
    let ada = site.account(&clients[0], "ada").await;
    let change = tokio::spawn({
        let (client, access) = (clients[0].clone(), ada.access());
        async move {
            let change = UpdateUser {
                new_password: Some(NEW_PASSWORD.into()),
                ..update_with_password(&access)
            };
            client.call_with(change, long_deadline()).await.unwrap();
        }
    });
    let results =
        together((0..24).map(|number| {
            let client = clients[number % clients.len()].clone();
            async move {
                tokens!(outcome(client.call_with(login("ada", PASSWORD), long_deadline()).await))
            }
        }))
        .await;
    change.await.unwrap();
    for (access, refresh) in results.into_iter().flatten() {
        site.expect_revoked(&clients[1], &access).await;
        let refresh = RefreshToken { refresh_token: refresh.as_str().into() };
        assert_eq!(code_of(&clients[2], refresh).await, ErrorCode::SESSION_REVOKED);
    }
    assert_eq!(check(&clients[3], &ada.access()).await, None, "the session that changed it stays");
}
