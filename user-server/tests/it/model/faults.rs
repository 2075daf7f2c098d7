//! Faults of the store: one that behaves like the real one, except for one call that fails. The
//! effects of the calls are recorded, so that the model knows them exactly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use user_server::domain::*;
use uuid::Uuid;

use crate::support::PgProxy;

/// Fault of one call to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InjectedFault {
    /// The call has no effect and returns an error.
    FailBefore,
    /// The call takes effect and returns an error.
    FailAfter,
    /// The database makes the change, and its reply is lost. Like [`FailAfter`](Self::FailAfter) on
    /// an embedded database.
    LoseReply,
    /// The database receives nothing more, and never answers. Like [`FailBefore`](Self::FailBefore)
    /// on an embedded database.
    Silence,
    /// The call has no effect, and its caller is cancelled, as by a deadline or a crash.
    CancelBefore,
    /// The call takes effect, and its caller is cancelled.
    CancelAfter,
}

/// Number of calls before the one that fails, and its fault.
pub type PlannedFault = (u8, InjectedFault);

/// Effect of a call to the store, whether or not the caller learned of it.
#[derive(Debug, Clone)]
pub enum Effect {
    Registered(Uuid),
    ResetRequested(Uuid),
    GuessCharged(Uuid),
    GuessRefunded(Uuid),
    CodeResent,
    Activated {
        user: Uuid,
        session: Uuid,
    },
    EmailConfirmed,
    /// A right code was used up without effect, because its address is taken.
    CodeConsumed,
    PasswordReset,
    SessionOpened {
        session: Uuid,
    },
    Updated {
        verification: Option<Uuid>,
    },
    Deleted,
    Refreshed,
    /// A session ended because an old refresh token was presented.
    ReuseDetected,
    SessionEnded(u32),
    AllSessionsEnded(u32),
    EmailClaimed(ClaimedMail),
    EmailSettled,
}

/// The planned fault, and the effects recorded since it was planned.
#[derive(Default)]
pub struct FaultInjector {
    state: Mutex<State>,
    /// Notified when a fault cancels the caller.
    pub cancelled: Notify,
    /// Proxy through which the store reaches its database, if there is one.
    proxy: Option<Arc<PgProxy>>,
}

#[derive(Default)]
struct State {
    planned: Option<PlannedFault>,
    fired: bool,
    effects: Vec<Effect>,
}

impl FaultInjector {
    /// Creates an injector for a store that reaches its database through `proxy`, if given.
    pub fn new(proxy: Option<Arc<PgProxy>>) -> Self {
        Self { proxy, ..Self::default() }
    }

    /// Plans the fault of the next calls, and clears the recorded effects.
    pub fn plan(&self, planned: Option<PlannedFault>) {
        *self.state.lock().unwrap() = State { planned, ..State::default() };
    }

    /// Returns the effects recorded since the last plan and whether its fault occurred. Later calls
    /// do not fail.
    pub fn take(&self) -> (Vec<Effect>, bool) {
        let state = std::mem::take(&mut *self.state.lock().unwrap());
        (state.effects, state.fired)
    }

    /// Counts a call, and returns its fault.
    fn next(&self) -> Option<InjectedFault> {
        let mut state = self.state.lock().unwrap();
        match state.planned {
            None => None,
            Some((0, fault)) => {
                state.planned = None;
                state.fired = true;
                Some(fault)
            }
            Some((calls, fault)) => {
                state.planned = Some((calls - 1, fault));
                None
            }
        }
    }

    /// Makes a call with the fault that is planned for it, and records its effect. `audited` is the
    /// effect of a call that succeeds, and the kind of event that only such a call records.
    async fn around<T>(
        &self,
        call: impl Future<Output = Result<T, Fault>>,
        effect: impl FnOnce(&T) -> Option<Effect>,
        audited: Option<(AuditKind, Effect)>,
        store: &dyn Store,
    ) -> Result<T, Fault> {
        let fault = self.next();
        match (fault, &self.proxy, audited) {
            (Some(InjectedFault::CancelBefore), ..) => return self.cancel().await,
            (Some(InjectedFault::FailBefore | InjectedFault::Silence), None, _) => return failed(),
            (Some(InjectedFault::FailBefore), Some(proxy), _) => {
                proxy.cut_commit(true);
                let cut = call.await;
                proxy.cut_commit(false);
                return without_effect(cut);
            }
            (Some(InjectedFault::Silence), Some(proxy), _) => {
                proxy.silence_next_commit(true);
                let unanswered = call.await;
                proxy.silence_next_commit(false);
                proxy.close_silenced();
                return without_effect(unanswered);
            }
            (Some(InjectedFault::LoseReply), Some(proxy), Some((kind, audited))) => {
                let before = events(store, kind).await;
                proxy.lose_reply(1);
                let value = call.await;
                proxy.lose_reply(0);
                match &value {
                    Ok(value) => self.record(effect(value)),
                    Err(Fault::Unavailable(_)) if events(store, kind).await > before => {
                        self.record(Some(audited));
                    }
                    Err(fault) => assert!(matches!(fault, Fault::Unavailable(_)), "{fault}"),
                }
                return value.and_then(|_| failed());
            }
            _ => {}
        }
        let value = call.await?;
        self.record(effect(&value));
        match fault {
            Some(InjectedFault::CancelAfter) => self.cancel().await,
            Some(InjectedFault::FailAfter | InjectedFault::LoseReply) => failed(),
            _ => Ok(value),
        }
    }

    fn record(&self, effect: Option<Effect>) {
        self.state.lock().unwrap().effects.extend(effect);
    }

    async fn cancel<T>(&self) -> T {
        self.cancelled.notify_one();
        std::future::pending().await
    }
}

fn failed<T>() -> Result<T, Fault> {
    Err(Fault::Unavailable("injected fault".to_owned()))
}

/// Fails after a call that was not allowed to commit. One without a commit changes nothing.
fn without_effect<T>(result: Result<T, Fault>) -> Result<T, Fault> {
    assert!(matches!(result, Ok(_) | Err(Fault::Unavailable(_))), "it was not allowed to commit");
    result.and_then(|_| failed())
}

/// Counts the events of a kind in the audit log.
async fn events(store: &dyn Store, kind: AuditKind) -> usize {
    let kind = Some(kind.name().to_owned());
    let filter = AuditFilter { kind, limit: 10_000, ..AuditFilter::default() };
    store.entries(&filter).await.unwrap().len()
}

/// A store in which the planned call fails.
pub struct FaultyStore {
    pub real: Arc<dyn Store>,
    pub faults: Arc<FaultInjector>,
}

/// Gives a closure the type that [`FaultInjector::around`] expects.
fn effect<T, F: FnOnce(&T) -> Option<Effect>>(effect: F) -> F {
    effect
}

/// Returns the effect of a port method as a closure over its result. A method without an arm has no
/// effect that the model needs.
macro_rules! effect_of {
    (register $registration:ident $change:ident) => {{
        let id = $registration.verification_id;
        move |result| (*result == PendingResult::Stored).then_some(Effect::Registered(id))
    }};
    (activate $guess:ident $username:ident $user_id:ident $session:ident $known:ident $change:ident) => {{
        let (user, session) = ($user_id, $session.id);
        move |activation| match activation {
            Activation::Active(_) => Some(Effect::Activated { user, session }),
            Activation::EmailTaken => Some(Effect::CodeConsumed),
            Activation::UsernameTaken | Activation::Spent => None,
        }
    }};
    (open_session $login:ident $change:ident) => {{
        let session = $login.session.id;
        move |opened| {
            matches!(opened, SessionOpening::Opened(_)).then_some(Effect::SessionOpened { session })
        }
    }};
    (update_user $update:ident $change:ident) => {{
        let verification = $update.email.as_ref().map(|(id, _)| *id);
        move |result| {
            matches!(result, UserUpdateResult::Updated(..))
                .then_some(Effect::Updated { verification })
        }
    }};
    (confirm_email $($arg:ident)*) => {
        |confirmation| match confirmation {
            EmailConfirmation::Changed(_) => Some(Effect::EmailConfirmed),
            EmailConfirmation::EmailTaken => Some(Effect::CodeConsumed),
            EmailConfirmation::Spent => None,
        }
    };
    (request_reset $request:ident $change:ident) => {{
        let id = $request.verification_id;
        move |result| (*result == PendingResult::Stored).then_some(Effect::ResetRequested(id))
    }};
    (reset_password $($arg:ident)*) => {
        |reset| reset.as_ref().map(|_| Effect::PasswordReset)
    };
    (delete_user $($arg:ident)*) => {
        |deleted| deleted.as_ref().map(|_| Effect::Deleted)
    };
    (charge_guess $id:ident $($arg:ident)*) => {
        move |charge| matches!(charge, GuessCharge::Charged(_)).then_some(Effect::GuessCharged($id))
    };
    (refund_guess $guess:ident) => {{
        let id = $guess.verification_id;
        move |_| Some(Effect::GuessRefunded(id))
    }};
    (resend $($arg:ident)*) => {
        |result| (*result == ResendResult::Queued).then_some(Effect::CodeResent)
    };
    (refresh $($arg:ident)*) => {
        |refresh| matches!(refresh, SessionRefresh::Advanced(_)).then_some(Effect::Refreshed)
    };
    (end_session $id:ident $change:ident) => {{
        let reused = $change.event().kind == AuditKind::ReuseDetected;
        move |ended| {
            Some(if reused { Effect::ReuseDetected } else { Effect::SessionEnded(ended.sessions) })
        }
    }};
    (end_all_sessions $($arg:ident)*) => {
        |ended| Some(Effect::AllSessionsEnded(ended.sessions))
    };
    (claim $($arg:ident)*) => {
        |claim| match claim {
            OutboxClaim::Mail(mail) => Some(Effect::EmailClaimed(mail.clone())),
            OutboxClaim::Nothing | OutboxClaim::Idle(_) => None,
        }
    };
    (settle $($arg:ident)*) => {
        |_| Some(Effect::EmailSettled)
    };
    ($other:ident $($arg:ident)*) => {
        |_| None
    };
}

/// Returns the effect of a port method that succeeds, and the kind of event that it records then
/// and only then. `None` for other methods, and for a refresh, which is recorded once an hour.
macro_rules! audited_effect_of {
    (register $registration:ident $change:ident) => {
        Some((AuditKind::Registered, Effect::Registered($registration.verification_id)))
    };
    (open_session $login:ident $change:ident) => {
        Some((AuditKind::LoggedIn, Effect::SessionOpened { session: $login.session.id }))
    };
    (update_user $update:ident $change:ident) => {{
        let verification = $update.email.as_ref().map(|(id, _)| *id);
        Some((AuditKind::Updated, Effect::Updated { verification }))
    }};
    (request_reset $request:ident $change:ident) => {
        Some((AuditKind::ResetRequested, Effect::ResetRequested($request.verification_id)))
    };
    (reset_password $($arg:ident)*) => {
        Some((AuditKind::ResetDone, Effect::PasswordReset))
    };
    (delete_user $($arg:ident)*) => {
        Some((AuditKind::Deleted, Effect::Deleted))
    };
    (resend $($arg:ident)*) => {
        Some((AuditKind::CodeResent, Effect::CodeResent))
    };
    ($other:ident $($arg:ident)*) => {
        None
    };
}

/// Implements a port so that any of its calls may fail.
macro_rules! faulty {
    ($port:ident { $(fn $method:ident($($arg:ident: $type:ty),*) -> $result:ty;)* }) => {
        #[async_trait]
        impl $port for FaultyStore {
            $(async fn $method(&self, $($arg: $type),*) -> Result<$result, Fault> {
                let effect = effect::<$result, _>(effect_of!($method $($arg)*));
                let audited = audited_effect_of!($method $($arg)*);
                let call = self.real.$method($($arg),*);
                self.faults.around(call, effect, audited, &*self.real).await
            })*
        }
    };
}

/// Implements a port so that its calls never fail.
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
