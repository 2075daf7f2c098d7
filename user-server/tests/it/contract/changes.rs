//! Updates of a user, which are atomic.

use user_server::domain::{
    Activation, EmailConfirmation, EndedSessions, GuessCharge, LogPart, MailKind, Notice, Purpose,
    Subject, Timestamp, UserRecord, UserUpdate, UserUpdateResult, Username,
};
use uuid::Uuid;

use super::fixture::*;

/// Updates a user, and returns it with the sessions that ended.
pub async fn updated(db: &Db, change: UserUpdate, now: Timestamp) -> (UserRecord, EndedSessions) {
    match db.update_user_at(change, now).await.unwrap() {
        UserUpdateResult::Updated(user, ended) => (*user, ended),
        UserUpdateResult::UsernameTaken => panic!("the name is taken"),
        UserUpdateResult::TooMany(wait) => panic!("refused for {wait:?}"),
        UserUpdateResult::Gone => panic!("the account is gone"),
    }
}

fn renamed(change: UserUpdate, name: &str) -> UserUpdate {
    UserUpdate { username: Some(Username::parse(name).unwrap()), ..change }
}

fn with_password(change: UserUpdate) -> UserUpdate {
    UserUpdate { password_hash: Some(("new hash".to_owned(), Notice::PasswordChanged)), ..change }
}

pub async fn a_name_is_changed(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let change = UserUpdate { credentials: None, ..renamed(change(&ada, &first), "Lovelace") };
    let (after, ended) = updated(db, change, NOW).await;
    assert_eq!(
        (after.username.as_str(), after.username_key.as_str(), ended.sessions),
        ("Lovelace", "lovelace", 0)
    );
    assert!(
        !db.username_taken("ada").await.unwrap() && db.username_taken("lovelace").await.unwrap()
    );
    let own = renamed(self::change(&after, &first), "LOVELACE");
    assert_eq!(
        updated(db, own, NOW).await.0.username,
        "LOVELACE",
        "the user's own name in another case"
    );
    assert!(is_live(db, &first).await);
}

pub async fn a_taken_name_rejects_the_whole_change(db: &Db) {
    user(db, "grace").await;
    let (ada, first) = user(db, "ada").await;
    let second = session();
    assert!(open(db, &ada, &second, NOW).await);
    let id = Uuid::new_v4();
    let change = renamed(with_password(change(&ada, &first)), "GRACE");
    let change = UserUpdate { email: Some((id, email("new@example.org"))), ..change };
    assert!(matches!(
        db.update_user_at(change, NOW).await.unwrap(),
        UserUpdateResult::UsernameTaken
    ));
    let after = db.user(ada.id).await.unwrap().unwrap();
    assert_eq!(
        (after.username, after.password_hash, after.credentials),
        (ada.username, ada.password_hash, ada.credentials)
    );
    assert!(is_live(db, &second).await);
    assert!(send_all(db, at(60)).await.is_empty());
    assert!(is_void(db, id, Purpose::EmailChange, at(60)).await);
}

pub async fn a_new_password_ends_other_sessions_and_codes(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let second = session();
    assert!(open(db, &ada, &second, NOW).await);
    let reset = request_reset(db, "ada@example.org", NOW).await;
    let older = change_address(db, change(&ada, &first), "old@example.org", NOW).await;
    send_all(db, NOW).await;
    let newer = Uuid::new_v4();
    let change = UserUpdate {
        email: Some((newer, email("new@example.org"))),
        ..with_password(change(&ada, &first))
    };
    let (after, ended) = updated(db, change, at(1)).await;
    assert_eq!((ended.sessions, ended.subjects), (1, vec![Subject::Session(second.id)]));
    assert!(is_live(db, &first).await && !is_live(db, &second).await);
    assert_eq!(after.password_hash, "new hash");
    assert_ne!(after.credentials, ada.credentials);
    assert_eq!(db.revocations(&LogPart::since(at(1))).await.unwrap().entries.len(), 1);
    let emails = send_all(db, at(1)).await;
    assert!(
        emails.iter().any(|mail| mail.kind == MailKind::Notice(Notice::PasswordChanged)),
        "{emails:?}"
    );
    assert!(
        emails.iter().any(|mail| verifies(mail) == Some(newer)),
        "the code of the new address stays valid: {emails:?}"
    );
    assert!(is_void(db, reset, Purpose::PasswordReset, at(1)).await);
    assert!(is_void(db, older, Purpose::EmailChange, at(1)).await);
}

pub async fn a_stale_proof_of_the_password_is_refused(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    updated(db, with_password(change(&ada, &first)), NOW).await;
    let late = db.update_user_at(with_password(change(&ada, &first)), NOW).await.unwrap();
    assert!(matches!(late, UserUpdateResult::Gone));
    let (grace, her_session) = user(db, "grace").await;
    db.delete_user_at(&grace, NOW).await.unwrap().unwrap();
    let rename =
        UserUpdate { credentials: None, ..renamed(change(&grace, &her_session), "hopper") };
    assert!(matches!(db.update_user_at(rename, NOW).await.unwrap(), UserUpdateResult::Gone));
    assert!(!db.username_taken("hopper").await.unwrap());
}

pub async fn a_login_during_a_password_change_leaves_no_session(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let sessions: Vec<_> = (0..16).map(|_| session()).collect();
    let changing = tokio::spawn({
        let (db, change) = (db.clone(), with_password(change(&ada, &first)));
        async move { updated(&db, change, NOW).await }
    });
    together(sessions.clone().into_iter().map(|session| {
        let (db, ada) = (db.clone(), ada.clone());
        async move { open(&db, &ada, &session, NOW).await }
    }))
    .await;
    changing.await.unwrap();
    for session in &sessions {
        assert!(!is_live(db, session).await, "a session with the old password");
    }
    assert!(is_live(db, &first).await);
}

pub async fn a_new_address_takes_effect_with_its_code(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let reset = request_reset(db, "ada@example.org", NOW).await;
    let id = change_address(db, change(&ada, &first), "New@example.org", NOW).await;
    assert_eq!(db.user(ada.id).await.unwrap().unwrap().email, "ada@example.org");
    let emails = send_all(db, NOW).await;
    let to: Vec<_> = emails
        .iter()
        .filter(|mail| verifies(mail) == Some(id))
        .map(|mail| mail.recipient.mailbox.as_str())
        .collect();
    assert_eq!(to, ["New@example.org"]);
    let stranger = db
        .charge_guess(id, Purpose::EmailChange, Some(Uuid::new_v4()), 5, Adjustment::nothing(), NOW)
        .await
        .unwrap();
    assert!(matches!(stranger, GuessCharge::Unknown), "{stranger:?}");
    let GuessCharge::Charged(guess) = db
        .charge_guess(id, Purpose::EmailChange, Some(ada.id), 5, Adjustment::nothing(), NOW)
        .await
        .unwrap()
    else {
        panic!("the owner's guess")
    };
    assert_eq!(guess.user_id, Some(ada.id));
    let EmailConfirmation::Changed(after) = db.confirm_email_at(&guess, at(1)).await.unwrap()
    else {
        panic!("the right code")
    };
    assert_eq!(
        (after.email.as_str(), after.email_key.as_str()),
        ("New@example.org", "new@example.org")
    );
    assert!(matches!(db.confirm_email_at(&guess, at(1)).await.unwrap(), EmailConfirmation::Spent));
    assert!(is_void(db, reset, Purpose::PasswordReset, at(1)).await, "every open code is voided");
    let emails = send_all(db, at(1)).await;
    assert_eq!(
        (emails.len(), emails[0].recipient.mailbox.as_str()),
        (1, "ada@example.org"),
        "the old address is notified"
    );
    assert_eq!(emails[0].kind, MailKind::Notice(Notice::EmailChanged));
    assert!(is_live(db, &first).await);
}

pub async fn a_newer_change_voids_the_older(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let older = change_address(db, change(&ada, &first), "one@example.org", NOW).await;
    send_all(db, NOW).await;
    let older_guess = guess(db, older, Purpose::EmailChange, NOW).await;
    let newer = change_address(db, change(&ada, &first), "two@example.org", NOW).await;
    send_all(db, NOW).await;
    assert!(is_void(db, older, Purpose::EmailChange, NOW).await);
    assert!(matches!(
        db.confirm_email_at(&older_guess, NOW).await.unwrap(),
        EmailConfirmation::Spent
    ));
    let guess = guess(db, newer, Purpose::EmailChange, NOW).await;
    assert!(matches!(
        db.confirm_email_at(&guess, NOW).await.unwrap(),
        EmailConfirmation::Changed(_)
    ));
}

pub async fn a_new_address_can_be_taken_before_its_confirmation(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let id = change_address(db, change(&ada, &first), "new@example.org", NOW).await;
    let other = register(db, "grace", "new@example.org", "client", NOW).await;
    send_all(db, NOW).await;
    let moving = guess(db, id, Purpose::EmailChange, NOW).await;
    let registering = guess(db, other, Purpose::Registration, NOW).await;
    let activated =
        db.activate_at(&registering, None, Uuid::new_v4(), &session(), NOW).await.unwrap();
    assert!(matches!(activated, Activation::Active(_)));
    assert!(matches!(
        db.confirm_email_at(&moving, NOW).await.unwrap(),
        EmailConfirmation::EmailTaken
    ));
    assert!(matches!(db.confirm_email_at(&moving, NOW).await.unwrap(), EmailConfirmation::Spent));
    assert_eq!(db.user(ada.id).await.unwrap().unwrap().email, "ada@example.org");
}

pub async fn every_change_increments_the_version_and_is_listed(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    user(db, "grace").await;
    let changed = async |since| -> Vec<(Uuid, i64)> {
        db.changes(since)
            .await
            .unwrap()
            .iter()
            .map(|change| (change.user_id, change.version))
            .collect()
    };
    assert!(changed(NOW).await.is_empty(), "a new account is not a change");
    let (renamed, _) = updated(db, renamed(change(&ada, &first), "Lovelace"), at(10)).await;
    assert!(renamed.version > ada.version);
    assert_eq!(changed(at(10)).await, [(ada.id, renamed.version)]);
    let (both, _) = updated(db, with_password(change(&renamed, &first)), at(20)).await;
    assert!(both.version > renamed.version);
    assert!(
        db.open_session_at(&both, &session(), Some("stronger"), Adjustment::nothing(), at(30))
            .await
            .unwrap()
            .is_some()
    );
    let stronger = db.user(ada.id).await.unwrap().unwrap();
    assert!(stronger.version > both.version);
    assert_eq!(changed(at(30)).await, [(ada.id, stronger.version)]);
    assert!(changed(at(31)).await.is_empty());
}
