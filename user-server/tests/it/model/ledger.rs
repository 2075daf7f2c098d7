//! The model: the state that the service must have, without a database. The outcomes that a request
//! may have follow from it.

use std::collections::BTreeMap;

use user_server::domain::{Purpose, Timestamp};
use uuid::Uuid;

use super::values::{ADDRESSES, NAMES, NthLast};

pub const SECOND: i64 = 1000;
pub const HOUR: i64 = 3600 * SECOND;
pub const DAY: i64 = 24 * HOUR;
/// Wrong guesses that invalidate a code.
const GUESSES: u32 = 5;
pub const CODE_LIFE: i64 = 900 * SECOND;
/// Lifetime of a verification.
pub const VERIFICATION_LIFE: i64 = DAY + CODE_LIFE;
const ACCESS_LIFE: i64 = 900 * SECOND;
const SESSION_IDLE: i64 = 30 * DAY;
const SESSION_LIFE: i64 = 90 * DAY;

#[derive(Debug, Clone)]
pub struct Account {
    pub name: usize,
    pub address: usize,
    pub password: usize,
    pub credentials: i64,
}

/// A session, live or ended.
#[derive(Debug, Clone)]
pub struct Session {
    pub user: Uuid,
    pub counter: u32,
    pub opened: i64,
    pub rotated: i64,
    pub ended: bool,
    /// Refresh tokens that replies contained, by counter: each counter has one token.
    pub refresh_tokens: BTreeMap<u32, String>,
}

/// A registration, a change of address or a password reset, which a code completes.
#[derive(Debug, Clone)]
pub struct Verification {
    pub id: Uuid,
    pub purpose: Purpose,
    pub name: Option<usize>,
    pub address: usize,
    pub password: usize,
    pub user: Option<Uuid>,
    pub created: i64,
    /// No code is right: the address has no account to reset, or has one already.
    pub dead: bool,
    /// The address has belonged to an account since then, and its owner may have received a notice
    /// instead of the code.
    pub was_known: bool,
    /// Not used or deleted.
    pub open: bool,
    /// No code is right any more, which clients cannot see.
    pub voided: bool,
    /// The time of the last request for its email.
    pub requested: i64,
    pub resends: u32,
    /// The number of its current code.
    pub generation: u32,
    /// Guesses at its current code.
    pub guesses: u32,
    /// The current code, if an email with it was created.
    pub issued: Option<IssuedCode>,
}

/// A code for which an email was created.
#[derive(Debug, Clone)]
pub struct IssuedCode {
    pub text: String,
    pub at: i64,
}

/// Judgement of a guess at a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuessVerdict {
    Right,
    Wrong,
    /// The verification does not exist, or has no guesses left.
    Closed,
    /// The guess is right, but the code can no longer be used.
    Expired,
    /// The guess is right, unless the owner of the address received a notice instead.
    RightOrDead,
    /// As before, but the code can no longer be used.
    ExpiredOrDead,
}

impl GuessVerdict {
    pub fn may_succeed(self) -> bool {
        matches!(self, Self::Right | Self::RightOrDead)
    }
}

/// An access token that a reply contained.
#[derive(Debug, Clone)]
pub struct AccessToken {
    pub text: String,
    pub user: Uuid,
    pub session: Uuid,
    pub expires: i64,
}

/// A refresh token that a reply contained.
#[derive(Debug, Clone)]
pub struct RefreshToken {
    pub text: String,
    pub session: Uuid,
    pub counter: u32,
    pub expires: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    Valid,
    Expired,
    /// The session or the account has ended.
    Ended,
}

/// Expected state of the service. Times are in milliseconds.
#[derive(Default)]
pub struct Ledger {
    pub accounts: BTreeMap<Uuid, Account>,
    pub sessions: BTreeMap<Uuid, Session>,
    pub verifications: Vec<Verification>,
    pub access_tokens: Vec<AccessToken>,
    pub refresh_tokens: Vec<RefreshToken>,
}

/// Returns the item at a position from the end, modulo the number of items.
pub fn nth_last_of<'a, T>(
    all: impl DoubleEndedIterator<Item = &'a T> + Clone,
    nth_last: NthLast,
) -> Option<&'a T> {
    let count = all.clone().count();
    all.rev().nth(nth_last % count.max(1))
}

/// Rounds a time down to whole seconds, in which tokens expire.
fn whole_seconds(millis: i64) -> i64 {
    millis / SECOND * SECOND
}

impl Ledger {
    pub fn account_by_name(&self, name: usize) -> Option<(Uuid, &Account)> {
        let same = |account: &Account| NAMES[account.name].1 == NAMES[name].1;
        self.accounts.iter().find(|(_, account)| same(account)).map(|(id, account)| (*id, account))
    }

    pub fn account_by_address(&self, address: usize) -> Option<(Uuid, &Account)> {
        let same = |account: &Account| ADDRESSES[account.address].key == ADDRESSES[address].key;
        self.accounts.iter().find(|(_, account)| same(account)).map(|(id, account)| (*id, account))
    }

    /// Returns `true` if an account other than `except` has this name.
    pub fn name_taken(&self, name: usize, except: Option<Uuid>) -> bool {
        self.account_by_name(name).is_some_and(|(id, _)| Some(id) != except)
    }

    /// Returns `true` if an account other than `except` has this address.
    pub fn address_taken(&self, address: usize, except: Option<Uuid>) -> bool {
        self.account_by_address(address).is_some_and(|(id, _)| Some(id) != except)
    }

    pub fn verification(&self, id: Uuid) -> Option<&Verification> {
        self.verifications.iter().find(|verification| verification.id == id)
    }

    pub fn verification_mut(&mut self, id: Uuid) -> &mut Verification {
        self.verifications
            .iter_mut()
            .find(|verification| verification.id == id)
            .expect("a verification that was requested")
    }

    /// Returns a verification for `purpose`: for a low position an open one with a code, otherwise
    /// any; for the highest position, of any purpose.
    pub fn select_verification(
        &self,
        nth_last: NthLast,
        purpose: Purpose,
    ) -> Option<&Verification> {
        let of_purpose = |v: &&Verification| nth_last > 6 || v.purpose == purpose;
        let open =
            |v: &&Verification| v.purpose == purpose && v.open && !v.voided && v.issued.is_some();
        match nth_last {
            0..3 => nth_last_of(self.verifications.iter().filter(open), nth_last),
            _ => None,
        }
        .or_else(|| nth_last_of(self.verifications.iter().filter(of_purpose), nth_last))
    }

    /// Returns an access token: for a low position a valid one, of `user` if given; otherwise any.
    pub fn select_access_token(
        &self,
        nth_last: NthLast,
        user: Option<Uuid>,
        now: i64,
    ) -> Option<AccessToken> {
        let of_user = |token: &&AccessToken| user.is_none_or(|user| token.user == user);
        let valid = |token: &&AccessToken| {
            of_user(token) && self.token_state(token, now) == TokenState::Valid
        };
        match nth_last {
            0..4 => nth_last_of(self.access_tokens.iter().filter(valid), nth_last),
            _ => None,
        }
        .or_else(|| nth_last_of(self.access_tokens.iter(), nth_last))
        .cloned()
    }

    /// Records a verification that was stored.
    pub fn add_verification(
        &mut self,
        id: Uuid,
        purpose: Purpose,
        address: usize,
        now: i64,
    ) -> &mut Verification {
        let known = self.account_by_address(address).map(|(id, _)| id);
        let dead = (purpose == Purpose::PasswordReset) == known.is_none();
        let user = known.filter(|_| purpose == Purpose::PasswordReset);
        self.verifications.push(Verification {
            id,
            purpose,
            name: None,
            address,
            password: 0,
            user,
            created: now,
            dead,
            was_known: false,
            open: true,
            voided: false,
            requested: now,
            resends: 0,
            generation: 0,
            guesses: 0,
            issued: None,
        });
        self.verification_mut(id)
    }

    /// Judges a guess at a code.
    pub fn judge(
        &self,
        id: Uuid,
        purpose: Purpose,
        user: Option<Uuid>,
        text: &str,
        now: i64,
    ) -> GuessVerdict {
        let found = self.verification(id).filter(|v| v.open && v.purpose == purpose);
        let Some(verification) = found.filter(|v| user.is_none() || v.user == user) else {
            return GuessVerdict::Closed;
        };
        if verification.guesses >= GUESSES {
            return GuessVerdict::Closed;
        }
        // What happened to the email decides about the right code only.
        let Some(issued) = verification.issued.as_ref().filter(|issued| issued.text == text) else {
            return GuessVerdict::Wrong;
        };
        let usable = !verification.voided && now < issued.at + CODE_LIFE;
        match (verification.was_known, usable) {
            (false, true) => GuessVerdict::Right,
            (false, false) => GuessVerdict::Expired,
            (true, true) => GuessVerdict::RightOrDead,
            (true, false) => GuessVerdict::ExpiredOrDead,
        }
    }

    /// Records the code of an email.
    pub fn record_code(&mut self, id: Uuid, generation: u32, text: String, now: i64) {
        let verification = self.verification_mut(id);
        assert!(verification.open, "an email without its row: {verification:?}");
        assert!(!verification.dead && !verification.voided, "an email for a dead row");
        assert_eq!(generation, verification.generation, "an email with another code");
        if let Some(before) = &verification.issued {
            assert_eq!(before.text, text, "two codes of one generation");
        }
        verification.issued = Some(IssuedCode { text, at: now });
    }

    /// Records a resend, which replaces a code without guesses, or one that had its lifetime.
    pub fn resent(&mut self, id: Uuid, now: i64) {
        let verification = self.verification_mut(id);
        if verification.guesses >= GUESSES || verification.requested + CODE_LIFE <= now {
            verification.generation += 1;
            verification.guesses = 0;
            verification.issued = None;
        }
        verification.requested = now;
        verification.resends += 1;
    }

    /// Records that an address belongs to an account from now on.
    fn address_known(&mut self, address: usize) {
        for verification in &mut self.verifications {
            let same = ADDRESSES[verification.address].key == ADDRESSES[address].key;
            if same && verification.purpose != Purpose::PasswordReset {
                verification.was_known = true;
            }
        }
    }

    pub fn activate(
        &mut self,
        code: Uuid,
        name: Option<usize>,
        user: Uuid,
        session: Uuid,
        now: i64,
    ) {
        let verification = self.verification_mut(code);
        verification.open = false;
        let verification = verification.clone();
        let name = name.or(verification.name).expect("a registration has a name");
        assert!(!self.name_taken(name, None), "two accounts with one name");
        assert!(!self.address_taken(verification.address, None), "two accounts with one address");
        let (address, password) = (verification.address, verification.password);
        let account = Account { name, address, password, credentials: 1 };
        assert!(self.accounts.insert(user, account).is_none());
        self.address_known(address);
        self.open_session(session, user, now);
    }

    pub fn open_session(&mut self, session: Uuid, user: Uuid, now: i64) {
        let new = Session {
            user,
            counter: 0,
            opened: now,
            rotated: now,
            ended: false,
            refresh_tokens: BTreeMap::new(),
        };
        assert!(self.sessions.insert(session, new).is_none(), "two sessions with one id");
    }

    pub fn live_sessions(&self, user: Uuid) -> Vec<Uuid> {
        let live = |session: &Session| session.user == user && !session.ended;
        self.sessions.iter().filter(|(_, session)| live(session)).map(|(id, _)| *id).collect()
    }

    pub fn end_session(&mut self, session: Uuid) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.ended = true;
        }
    }

    /// Ends the sessions of a user except one.
    pub fn end_all_sessions(&mut self, user: Uuid, except: Option<Uuid>) {
        for session in self.live_sessions(user).into_iter().filter(|id| Some(*id) != except) {
            self.end_session(session);
        }
    }

    /// Voids the open codes of a user, or only those for one purpose.
    pub fn void_codes(&mut self, user: Uuid, purpose: Option<Purpose>) {
        for verification in &mut self.verifications {
            let matches = purpose.is_none_or(|purpose| verification.purpose == purpose);
            if verification.user == Some(user) && matches {
                // The row of a reset stays, since it must not show that the address is known.
                match verification.purpose {
                    Purpose::PasswordReset => verification.voided = true,
                    _ => verification.open = false,
                }
            }
        }
    }

    /// Changes a password, which ends the other sessions and voids the open codes.
    pub fn set_password(&mut self, user: Uuid, password: usize, session: Option<Uuid>) {
        let account = self.accounts.get_mut(&user).expect("an account");
        account.password = password;
        account.credentials += 1;
        self.end_all_sessions(user, session);
        self.void_codes(user, None);
    }

    pub fn set_address(&mut self, user: Uuid, address: usize) {
        assert!(!self.address_taken(address, Some(user)), "two accounts with one address");
        self.accounts.get_mut(&user).expect("an account").address = address;
        self.void_codes(user, None);
        self.address_known(address);
    }

    pub fn delete_account(&mut self, user: Uuid) {
        self.end_all_sessions(user, None);
        self.void_codes(user, None);
        self.accounts.remove(&user);
    }

    /// Records the tokens of a reply, which belong to the current counter of the session.
    pub fn record_tokens(&mut self, session: Uuid, access: &str, refresh: &str, now: i64) {
        let Session { user, counter, opened, rotated, .. } = self.sessions[&session];
        let end = opened + SESSION_LIFE;
        let expires = whole_seconds((now + ACCESS_LIFE).min(end));
        self.access_tokens.push(AccessToken { text: access.to_owned(), user, session, expires });
        let expires = whole_seconds((rotated + SESSION_IDLE).min(end));
        let issued = &mut self.sessions.get_mut(&session).expect("a session").refresh_tokens;
        let same = issued.entry(counter).or_insert_with(|| refresh.to_owned());
        assert_eq!(same, refresh, "two live successors of one refresh token");
        let text = refresh.to_owned();
        self.refresh_tokens.push(RefreshToken { text, session, counter, expires });
    }

    pub fn token_state(&self, token: &AccessToken, now: i64) -> TokenState {
        if whole_seconds(now) >= token.expires {
            return TokenState::Expired;
        }
        let live = self.sessions.get(&token.session).is_some_and(|session| !session.ended);
        if live && self.accounts.contains_key(&token.user) {
            TokenState::Valid
        } else {
            TokenState::Ended
        }
    }

    /// Records that the rows past their retention were deleted.
    pub fn sweep(&mut self, now: i64) {
        for verification in &mut self.verifications {
            if verification.created < now - VERIFICATION_LIFE {
                verification.open = false;
            }
        }
        for session in self.sessions.values_mut() {
            if session.rotated < now - SESSION_IDLE || session.opened < now - SESSION_LIFE {
                session.ended = true;
            }
        }
    }
}

/// Returns a timestamp in milliseconds.
pub fn millis(timestamp: Timestamp) -> i64 {
    timestamp.0
}
