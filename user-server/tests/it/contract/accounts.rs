//! Activation of users, opening of sessions, and deletion.

use user_server::domain::{
    Activation, LogPart, LoginKey, MailKind, Notice, Purpose, Subject, Timestamp, UserRecord,
    Username,
};
use uuid::Uuid;

use super::fixture::*;

/// Activates a registration with its code.
async fn activate(db: &Db, id: Uuid, name: Option<&str>, now: Timestamp) -> Activation {
    let guess = guess(db, id, Purpose::Registration, now).await;
    let name = name.map(|name| Username::parse(name).unwrap());
    db.activate_at(&guess, name.as_ref(), Uuid::new_v4(), &session(), now).await.unwrap()
}

fn username(activation: Activation) -> Result<String, &'static str> {
    match activation {
        Activation::Active(user) => Ok(user.username),
        Activation::UsernameTaken => Err("username taken"),
        Activation::EmailTaken => Err("email taken"),
        Activation::Spent => Err("spent"),
    }
}

async fn by_name(db: &Db, key: &str) -> Option<UserRecord> {
    db.user_by_login(LoginKey::Username(key)).await.unwrap()
}

pub async fn a_code_creates_a_user_and_a_session(db: &Db) {
    let id = register(db, "Ada", "Ada@Example.org", "client", NOW).await;
    assert!(!db.username_taken("ada").await.unwrap(), "a pending registration reserves nothing");
    assert!(by_name(db, "ada").await.is_none(), "a pending registration is not a user");
    assert_eq!(send_all(db, at(1)).await.len(), 1);
    let guess = guess(db, id, Purpose::Registration, at(2)).await;
    assert!(!guess.dead);
    let (user_id, session) = (Uuid::new_v4(), session());
    let Activation::Active(user) =
        db.activate_at(&guess, None, user_id, &session, at(3)).await.unwrap()
    else {
        panic!("the right code of a free name")
    };
    assert_eq!(
        (user.id, user.username.as_str(), user.email.as_str()),
        (user_id, "Ada", "Ada@Example.org")
    );
    assert_eq!(
        (user.password_hash.as_str(), user.created_at, user.disabled),
        ("hash of Ada", at(3), false)
    );
    assert_eq!(by_name(db, "ada").await.unwrap().id, user_id);
    assert_eq!(
        db.user_by_login(LoginKey::Email("ada@example.org")).await.unwrap().unwrap().id,
        user_id
    );
    assert_eq!(db.user(user_id).await.unwrap().unwrap().email_key, "ada@example.org");
    assert!(db.username_taken("ada").await.unwrap());
    assert_eq!(db.session(session.id).await.unwrap().map(|session| session.user_id), Some(user_id));
    assert!(is_void(db, id, Purpose::Registration, at(4)).await);
}

pub async fn another_name_can_be_chosen_with_the_code(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    send_all(db, NOW).await;
    assert_eq!(username(activate(db, id, Some("Lovelace"), NOW).await), Ok("Lovelace".to_owned()));
    assert!(by_name(db, "ada").await.is_none());
    assert!(by_name(db, "lovelace").await.is_some());
}

pub async fn a_taken_name_leaves_the_code_valid(db: &Db) {
    let id = register(db, "ADA", "other@example.org", "client", NOW).await;
    user(db, "ada").await;
    assert_eq!(username(activate(db, id, None, NOW).await), Err("username taken"));
    assert!(db.user_by_login(LoginKey::Email("other@example.org")).await.unwrap().is_none());
    assert_eq!(username(activate(db, id, Some("grace"), NOW).await), Ok("grace".to_owned()));
}

pub async fn a_taken_address_uses_up_the_code(db: &Db) {
    let first = register(db, "ada", "ada@example.org", "client", NOW).await;
    let second = register(db, "grace", "ADA@example.org", "client", NOW).await;
    send_all(db, NOW).await;
    send_all(db, at(60)).await;
    let guess = guess(db, second, Purpose::Registration, at(60)).await;
    assert_eq!(username(activate(db, first, None, at(60)).await), Ok("ada".to_owned()));
    let again = async || {
        username(db.activate_at(&guess, None, Uuid::new_v4(), &session(), at(60)).await.unwrap())
    };
    assert_eq!(again().await, Err("email taken"));
    assert_eq!(again().await, Err("spent"));
    assert!(!db.username_taken("grace").await.unwrap());
}

pub async fn one_code_creates_one_user(db: &Db) {
    let id = register(db, "ada", "ada@example.org", "client", NOW).await;
    send_all(db, NOW).await;
    let guess = guess(db, id, Purpose::Registration, NOW).await;
    let results = together((0..16).map(|_| {
        let (db, guess) = (db.clone(), guess.clone());
        async move {
            username(db.activate_at(&guess, None, Uuid::new_v4(), &session(), NOW).await.unwrap())
        }
    }))
    .await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert_eq!(results.iter().filter(|result| **result == Err("spent")).count(), 15, "{results:?}");
}

pub async fn one_name_belongs_to_one_user(db: &Db) {
    let mut ids = Vec::new();
    for number in 0..16 {
        ids.push(register(db, "ada", &format!("ada{number}@example.org"), "client", NOW).await);
    }
    assert_eq!(send_all(db, NOW).await.len(), 16);
    let results = together(ids.into_iter().map(|id| {
        let db = db.clone();
        async move { username(activate(&db, id, None, NOW).await) }
    }))
    .await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert_eq!(
        results.iter().filter(|result| **result == Err("username taken")).count(),
        15,
        "{results:?}"
    );
}

pub async fn a_session_needs_the_current_password(db: &Db) {
    let (mut ada, _) = user(db, "ada").await;
    let good = session();
    assert!(open(db, &ada, &good, NOW).await);
    assert!(is_live(db, &good).await);
    ada.credentials += 1;
    let stale = session();
    assert!(!open(db, &ada, &stale, NOW).await);
    assert!(!is_live(db, &stale).await);
}

pub async fn a_stronger_hash_keeps_the_password(db: &Db) {
    let (ada, _) = user(db, "ada").await;
    assert!(
        db.open_session_at(&ada, &session(), Some("stronger"), Adjustment::nothing(), NOW)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(db.user(ada.id).await.unwrap().unwrap().password_hash, "stronger");
    assert!(open(db, &ada, &session(), NOW).await, "the proof of the password is still valid");
}

pub async fn the_least_recently_used_session_is_replaced(db: &Db) {
    const MAX_SESSIONS: u64 = 100;
    let (ada, first) = user(db, "ada").await;
    let second = session();
    assert!(open(db, &ada, &second, at(1)).await);
    for number in 2..MAX_SESSIONS {
        let surplus = db
            .open_session_at(&ada, &session(), None, Adjustment::nothing(), at(number))
            .await
            .unwrap()
            .unwrap();
        assert!(surplus.subjects.is_empty(), "session {number}");
    }
    db.rotate_at(first.id, 0, "kid-1", at(MAX_SESSIONS)).await.unwrap();
    // The clock of another node may be behind: the new session is still not the one that ends.
    let newest = session();
    let surplus =
        db.open_session_at(&ada, &newest, None, Adjustment::nothing(), NOW).await.unwrap().unwrap();
    assert_eq!((surplus.sessions, surplus.subjects), (1, vec![Subject::Session(second.id)]));
    assert!(is_live(db, &newest).await && is_live(db, &first).await && !is_live(db, &second).await);
    let log = db.revocations(&LogPart::since(NOW)).await.unwrap().entries;
    assert!(log.iter().any(|entry| entry.subject == Subject::Session(second.id)), "{log:?}");
    user(db, "bob").await;
    let list = async |limit| {
        let sessions = db.sessions_of(ada.id, limit).await.unwrap();
        sessions.into_iter().map(|session| session.id).collect::<Vec<_>>()
    };
    let all = list(500).await;
    assert_eq!((all.len(), all.first(), all.last()), (100, Some(&first.id), Some(&newest.id)));
    assert_eq!(list(2).await, all[..2], "the most recently used ones");
}

pub async fn deletion_leaves_nothing(db: &Db) {
    let (ada, session) = user(db, "ada").await;
    let reset = request_reset(db, "ada@example.org", NOW).await;
    send_all(db, NOW).await;
    let stale = UserRecord { credentials: ada.credentials + 1, ..ada.clone() };
    assert!(db.delete_user_at(&stale, at(1)).await.unwrap().is_none());
    let ended = db.delete_user_at(&ada, at(1)).await.unwrap().unwrap();
    assert_eq!(ended.sessions, 1);
    assert_eq!(ended.subjects, [Subject::Session(session.id), Subject::User(ada.id)]);
    let log: Vec<Subject> = db
        .revocations(&LogPart::since(at(1)))
        .await
        .unwrap()
        .entries
        .iter()
        .map(|entry| entry.subject)
        .collect();
    assert!(ended.subjects.iter().all(|subject| log.contains(subject)), "{log:?}");
    assert!(db.user(ada.id).await.unwrap().is_none() && by_name(db, "ada").await.is_none());
    assert!(!is_live(db, &session).await);
    assert!(is_void(db, reset, Purpose::PasswordReset, at(1)).await);
    let emails = send_all(db, at(1)).await;
    assert_eq!((emails.len(), emails[0].recipient.mailbox.as_str()), (1, "ada@example.org"));
    assert_eq!(emails[0].kind, MailKind::Notice(Notice::Deleted));
    assert!(db.delete_user_at(&ada, at(1)).await.unwrap().is_none());
    let id = register(db, "ada", "ada@example.org", "client", at(60)).await;
    send_all(db, at(60)).await;
    assert_eq!(
        username(activate(db, id, None, at(60)).await),
        Ok("ada".to_owned()),
        "name and address are free again"
    );
}
