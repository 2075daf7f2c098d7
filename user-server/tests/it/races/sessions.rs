//! Concurrent uses of one session.

use std::collections::HashSet;

use user_proto::{ErrorCode, Logout, RefreshToken};

use crate::support::{Site, code_of, count, outcome, together};

fn refresh(token: &str) -> RefreshToken<'_> {
    RefreshToken { refresh_token: token.into() }
}

pub async fn sixty_four_refreshes_have_one_successor(site: &Site) {
    let clients = site.clients();
    let ada = site.account(&clients[0], "ada").await;
    let first = ada.refresh();
    let refreshed = together((0..64).map(|number| {
        let (client, token) = (clients[number % clients.len()].clone(), first.clone());
        async move { client.call(refresh(&token)).await.unwrap() }
    }))
    .await;
    let successors: HashSet<&str> =
        refreshed.iter().map(|refreshed| refreshed.refresh_token.expose_str().unwrap()).collect();
    assert_eq!(successors.len(), 1);
    let second = successors.into_iter().next().unwrap();
    assert_ne!(second, first);
    let accesses: HashSet<&str> =
        refreshed.iter().map(|refreshed| refreshed.access_token.expose_str().unwrap()).collect();
    assert_eq!(accesses.len(), 64, "every access token is different");

    let third = clients[0].call(refresh(second)).await.unwrap();
    assert_eq!(
        code_of(&clients[1], refresh(&first)).await,
        ErrorCode::SESSION_REVOKED,
        "the token before the previous one was copied"
    );
    for token in [&*first, second, third.refresh_token.expose_str().unwrap()] {
        assert_eq!(code_of(&clients[2], refresh(token)).await, ErrorCode::SESSION_REVOKED);
    }
    for access in accesses.into_iter().chain([third.access_token.expose_str().unwrap()]) {
        site.expect_revoked(&clients[3], access).await;
    }
}

pub async fn a_session_is_logged_out_once(site: &Site) {
    let clients = site.clients();
    let ada = site.account(&clients[0], "ada").await;
    let results = together((0..32).map(|number| {
        let client = clients[number % clients.len()].clone();
        let token = if number % 2 == 0 { ada.access() } else { ada.refresh() };
        async move {
            outcome(client.call(Logout { token: token.as_str().into(), all_sessions: None }).await)
        }
    }))
    .await;
    assert_eq!(results.iter().flatten().map(|ended| ended.sessions_ended).collect::<Vec<_>>(), [1]);
    assert_eq!(count(&results, ErrorCode::SESSION_REVOKED), 31, "{results:?}");
}
