//! Faults at every port: a store and a mailer that do as the real ones do, but for the one call
//! that is to go wrong. What was truly done is noted, so that the model need not guess it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use user_server::domain::*;
use uuid::Uuid;

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing was done, and the caller learns that it failed.
    NotDone,
    /// It was done, and the caller learns that it failed.
    Done,
    /// Nothing was done, and whoever waited for it has gone: a deadline, a crash.
    CutBefore,
    /// It was done, and whoever waited for it has gone.
    CutAfter,
}

/// What was truly done in a store.
#[derive(Debug, Clone)]
pub enum Effect {
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
    Changed {
        verification: Option<Uuid>,
    },
    Deleted,
    Refreshed,
    Stolen,
    Ended(u32),
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
    events: Vec<Effect>,
}

impl Faults {
    /// Lets the call after so many others go wrong.
    pub fn plan(&self, planned: Option<(u8, Wrong)>) {
        *self.state.lock().unwrap() = State { planned, ..State::default() };
    }

    /// What was done since, and whether something went wrong. Nothing does from here on.
    pub fn take(&self) -> (Vec<Effect>, bool) {
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
        note: impl FnOnce(&T) -> Option<Effect>,
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
            Some(Wrong::Done) => failed(),
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

/// Gives a closure the type that [`Faults::around`] expects.
fn effect<T, F: FnOnce(&T) -> Option<Effect>>(effect: F) -> F {
    effect
}

/// The effect of a port method, from its arguments and its result. A method without an arm has none.
macro_rules! effect_of {
    (register $registration:ident $change:ident) => {{
        let id = $registration.verification_id;
        move |_| Some(Effect::Registered(id))
    }};
    (activate $guess:ident $username:ident $user_id:ident $session:ident $change:ident) => {{
        let (user, session) = ($user_id, $session.id);
        move |activation| match activation {
            Activation::Active(_) => Some(Effect::Activated { user, session }),
            Activation::EmailTaken => Some(Effect::Wasted),
            Activation::UsernameTaken | Activation::Spent => None,
        }
    }};
    (open_session $login:ident $change:ident) => {{
        let session = $login.session.id;
        move |opened| opened.as_ref().map(|_| Effect::Opened { session })
    }};
    (update_user $update:ident $change:ident) => {{
        let verification = $update.email.as_ref().map(|(id, _)| *id);
        move |result| {
            matches!(result, UserUpdateResult::Updated(..))
                .then_some(Effect::Changed { verification })
        }
    }};
    (confirm_email $($arg:ident)*) => {
        |confirmation| match confirmation {
            EmailConfirmation::Changed(_) => Some(Effect::Confirmed),
            EmailConfirmation::EmailTaken => Some(Effect::Wasted),
            EmailConfirmation::Spent => None,
        }
    };
    (request_reset $request:ident $change:ident) => {{
        let id = $request.verification_id;
        move |_| Some(Effect::ResetRequested(id))
    }};
    (reset_password $($arg:ident)*) => {
        |reset| reset.as_ref().map(|_| Effect::Reset)
    };
    (delete_user $($arg:ident)*) => {
        |deleted| deleted.as_ref().map(|_| Effect::Deleted)
    };
    (charge_guess $id:ident $($arg:ident)*) => {
        move |charge| matches!(charge, GuessCharge::Charged(_)).then_some(Effect::Guessed($id))
    };
    (refund_guess $guess:ident) => {{
        let id = $guess.verification_id;
        move |_| Some(Effect::Refunded(id))
    }};
    (resend $($arg:ident)*) => {
        |result| (*result == ResendResult::Queued).then_some(Effect::Resent)
    };
    (refresh $($arg:ident)*) => {
        |session| session.as_ref().map(|_| Effect::Refreshed)
    };
    (end_session $id:ident $change:ident) => {{
        let stolen = $change.event().kind == AuditKind::ReuseDetected;
        move |ended| Some(if stolen { Effect::Stolen } else { Effect::Ended(ended.sessions) })
    }};
    (end_all_sessions $($arg:ident)*) => {
        |ended| Some(Effect::EndedAll(ended.sessions))
    };
    (claim $($arg:ident)*) => {
        |claim| match claim {
            OutboxClaim::Mail(mail) => Some(Effect::Claimed(mail.clone())),
            OutboxClaim::Nothing | OutboxClaim::Idle(_) => None,
        }
    };
    (settle $($arg:ident)*) => {
        |_| Some(Effect::Settled)
    };
    ($other:ident $($arg:ident)*) => {
        |_| None
    };
}

/// Implements a port so that any call of it may go wrong.
macro_rules! faulty {
    ($port:ident { $(fn $method:ident($($arg:ident: $type:ty),*) -> $result:ty;)* }) => {
        #[async_trait]
        impl $port for FaultyStore {
            $(async fn $method(&self, $($arg: $type),*) -> Result<$result, Fault> {
                let effect = effect::<$result, _>(effect_of!($method $($arg)*));
                self.faults.around(self.real.$method($($arg),*), effect).await
            })*
        }
    };
}

/// Implements a port of which no call goes wrong.
macro_rules! reliable {
    ($port:ident { $(fn $method:ident($($arg:ident: $type:ty),*) -> $result:ty;)* }) => {
        #[async_trait]
        impl $port for FaultyStore {
            $(async fn $method(&self, $($arg: $type),*) -> Result<$result, Fault> {
                self.real.$method($($arg),*).await
            })*
        }
    };
}

user_server::accounts_port!(faulty);
user_server::codes_port!(faulty);
user_server::sessions_port!(faulty);
user_server::revocation_log_port!(faulty);
user_server::budget_counters_port!(faulty);
user_server::outbox_port!(faulty);
user_server::audit_trail_port!(faulty);
user_server::operators_port!(faulty);
user_server::outbox_depth_port!(reliable);
user_server::housekeeping_port!(reliable);
user_server::key_records_port!(reliable);
user_server::idempotency_keys_port!(reliable);
user_server::inspection_port!(reliable);

#[async_trait]
impl ConnectionPools for FaultyStore {
    fn pools(&self) -> Vec<PoolUse> {
        self.real.pools()
    }
    async fn close(&self) {
        self.real.close().await;
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
