//! Values and helpers of the suite.

use std::sync::Arc;
use std::time::Duration;

pub use user_server::domain::Adjustment;
use user_server::domain::{
    Activation, ClaimedMail, Email, Guess, GuessCharge, MailKind, MailPolicy, NewSession,
    OutboxClaim, PendingLimit, Purpose, Registration, ResetRequest, Store, Timestamp, UserRecord,
    UserUpdate, Username,
};
use user_server::outbox;

pub use crate::support::{CODE_LIFE, Changes};
use uuid::Uuid;

pub type Db = Arc<dyn Store>;

pub const NOW: Timestamp = Timestamp(1_800_000_000_000);
/// Accepted keys; the first one signs.
pub const KIDS: &[&str] = &["kid-1"];
pub const GRACE: Duration = Duration::from_secs(30);
pub const HOUR: u64 = 3600;
pub const DAY: u64 = 24 * HOUR;

/// No limit of pending registrations and resets.
pub const UNLIMITED: PendingLimit = PendingLimit { max: u32::MAX, life: Duration::from_secs(DAY) };

/// Returns the time this many seconds after [`NOW`].
pub fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// Returns the published policy for emails.
pub fn policy() -> MailPolicy {
    outbox::policy(CODE_LIFE)
}

pub fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

pub fn session() -> NewSession {
    NewSession {
        id: Uuid::new_v4(),
        kid: KIDS[0].to_owned(),
        device: None,
        network: None,
        client: String::new(),
    }
}

/// Returns a registration of a name with an address by a client.
pub fn registration(name: &str, address: &str, client: &str) -> Registration {
    Registration {
        verification_id: Uuid::new_v4(),
        username: Username::parse(name).unwrap(),
        email: email(address),
        password_hash: format!("hash of {name}"),
        client: client.to_owned(),
        kid: KIDS[0].to_owned(),
        limit: UNLIMITED,
    }
}

/// Stores a registration, and returns the id of its verification.
pub async fn register(db: &Db, name: &str, address: &str, client: &str, now: Timestamp) -> Uuid {
    let registration = registration(name, address, client);
    db.register_at(&registration, now).await.unwrap();
    registration.verification_id
}

/// Requests a password reset, and returns the id of its verification.
pub async fn request_reset(db: &Db, address: &str, now: Timestamp) -> Uuid {
    request_reset_from(db, address, "client", now).await
}

/// Returns a request for a password reset by a client.
pub fn reset_request(address: &str, client: &str) -> ResetRequest {
    ResetRequest {
        verification_id: Uuid::new_v4(),
        email: email(address),
        client: client.to_owned(),
        kid: KIDS[0].to_owned(),
        known_for: outbox::KNOWN_FOR,
        limit: UNLIMITED,
    }
}

/// Requests a password reset for a client, and returns the id of its verification.
pub async fn request_reset_from(db: &Db, address: &str, client: &str, now: Timestamp) -> Uuid {
    let request = reset_request(address, client);
    db.request_reset_at(&request, now).await.unwrap();
    request.verification_id
}

/// Claims the next email that is due. Skips rows that produce no email.
pub async fn next_mail(db: &Db, now: Timestamp) -> Option<ClaimedMail> {
    loop {
        match db.claim(&policy(), now).await.unwrap() {
            OutboxClaim::Mail(mail) => return Some(mail),
            OutboxClaim::Nothing => {}
            OutboxClaim::Idle(_) => return None,
        }
    }
}

/// Claims and settles every email that is due, and returns them.
pub async fn send_all(db: &Db, now: Timestamp) -> Vec<ClaimedMail> {
    let mut sent = Vec::new();
    while let Some(mail) = next_mail(db, now).await {
        db.settle(mail.id, true, now).await.unwrap();
        sent.push(mail);
    }
    sent
}

/// Returns the id of the verification of the code in an email; `None` for a notice.
pub fn verifies(mail: &ClaimedMail) -> Option<Uuid> {
    match mail.kind {
        MailKind::Code { verification_id, .. } => Some(verification_id),
        MailKind::Notice(_) => None,
    }
}

/// Returns the generation of the code in an email.
pub fn generation(mail: &ClaimedMail) -> u32 {
    match mail.kind {
        MailKind::Code { generation, .. } => generation,
        MailKind::Notice(notice) => panic!("no code: {notice:?}"),
    }
}

/// Charges a guess at a code.
pub async fn charge(db: &Db, id: Uuid, purpose: Purpose, now: Timestamp) -> GuessCharge {
    db.charge_guess(id, purpose, None, outbox::GUESSES, Adjustment::nothing(), now).await.unwrap()
}

/// Returns `true` if even the right code has no effect.
pub async fn is_void(db: &Db, id: Uuid, purpose: Purpose, now: Timestamp) -> bool {
    match charge(db, id, purpose, now).await {
        GuessCharge::Charged(guess) => guess.expired || guess.dead,
        _ => true,
    }
}

/// Charges a guess at a code, and asserts that it is allowed.
pub async fn guess(db: &Db, id: Uuid, purpose: Purpose, now: Timestamp) -> Guess {
    match charge(db, id, purpose, now).await {
        GuessCharge::Charged(guess) => guess,
        other => panic!("{other:?}"),
    }
}

/// Creates an active user with the address `name@example.org`, and returns it with its first
/// session.
pub async fn user(db: &Db, name: &str) -> (UserRecord, NewSession) {
    let id = register(db, name, &format!("{name}@example.org"), "client", NOW).await;
    send_all(db, NOW).await;
    let guess = guess(db, id, Purpose::Registration, NOW).await;
    let session = session();
    match db.activate_at(&guess, None, Uuid::new_v4(), &session, NOW).await.unwrap() {
        Activation::Active(user) => (*user, session),
        _ => panic!("{name} cannot be created"),
    }
}

/// Opens another session of a user. Returns `false` if it was refused.
pub async fn open(db: &Db, user: &UserRecord, session: &NewSession, now: Timestamp) -> bool {
    db.open_session_at(user, session, None, Adjustment::nothing(), now).await.unwrap().is_some()
}

pub async fn is_live(db: &Db, session: &NewSession) -> bool {
    db.session(session.id).await.unwrap().is_some()
}

/// Returns an update without changes, to be filled in.
pub fn change(user: &UserRecord, session: &NewSession) -> UserUpdate {
    UserUpdate {
        user_id: user.id,
        session_id: session.id,
        credentials: Some(user.credentials),
        username: None,
        password_hash: None,
        email: None,
        client: "client".to_owned(),
        kid: KIDS[0].to_owned(),
        charge: Adjustment::nothing(),
        known: Vec::new(),
    }
}

/// Runs the tasks concurrently, and returns their results in order.
pub async fn together<T: Send + 'static>(
    tasks: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.map(tokio::spawn).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// Requests a change of address, and returns the id of its verification.
pub async fn change_address(db: &Db, change: UserUpdate, address: &str, now: Timestamp) -> Uuid {
    let id = Uuid::new_v4();
    super::changes::updated(db, UserUpdate { email: Some((id, email(address))), ..change }, now)
        .await;
    id
}
