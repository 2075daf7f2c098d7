//! What may come of each request, and what it changes where it is done.

use user_proto::*;
use user_server::domain::{Notice, Purpose};
use uuid::Uuid;

use super::budgets::Gate;
use super::faults::Effect;
use super::ledger::{Access, Look, SECOND, User as Account, Verification, Worth, nth_last};
use super::story::{ADDRESSES, Ago, Ask, Code, Login as Who, NAMES, PASSWORDS, Proof, Token};
use super::world::{Answered, At, World, worth_refusals};
use crate::support::NO_CODE;

/// A password that nobody has.
const NO_PASSWORD: &str = "nobody has this one";
/// A login that nobody can have.
const NOBODY: &str = "no such one";
/// How long the refresh token before the current one may come again.
const GRACE: i64 = 30 * SECOND;
/// Between two mails of one verification.
const RESEND_AFTER: i64 = 60 * SECOND;

/// Takes in the tokens of a reply that has them.
macro_rules! take_grant {
    ($world:expr, $reply:expr) => {{
        let (access, refresh) =
            ($reply.access_token.expose_str().unwrap(), $reply.refresh_token.expose_str().unwrap());
        let session = &$world.ledger.sessions[&$reply.session_id];
        assert_eq!(session.user, $reply.user_id);
        assert!(!session.ended, "tokens of a session that has ended");
        let now = $world.now();
        $world.ledger.grant($reply.session_id, access, refresh, now);
    }};
}

/// Whether an event of this form came.
macro_rules! came {
    ($answered:expr, $event:pat) => {
        $answered.events.iter().any(|event| matches!(event, $event))
    };
}

mod accounts;
mod codes;

impl World {
    pub async fn ask(&mut self, at: At, ask: Ask) {
        match ask {
            Ask::Register { name, address, password } => {
                self.register(at, name, address, password).await
            }
            Ask::VerifyEmail { code_of, code, name } => {
                self.verify_email(at, code_of, code, name).await
            }
            Ask::Resend { code_of } => self.resend(at, code_of).await,
            Ask::Login { login, password, times } => {
                for time in 0..times {
                    let wrong = at.wrong.filter(|_| time == 0);
                    self.login(At { wrong, ..at }, login, password).await;
                }
            }
            Ask::VerifyToken { access } => self.verify_token(at, access).await,
            Ask::Refresh { refresh } => self.refresh(at, refresh).await,
            Ask::Logout { token, all } => self.logout(at, token, all).await,
            Ask::User { access } => self.user(at, access).await,
            Ask::Update { access, name, address, password, proof } => {
                self.update(at, access, (name, address, password), proof).await;
            }
            Ask::Delete { access, proof } => self.delete(at, access, proof).await,
            Ask::RequestReset { address } => self.request_reset(at, address).await,
            Ask::Reset { code_of, code, password } => self.reset(at, code_of, code, password).await,
            Ask::ConfirmEmail { access, code_of, code } => {
                self.confirm_email(at, access, code_of, code).await
            }
            Ask::Ping => assert!(self.call(at, Ping {}).await.expect(true, &[]).is_some()),
        }
    }

    fn access(&self, ago: Ago) -> Option<Access> {
        self.ledger.pick_access(ago, None, self.now())
    }

    /// What somebody enters as the code of a verification.
    fn entered(&self, verification: &Verification, code: Code) -> String {
        let last = |of: &dyn Fn(Uuid) -> bool| {
            self.inbox.iter().rev().find(|(id, _)| of(*id)).map(|(_, text)| text.clone())
        };
        let text = match code {
            Code::Right => last(&|id| id == verification.id),
            Code::Of(ago) => self
                .inbox
                .iter()
                .rev()
                .filter(|(id, _)| *id != verification.id)
                .nth(ago)
                .map(|(_, text)| text.clone()),
            Code::Wrong => None,
        };
        text.unwrap_or_else(|| NO_CODE.to_owned())
    }

    /// Takes in what a guess cost.
    fn take_guesses<R>(&mut self, answered: &Answered<R>, id: Uuid) {
        for event in &answered.events {
            let change = match event {
                Effect::Guessed(of) if *of == id => 1,
                Effect::Refunded(of) if *of == id => -1,
                _ => continue,
            };
            if let Some(issued) = &mut self.ledger.verification_mut(id).issued {
                issued.guesses = issued
                    .guesses
                    .checked_add_signed(change)
                    .expect("no more guesses back than were paid");
            }
        }
    }

    /// A right code was sent to the address that it proves.
    fn assert_sent(&self, id: Uuid, text: &str) {
        let sent = self.inbox.iter().any(|(of, code)| *of == id && code == text);
        assert!(sent, "a code that was never sent has proved an address");
    }

    /// Takes in that a right code was spent in vain.
    fn take_waste<R>(
        &mut self,
        answered: &Answered<R>,
        of: &Verification,
        look: Look,
        taken: bool,
    ) {
        if came!(answered, Effect::Wasted) {
            assert!(
                taken && matches!(look, Look::Right | Look::Perhaps),
                "{look:?} was spent in vain"
            );
            self.ledger.verification_mut(of.id).open = false;
        }
    }

    fn account(&self, who: Who) -> (String, Option<(Uuid, Account)>) {
        let owned = |(id, user): (Uuid, &Account)| (id, user.clone());
        match who {
            Who::Name(name) => (NAMES[name].1.to_owned(), self.ledger.by_name(name).map(owned)),
            Who::Address(address) => {
                (ADDRESSES[address].key.to_owned(), self.ledger.by_address(address).map(owned))
            }
            Who::Nobody => (NOBODY.to_owned(), None),
        }
    }

    async fn login(&mut self, at: At, who: Who, proof: Proof) {
        let now = self.now();
        let (key, account) = self.account(who);
        let (password, right) = presented(proof, account.as_ref().map(|(_, user)| user.password));
        let gate = self.attempts.gate(&key, at.network, now);
        let login = match who {
            Who::Name(name) => NAMES[name].0,
            Who::Address(address) => ADDRESSES[address].shown,
            Who::Nobody => NOBODY,
        };
        let request =
            Login { login: login.into(), password: password.unwrap_or(NO_PASSWORD).into() };
        let answered = self.call(at, request).await;
        for event in &answered.events {
            if let Effect::Opened { session } = event {
                let (user, _) = account.as_ref().expect("a session of nobody");
                assert!(right && gate != Gate::Shut, "a session without its password");
                self.ledger.open(*session, *user, now);
            }
        }
        self.settle_attempt(&answered, &key, at, right);
        let (may, refusals) = after_proof(gate, right, &[]);
        if let Some(reply) = answered.expect(may, &refusals) {
            take_grant!(self, reply);
        }
    }

    /// Counts an attempt at a login as what it came to.
    fn settle_attempt<R>(&mut self, answered: &Answered<R>, key: &str, at: At, right: bool) {
        let now = self.now();
        match &answered.answer {
            _ if answered.wrong => self.attempts.unsure(key, at.network, now),
            Some(Err(ErrorCode::RATE_LIMITED)) | None => {}
            Some(_) if right => self.attempts.succeeded(key, at.network),
            Some(_) => self.attempts.failed(key, at.network, now),
        }
    }
}

/// A password as it is presented, and whether it is the right one.
fn presented(proof: Proof, stored: Option<usize>) -> (Option<&'static str>, bool) {
    match (proof, stored) {
        (Proof::Right, Some(stored)) => (Some(PASSWORDS[stored]), true),
        (Proof::Right, None) => (Some(PASSWORDS[0]), false),
        (Proof::Any(any), stored) => (Some(PASSWORDS[any]), stored == Some(any)),
        (Proof::None, _) => (None, false),
    }
}

/// The refusals that may come.
fn refusals(all: &[(bool, ErrorCode)]) -> Vec<ErrorCode> {
    all.iter().filter(|(may, _)| *may).map(|(_, code)| *code).collect()
}

/// What may come after a guess: whether it is done, and the refusals. `then` stands in the way of a
/// right one, first come first.
fn after_code(look: Look, then: &[(bool, ErrorCode)]) -> (bool, Vec<ErrorCode>) {
    let then = refusals(then).first().copied();
    match look {
        Look::Right => (then.is_none(), then.into_iter().collect()),
        Look::Wrong | Look::NotIssued => (false, vec![ErrorCode::INVALID_CODE]),
        Look::Closed => (false, vec![ErrorCode::CODE_EXPIRED]),
        Look::Dead => (false, vec![ErrorCode::INVALID_CODE, ErrorCode::CODE_EXPIRED]),
        Look::Perhaps => {
            let never = [ErrorCode::INVALID_CODE, ErrorCode::CODE_EXPIRED];
            (then.is_none(), never.into_iter().chain(then).collect())
        }
    }
}

/// What may come after a password was presented.
fn after_proof(gate: Gate, right: bool, then: &[(bool, ErrorCode)]) -> (bool, Vec<ErrorCode>) {
    let then = refusals(then).first().copied();
    let mut may = Vec::new();
    if gate != Gate::Open {
        may.push(ErrorCode::RATE_LIMITED);
    }
    if gate != Gate::Shut {
        may.extend(if right { then } else { Some(ErrorCode::INVALID_CREDENTIALS) });
    }
    (gate != Gate::Shut && right && then.is_none(), may)
}
