//! Faults at every port: a store and a mailer that do as the real ones do, but for the one call
//! that is to go wrong. What was truly done is noted, so that the model need not guess it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use user_server::domain::{
    AuditChain, AuditEntry, AuditFilter, AuditRecord, ChangeContext, ClaimedMail, Fault, Mail,
    OutboxClaim, SealResult, SendError, Timestamp, Unsealed, Username, *,
};
use uuid::Uuid;

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing was done, and the caller learns that it failed.
    NotDone,
    /// It was done, and the caller learns that it failed.
    RecordedOutcome,
    /// Nothing was done, and whoever waited for it has gone: a deadline, a crash.
    CutBefore,
    /// It was done, and whoever waited for it has gone.
    CutAfter,
}

/// What was truly done in a store.
#[derive(Debug, Clone)]
pub enum AuditEvent {
    Registered(Uuid),
    ResetRequested(Uuid),
    Guessed(Uuid),
    Refunded(Uuid),
    Resent,
    Activated {
        user: Uuid,
        session: Uuid,
    },
    Confirmed,
    /// A right code that led to nothing, since its address is somebody's.
    Wasted,
    Reset,
    Opened {
        session: Uuid,
    },
    UserUpdateResult {
        verification: Option<Uuid>,
    },
    Deleted,
    Moved,
    Stolen,
    EndedSessions(u32),
    EndedAll(u32),
    Claimed(ClaimedMail),
    Settled,
}

/// What is to go wrong, and what was done.
#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
    /// Told when whoever waits is to go.
    pub cut: Notify,
}

#[derive(Default)]
struct State {
    planned: Option<(u8, Wrong)>,
    fired: bool,
    events: Vec<AuditEvent>,
}

impl Faults {
    /// Lets the call after so many others go wrong.
    pub fn plan(&self, planned: Option<(u8, Wrong)>) {
        *self.state.lock().unwrap() = State { planned, ..State::default() };
    }

    /// What was done since, and whether something went wrong. Nothing does from here on.
    pub fn take(&self) -> (Vec<AuditEvent>, bool) {
        let state = std::mem::take(&mut *self.state.lock().unwrap());
        (state.events, state.fired)
    }

    fn next(&self) -> Option<Wrong> {
        let mut state = self.state.lock().unwrap();
        match state.planned {
            None => None,
            Some((0, wrong)) => {
                state.planned = None;
                state.fired = true;
                Some(wrong)
            }
            Some((calls, wrong)) => {
                state.planned = Some((calls - 1, wrong));
                None
            }
        }
    }

    /// A call, and what is to be noted of its result.
    async fn around<T>(
        &self,
        call: impl Future<Output = Result<T, Fault>>,
        note: impl FnOnce(&T) -> Option<AuditEvent>,
    ) -> Result<T, Fault> {
        let wrong = self.next();
        if wrong == Some(Wrong::CutBefore) {
            return self.go().await;
        }
        let failed = || Err(Fault::Unavailable("it was to go wrong".to_owned()));
        if wrong == Some(Wrong::NotDone) {
            return failed();
        }
        let done = call.await?;
        self.state.lock().unwrap().events.extend(note(&done));
        match wrong {
            Some(Wrong::CutAfter) => self.go().await,
            Some(Wrong::RecordedOutcome) => failed(),
            _ => Ok(done),
        }
    }

    async fn go<T>(&self) -> T {
        self.cut.notify_one();
        std::future::pending().await
    }
}

/// A store, one call of which goes wrong.
pub struct FaultyStore {
    pub real: Arc<dyn Store>,
    pub faults: Arc<Faults>,
}

macro_rules! faulty {
    ($($port:ident { $(fn $method:ident($($arg:ident: $type:ty),*) -> $result:ty $(, $note:expr)?;)* })*) => {$(
        #[async_trait]
        impl $port for FaultyStore {
            $(async fn $method(&self, $($arg: $type),*) -> Result<$result, Fault> {
                self.faults.around(self.real.$method($($arg),*), faulty!(@note $($note)?)).await
            })*
        }
    )*};
    (@note) => { |_| None };
    (@note $note:expr) => { $note };
}

faulty! {
    Accounts {
        fn username_taken(username_key: &str) -> bool;
        fn user_by_login(login: LoginKey<'_>) -> Option<UserRecord>;
        fn user(id: Uuid) -> Option<UserRecord>;
        fn register(registration: &Registration, act: &ChangeContext) -> (),
            |()| Some(AuditEvent::Registered(registration.verification_id));
        fn activate(guess: &Guess, username: Option<&Username>, user_id: Uuid, session: &NewSession, act: &ChangeContext) -> Activation,
            |done| match done {
                Activation::Active(_) => Some(AuditEvent::Activated { user: user_id, session: session.id }),
                Activation::EmailTaken => Some(AuditEvent::Wasted),
                Activation::UsernameTaken | Activation::Spent => None,
            };
        fn open_session(user: &UserRecord, session: &NewSession, stronger_hash: Option<&str>, charge: Adjustment, act: &ChangeContext) -> Option<EndedSessions>,
            |done| done.as_ref().map(|_| AuditEvent::Opened { session: session.id });
        fn change_user(change: &UserUpdate, act: &ChangeContext) -> UserUpdateResult,
            |done| matches!(done, UserUpdateResult::Updated(..))
                .then(|| AuditEvent::UserUpdateResult { verification: change.email.as_ref().map(|(id, _)| *id) });
        fn confirm_email(guess: &Guess, act: &ChangeContext) -> EmailConfirmation,
            |done| match done {
                EmailConfirmation::Changed(_) => Some(AuditEvent::Confirmed),
                EmailConfirmation::EmailTaken => Some(AuditEvent::Wasted),
                EmailConfirmation::Spent => None,
            };
        fn request_reset(request: &ResetRequest, act: &ChangeContext) -> (),
            |()| Some(AuditEvent::ResetRequested(request.verification_id));
        fn reset_owner(guess: &Guess) -> Option<UserRecord>;
        fn reset_password(guess: &Guess, password_hash: &str, act: &ChangeContext) -> Option<PasswordResetResult>,
            |done| done.as_ref().map(|_| AuditEvent::Reset);
        fn delete_user(user: &UserRecord, act: &ChangeContext) -> Option<EndedSessions>,
            |done| done.as_ref().map(|_| AuditEvent::Deleted);
    }
    Codes {
        fn charge_guess(verification_id: Uuid, purpose: Purpose, user_id: Option<Uuid>, most: u32, now: Timestamp) -> GuessCharge,
            |done| matches!(done, GuessCharge::Charged(_)).then_some(AuditEvent::Guessed(verification_id));
        fn refund_guess(guess: &Guess) -> (), |()| Some(AuditEvent::Refunded(guess.verification_id));
        fn resend(verification_id: Uuid, client: &str, after: Duration, kids: &[&str], act: &ChangeContext) -> ResendResult,
            |done| (*done == ResendResult::Queued).then_some(AuditEvent::Resent);
    }
    Sessions {
        fn rotate(session_id: Uuid, counter: u32, grace: Duration, kid: &str, act: &ChangeContext) -> Rotation,
            |done| match done {
                Rotation::Moved(_) => Some(AuditEvent::Moved),
                Rotation::Ended(_) => Some(AuditEvent::Stolen),
                Rotation::Repeated(_) | Rotation::Ahead | Rotation::Gone => None,
            };
        fn session_user(session_id: Uuid) -> Option<Uuid>;
        fn session_owner(session_id: Uuid) -> Option<UserRecord>;
        fn end_session(session_id: Uuid, act: &ChangeContext) -> EndedSessions, |done| Some(AuditEvent::EndedSessions(done.sessions));
        fn end_all_sessions(user_id: Uuid, act: &ChangeContext) -> EndedSessions, |done| Some(AuditEvent::EndedAll(done.sessions));
        fn revocations(since: Timestamp) -> Vec<Revocation>;
        fn changes(since: Timestamp) -> Vec<UserVersion>;
    }
    BudgetCounters {
        fn adjust(adjustment: Adjustment, refusal: Option<&AuditRecord>) -> Result<u8, Duration>;
    }
    Outbox {
        fn claim(budget: &MailPolicy, now: Timestamp) -> OutboxClaim,
            |done| match done {
                OutboxClaim::Mail(mail) => Some(AuditEvent::Claimed(mail.clone())),
                OutboxClaim::Nothing | OutboxClaim::Idle(_) => None,
            };
        fn settle(id: Uuid, now: Timestamp) -> (), |()| Some(AuditEvent::Settled);
        fn retry_at(id: Uuid, at: Timestamp) -> ();
    }
    Audit {
        fn record(note: &AuditRecord) -> ();
        fn seal(worker: Uuid, lease: Duration, most: u32, link: ChainUpdate, now: Timestamp) -> SealResult;
        fn unsealed() -> Unsealed;
        fn prune(before: Timestamp, most: u32, link: ChainUpdate) -> u64;
        fn chain() -> AuditChain;
        fn chained_after(seq: i64, most: u32) -> Vec<AuditEntry>;
        fn entries(filter: &AuditFilter) -> Vec<AuditEntry>;
    }
    Operators {
        fn account(id: Uuid) -> Option<Account>;
        fn accounts_after(username_key: &str, most: u32) -> Vec<Account>;
        fn disable(id: Uuid, act: &ChangeContext) -> Option<EndedSessions>;
        fn enable(id: Uuid, act: &ChangeContext) -> bool;
        fn import(users: &[NewUser], rehearse: bool) -> Vec<Imported>;
        fn export(after: Uuid, most: u32) -> Vec<StoredUser>;
        fn forget_sessions(act: &ChangeContext) -> u64;
    }
}

#[async_trait]
impl Housekeeping for FaultyStore {
    async fn sweep(&self, retention: &Retention, now: Timestamp) -> Result<u64, Fault> {
        self.real.sweep(retention, now).await
    }
    async fn hash_classes(&self) -> Result<Vec<String>, Fault> {
        self.real.hash_classes().await
    }
    async fn ping(&self) -> Result<(), Fault> {
        self.real.ping().await
    }
    async fn server_time(&self) -> Result<Option<Timestamp>, Fault> {
        self.real.server_time().await
    }
    async fn close(&self) {
        self.real.close().await;
    }
}

#[async_trait]
impl Vitals for FaultyStore {
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, Fault> {
        self.real.backlog(now).await
    }
    fn pools(&self) -> Vec<PoolUse> {
        self.real.pools()
    }
}

#[async_trait]
impl KeyRecords for FaultyStore {
    async fn retire_key(&self, kid: &str, act: &ChangeContext) -> Result<bool, Fault> {
        self.real.retire_key(kid, act).await
    }
    async fn retired_keys(&self) -> Result<Vec<RetiredKey>, Fault> {
        self.real.retired_keys().await
    }
    async fn key_uses(&self) -> Result<Vec<KeyUse>, Fault> {
        self.real.key_uses().await
    }
}

#[async_trait]
impl IdempotencyKeys for FaultyStore {
    async fn claim_key(&self, request: &KeyedRequest, now: Timestamp) -> Result<KeyState, Fault> {
        self.real.claim_key(request, now).await
    }
    async fn release_key(&self, claim: KeyClaim) -> Result<(), Fault> {
        self.real.release_key(claim).await
    }
}

#[async_trait]
impl Inspection for FaultyStore {
    async fn inspect(
        &self,
        bounds: &InspectionBounds,
        now: Timestamp,
    ) -> Result<Vec<Invariant>, Fault> {
        self.real.inspect(bounds, now).await
    }
}

/// What becomes of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Sent,
    NotNow,
    Never,
    /// It is sent, and the word of it is lost.
    SentUnsaid,
}

/// A mail that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub id: Uuid,
    pub to: String,
    pub code: Option<String>,
}

/// A post office that treats mails in turn as it is told to.
#[derive(Default)]
pub struct Post {
    state: Mutex<(Vec<Fate>, usize)>,
    sent: Mutex<Vec<Sent>>,
    unsent: Mutex<Vec<(Uuid, Fate)>>,
}

impl Post {
    pub fn plan(&self, fates: &[Fate]) {
        *self.state.lock().unwrap() = (fates.to_vec(), 0);
    }

    /// What was sent, and what was not, since the last look.
    pub fn take(&self) -> (Vec<Sent>, Vec<(Uuid, Fate)>) {
        (
            std::mem::take(&mut *self.sent.lock().unwrap()),
            std::mem::take(&mut *self.unsent.lock().unwrap()),
        )
    }
}

#[async_trait]
impl Mailer for Post {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let fate = {
            let mut state = self.state.lock().unwrap();
            let turn = state.1;
            state.1 += 1;
            state.0.get(turn % state.0.len().max(1)).copied().unwrap_or(Fate::Sent)
        };
        if matches!(fate, Fate::Sent | Fate::SentUnsaid) {
            let sent = Sent { id: mail.id, to: mail.to.clone(), code: mail.code.clone() };
            self.sent.lock().unwrap().push(sent);
        } else {
            self.unsent.lock().unwrap().push((mail.id, fate));
        }
        match fate {
            Fate::Sent => Ok(()),
            Fate::NotNow | Fate::SentUnsaid => Err(SendError::Temporary("not now".to_owned())),
            Fate::Never => Err(SendError::Permanent("never".to_owned())),
        }
    }
}
