//! Budgets under concurrent requests. Each test also states who could turn the budget against whom,
//! and shows that they cannot.

use user_proto::client::Client;
use user_proto::{Common, ErrorCode, UpdateUser};

use crate::support::{
    NO_CODE, PASSWORD, Site, call_patiently, check, count, login, on_behalf_of, outcome,
    request_reset, together, update, update_with_password, verify_email,
};

const WRONG: &str = "tides rise at ten";
const OWNER: &str = "192.0.2.7";
const STRANGER: &str = "198.51.100.9";

fn at(ip: &str) -> Common<'static> {
    Common { deadline_ms: Some(30_000), ..on_behalf_of(ip) }
}

/// Sends 64 requests at once over the clients of a site, on behalf of an end user.
async fn sixty_four<M: user_proto::RequestMessage + Clone + Send + Sync + 'static>(
    clients: &[Client],
    ip: impl Fn(usize) -> String,
    request: impl Fn(usize) -> M,
) -> Vec<Result<(), ErrorCode>> {
    together((0..64).map(|number| {
        let (client, request) = (clients[number % clients.len()].clone(), request(number));
        let common = at(&ip(number));
        async move { call_patiently(&client, request, common).await.map(drop) }
    }))
    .await
}

/// An attempt is charged as a failure before it is checked. The owner, who logs in on many devices
/// at once, must not be refused for that.
pub async fn sixty_four_right_passwords_are_all_accepted(site: &Site) {
    let clients = site.clients();
    site.account(&clients[0], "ada").await;
    let results = sixty_four(&clients, |_| OWNER.to_owned(), |_| login("ada", PASSWORD)).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

/// A thief of an access token has ten guesses at the password. Strangers, who have no token, cannot
/// use up the attempts of the owner.
pub async fn sixty_four_wrong_current_passwords_are_ten(site: &Site) {
    let clients = site.clients();
    let access = site.account(&clients[0], "ada").await.access();
    let failures = sixty_four(&clients, |n| format!("203.0.113.{n}"), |_| login("ada", WRONG));
    assert_eq!(count(&failures.await, ErrorCode::INVALID_CREDENTIALS), 40);
    let right = UpdateUser { new_password: Some(PASSWORD.into()), ..owned(&access) };
    clients[0].call_with(right, at(OWNER)).await.unwrap();
    let wrong = |_| UpdateUser {
        new_password: Some(PASSWORD.into()),
        current_password: Some(WRONG.into()),
        ..owned(&access)
    };
    let results = sixty_four(&clients, |n| format!("192.0.2.{n}"), wrong).await;
    let tried = count(&results, ErrorCode::INVALID_CREDENTIALS);
    let refused = count(&results, ErrorCode::RATE_LIMITED);
    assert_eq!(tried, 10, "{results:?}");
    assert_eq!(tried + refused + count(&results, ErrorCode::SESSION_REVOKED), 64, "{results:?}");
    site.expect_revoked(&clients[0], &access).await;
    // The owner logs in again, on the known network, and has a session with its own attempts.
    let session =
        outcome(clients[0].call_with(login("ada@example.org", PASSWORD), at(OWNER)).await)
            .expect("the owner logs in");
    let access = session.access_token.expose_str().unwrap().to_owned();
    let right = UpdateUser { new_password: Some(PASSWORD.into()), ..owned(&access) };
    clients[0].call_with(right, at(OWNER)).await.unwrap();
    assert_eq!(check(&clients[0], &access).await, None);
}

/// A user cannot send more than five emails a day to addresses of strangers. Nobody else can use up
/// these changes, since each needs the password.
pub async fn sixty_four_changes_of_address_are_five(site: &Site) {
    let clients = site.clients();
    let access = site.account(&clients[0], "ada").await.access();
    let change = |number: usize| UpdateUser {
        email: Some(format!("stranger{number}@example.org").into()),
        ..owned(&access)
    };
    let results = sixty_four(&clients, |n| format!("192.0.2.{n}"), change).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5, "{results:?}");
    assert_eq!(count(&results, ErrorCode::RATE_LIMITED), 59, "{results:?}");
    let name = UpdateUser { username: Some("lovelace".into()), ..update(&access) };
    clients[0].call_with(name, at(OWNER)).await.unwrap();
}

/// A user cannot write an audit entry with each of many changes of name. A refused name, such as
/// one that is taken, is not a change.
pub async fn sixty_four_changes_of_username_are_five(site: &Site) {
    let clients = site.clients();
    let access = site.account(&clients[0], "ada").await.access();
    site.account(&clients[0], "grace").await;
    let name = |name: String| UpdateUser {
        username: Some(name.into()),
        access_token: access.clone().into(),
        ..update("")
    };
    let taken = sixty_four(&clients, |_| OWNER.to_owned(), |_| name("grace".to_owned())).await;
    assert_eq!(count(&taken, ErrorCode::USERNAME_TAKEN), 64, "{taken:?}");
    let results =
        sixty_four(&clients, |_| OWNER.to_owned(), |number| name(format!("ada{number}"))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5, "{results:?}");
    assert_eq!(count(&results, ErrorCode::RATE_LIMITED), 59, "{results:?}");
}

/// A stranger cannot guess at the codes of many registrations. Behind the address of a carrier that
/// the stranger shares, each code still gets one guess, which is enough for who has the email.
pub async fn sixty_four_wrong_codes_of_a_network_are_fifty(site: &Site) {
    let clients = site.clients();
    let mut ids = Vec::new();
    for number in 0..18 {
        let email = format!("user{number}@example.org");
        ids.push(site.registered_code(&clients[0], &format!("user{number}"), &email).await);
    }
    let guessed = &ids[..16];
    let wrong = |number: usize| {
        user_proto::VerifyEmail::new(guessed[number / 4].0, NO_CODE.to_owned().into())
    };
    let results = sixty_four(&clients, |_| STRANGER.to_owned(), wrong).await;
    let tried = count(&results, ErrorCode::INVALID_CODE);
    // Sixteen first guesses are allowed beyond the fifty, where they come last.
    assert!((50..=64).contains(&tried), "{tried}: {results:?}");
    assert_eq!(count(&results, ErrorCode::RATE_LIMITED), 64 - tried, "{results:?}");
    let again = |id, code: &str| {
        let (client, code) = (clients[0].clone(), code.to_owned());
        async move { outcome(client.call_with(verify_email(id, &code), at(STRANGER)).await).map(drop) }
    };
    let (id, code) = &ids[16];
    assert_eq!(again(*id, code).await, Ok(()), "the first guess is the right one");
    let (id, code) = &ids[17];
    assert_eq!(again(*id, NO_CODE).await, Err(ErrorCode::INVALID_CODE), "the first guess");
    assert_eq!(again(*id, code).await, Err(ErrorCode::RATE_LIMITED), "the second guess");
    clients[0].call_with(verify_email(*id, code), at(OWNER)).await.expect("another network");
}

/// A customer of a provider has many /64 networks, which share a budget. Another customer of the
/// provider, in another /48, has a budget of their own.
pub async fn a_site_has_sixteen_times_the_budget_of_a_network(site: &Site) {
    let clients = site.clients();
    let request = |number: usize| user_proto::RequestPasswordReset {
        email: format!("u{number}@example.org").into(),
    };
    for (network, allowed) in [("2001:db8:1:1", 80), ("2001:db8:2:", 320)] {
        let mut results = Vec::new();
        for round in 0..if allowed == 80 { 2 } else { 6 } {
            let ip = |number: usize| match allowed {
                // 256 networks of one /56.
                80 => format!("{network}{:02x}::{round}", number % 256),
                // As many of a /48, 64 in each /56.
                _ => format!("{network}{round:x}{number:02x}::1"),
            };
            results.extend(sixty_four(&clients, ip, request).await);
        }
        let accepted = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(accepted, allowed, "{network}");
    }
    let other = request_reset("ada@example.org");
    clients[0].call_with(other, at("2001:db8:3::1")).await.unwrap();
}

/// A gateway that names no end user shares one budget among them all, which is larger than that of
/// a network. It does not use up that of a network that is named.
pub async fn end_users_without_an_address_share_twenty_times_a_budget(site: &Site) {
    let clients = site.clients();
    let mut results = Vec::new();
    for _ in 0..7 {
        results.extend(
            together((0..64).map(|number| {
                let client = clients[number % clients.len()].clone();
                let common = Common { deadline_ms: Some(30_000), ..Common::default() };
                async move {
                    let request = request_reset("ada@example.org");
                    outcome(client.call_with(request, common).await).map(drop)
                }
            }))
            .await,
        );
    }
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(accepted, 400);
    clients[0].call_with(request_reset("ada@example.org"), at(OWNER)).await.unwrap();
}

/// An update with its own copy of the token, which another task can send.
fn owned(access_token: &str) -> UpdateUser<'static> {
    UpdateUser { access_token: access_token.to_owned().into(), ..update_with_password("") }
}
