//! What the requests have in common: the values that they send, the outcomes that the model allows,
//! and the effects that they leave in the ledger.

use user_proto::{ErrorCode, RequestMessage, Secret, TokenReply};
use uuid::Uuid;

use super::budgets::Admission;
use super::faults::Effect;
use super::ledger::{AccessToken, DAY, GuessVerdict, HOUR, TokenState, Verification};
use super::values::{CodeChoice, NthLast, PASSWORDS, PasswordChoice};
use super::world::{CallContext, CallResult, World};
use crate::support::NO_CODE;

/// Returns `true` if a call had an effect that matches the pattern.
macro_rules! has_effect {
    ($result:expr, $effect:pat) => {
        $result.effects.iter().any(|effect| matches!(effect, $effect))
    };
}
pub(super) use has_effect;

impl World {
    pub fn select_access_token(&self, access: NthLast) -> Option<AccessToken> {
        self.ledger.select_access_token(access, None, self.now())
    }

    /// Sends a request that reads and needs nothing but a valid access token. Returns the token and
    /// the reply, if there is one.
    pub async fn read<R: RequestMessage>(
        &mut self,
        call: CallContext,
        access: NthLast,
        request: impl FnOnce(Secret<'static>) -> R,
    ) -> Option<(AccessToken, R::Reply)> {
        let token = self.select_access_token(access)?;
        let state = self.ledger.token_state(&token, self.now());
        let result = self.call(call, request(token.text.clone().into())).await;
        let reply = result.expect(state == TokenState::Valid, refusals_of_token(state))?;
        Some((token, reply))
    }

    /// Returns the text that a user enters as the code of a verification.
    pub fn entered_code(&self, verification: &Verification, code: CodeChoice) -> String {
        let text = match code {
            CodeChoice::Right => self.inbox.iter().rfind(|(id, _)| *id == verification.id),
            CodeChoice::OfAnother(nth_last) => {
                self.inbox.iter().rev().filter(|(id, _)| *id != verification.id).nth(nth_last)
            }
            CodeChoice::Wrong => None,
        };
        text.map_or_else(|| NO_CODE.to_owned(), |(_, text)| text.clone())
    }

    /// Asserts that a code was emailed to the address that it proves.
    pub fn assert_emailed(&self, id: Uuid, text: &str) {
        let emailed = self.inbox.iter().any(|(of, code)| *of == id && code == text);
        assert!(emailed, "a code that was never sent proved an address");
    }

    /// Records the guesses that a call charged or refunded.
    pub fn record_guesses<R>(&mut self, result: &CallResult<R>, id: Uuid) {
        for effect in &result.effects {
            let change = match effect {
                Effect::GuessCharged(of) if *of == id => 1,
                Effect::GuessRefunded(of) if *of == id => -1,
                _ => continue,
            };
            let guesses = &mut self.ledger.verification_mut(id).guesses;
            *guesses =
                guesses.checked_add_signed(change).expect("more guesses refunded than charged");
        }
    }

    /// Closes a verification after its right code was used up because the address is taken.
    pub fn record_consumed_code<R>(
        &mut self,
        result: &CallResult<R>,
        verification: &Verification,
        verdict: GuessVerdict,
        taken: bool,
    ) {
        if has_effect!(result, Effect::CodeConsumed) {
            assert!(taken && verdict.may_succeed(), "{verdict:?} was consumed without effect");
            self.ledger.verification_mut(verification.id).open = false;
        }
    }

    /// Records the tokens of a reply.
    pub fn record_tokens<const TYPE: u8>(&mut self, reply: &TokenReply<'_, TYPE>) {
        let session = &self.ledger.sessions[&reply.session_id];
        assert_eq!(session.user, reply.user_id);
        assert!(!session.ended, "tokens of a session that has ended");
        let access = reply.access_token.expose_str().unwrap();
        let refresh = reply.refresh_token.expose_str().unwrap();
        let now = self.now();
        self.ledger.record_tokens(reply.session_id, access, refresh, now);
    }

    /// Counts a login attempt by its outcome.
    pub fn record_attempt<R>(
        &mut self,
        result: &CallResult<R>,
        key: &str,
        call: CallContext,
        right: bool,
    ) {
        let now = self.now();
        match &result.outcome {
            _ if result.faulted => self.attempts.unsure(key, call.network, now),
            Some(Err(ErrorCode::RATE_LIMITED)) | None => {}
            Some(_) if right => self.attempts.succeeded(key, call.network),
            Some(_) => self.attempts.failed(key, call.network, now),
        }
    }

    /// Returns the decision on an attempt to enter the current password with a token. An attempt
    /// without a password is not counted.
    pub fn password_admission(&self, password: Option<&str>, token: &AccessToken) -> Admission {
        match password {
            None => Admission::Allowed,
            Some(_) => self.attempts.password_admission(token.session, token.user, self.now()),
        }
    }

    /// Counts the changes of an update, and returns `true` if a budget for them may have been spent
    /// before.
    pub fn spend_update(
        &mut self,
        call: CallContext,
        user: Uuid,
        (name, address, password): (Option<usize>, Option<usize>, Option<usize>),
    ) -> bool {
        let now = self.now();
        let mut spend = |is_made: bool, kind, who: &dyn std::fmt::Debug, limit| {
            is_made && self.attempts.spend(kind, who, limit, now)
        };
        let spent = [
            spend(name.is_some(), "name", &user, (5, 2 * DAY)),
            spend(password.is_some(), "password", &user, (10, 2 * DAY)),
            spend(address.is_some(), "address", &user, (5, 2 * DAY)),
            spend(address.is_some(), "address from", &call.network, (20, 2 * HOUR)),
        ];
        spent.contains(&true)
    }

    /// Counts an attempt to enter the current password, and ends the session that the tenth wrong
    /// one ends.
    pub fn record_password<R>(&mut self, result: &CallResult<R>, token: &AccessToken, right: bool) {
        let now = self.now();
        let is_ended = has_effect!(result, Effect::SessionEnded(1));
        let must_end = match &result.outcome {
            _ if result.faulted => {
                self.attempts.password_failed(token.session, token.user, false, now)
            }
            Some(Err(ErrorCode::RATE_LIMITED)) | None => Some(false),
            Some(_) if right => Some(false),
            Some(_) => self.attempts.password_failed(token.session, token.user, true, now),
        };
        if let Some(must_end) = must_end {
            assert_eq!(is_ended, must_end, "a session with wrong passwords");
        }
        if is_ended {
            self.ledger.end_session(token.session);
        }
    }

    /// Counts the guess of a call, and returns `true` if a budget for wrong codes may have been
    /// spent before.
    pub fn record_wrong_code(&mut self, call: CallContext, user: Option<Uuid>) -> bool {
        let now = self.now();
        let limit = (50, 2 * DAY);
        let of_network = self.attempts.spend("codes", &call.network, limit, now);
        let of_user = user.is_some() && self.attempts.spend("codes of user", &user, limit, now);
        of_network || of_user
    }
}

/// Returns the password that a user enters, if any, and whether it is that of the account.
pub fn entered_password(
    choice: PasswordChoice,
    stored: Option<usize>,
) -> (Option<&'static str>, bool) {
    match (choice, stored) {
        (PasswordChoice::Right, Some(stored)) => (Some(PASSWORDS[stored]), true),
        (PasswordChoice::Right, None) => (Some(PASSWORDS[0]), false),
        (PasswordChoice::Any(any), stored) => (Some(PASSWORDS[any]), stored == Some(any)),
        (PasswordChoice::Missing, _) => (None, false),
    }
}

/// Returns the refusals with a condition that is true.
pub fn refusals(all: &[(bool, ErrorCode)]) -> Vec<ErrorCode> {
    all.iter().filter(|(possible, _)| *possible).map(|(_, code)| *code).collect()
}

/// Returns the refusals of an access token in this state.
pub fn refusals_of_token(state: TokenState) -> &'static [ErrorCode] {
    match state {
        TokenState::Valid => &[],
        TokenState::Expired => &[ErrorCode::TOKEN_EXPIRED],
        TokenState::Ended => &[ErrorCode::SESSION_REVOKED],
    }
}

/// Returns whether a guess may succeed, and its possible refusals. `conflicts` are the refusals of
/// a right code, the first of which applies.
pub fn outcomes_of_guess(
    verdict: GuessVerdict,
    conflicts: &[(bool, ErrorCode)],
) -> (bool, Vec<ErrorCode>) {
    let conflict = refusals(conflicts).first().copied();
    match verdict {
        GuessVerdict::Right => (conflict.is_none(), conflict.into_iter().collect()),
        GuessVerdict::Wrong => (false, vec![ErrorCode::INVALID_CODE]),
        GuessVerdict::Closed | GuessVerdict::Expired => (false, vec![ErrorCode::CODE_EXPIRED]),
        GuessVerdict::ExpiredOrDead => {
            (false, vec![ErrorCode::INVALID_CODE, ErrorCode::CODE_EXPIRED])
        }
        GuessVerdict::RightOrDead => {
            let dead = [ErrorCode::INVALID_CODE];
            (conflict.is_none(), dead.into_iter().chain(conflict).collect())
        }
    }
}

/// Returns whether a request with a password may succeed, and its possible refusals. `conflicts`
/// are the refusals of a right password, the first of which applies.
pub fn outcomes_of_password(
    admission: Admission,
    right: bool,
    conflicts: &[(bool, ErrorCode)],
) -> (bool, Vec<ErrorCode>) {
    let conflict = refusals(conflicts).first().copied();
    let mut possible = Vec::new();
    if admission != Admission::Allowed {
        possible.push(ErrorCode::RATE_LIMITED);
    }
    if admission != Admission::Refused {
        possible.extend(if right { conflict } else { Some(ErrorCode::INVALID_CREDENTIALS) });
    }
    (admission != Admission::Refused && right && conflict.is_none(), possible)
}
