//! The model: what has to be true, in plain words and without a database. It is told what was asked
//! and what was done, and says what may come of it.

use std::collections::BTreeMap;

use user_server::domain::{Purpose, Timestamp};
use uuid::Uuid;

use super::story::{ADDRESSES, NAMES};

pub const SECOND: i64 = 1000;
pub const HOUR: i64 = 3600 * SECOND;
pub const DAY: i64 = 24 * HOUR;
/// Wrong guesses that end a code.
const GUESSES: u32 = 5;
pub const CODE_LIFE: i64 = 900 * SECOND;
const ACCESS_LIFE: i64 = 900 * SECOND;
const SESSION_IDLE: i64 = 30 * DAY;
const SESSION_LIFE: i64 = 90 * DAY;

/// An account.
#[derive(Debug, Clone)]
pub struct User {
    pub name: usize,
    pub address: usize,
    pub password: usize,
    pub credentials: i64,
}

/// A session, ended or not.
#[derive(Debug, Clone)]
pub struct Session {
    pub user: Uuid,
    pub counter: u32,
    pub opened: i64,
    pub rotated: i64,
    pub ended: bool,
    /// The refresh tokens that were handed out, by their number: never two of one number.
    pub refresh: BTreeMap<u32, String>,
}

/// What a code verifies.
#[derive(Debug, Clone)]
pub struct Verification {
    pub id: Uuid,
    pub purpose: Purpose,
    pub name: Option<usize>,
    pub address: usize,
    pub password: usize,
    pub user: Option<Uuid>,
    pub created: i64,
    /// Nobody's or somebody's address: nothing is the right code.
    pub dead: bool,
    /// The address was an account's at some time since, which its owner may have been told instead.
    pub was_known: bool,
    /// Neither used, nor voided, nor erased.
    pub open: bool,
    pub issued: Option<Issued>,
}

/// A code that a mail was made for.
#[derive(Debug, Clone)]
pub struct Issued {
    pub generation: u32,
    pub text: String,
    pub at: i64,
    pub guesses: u32,
}

/// What a guess is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Right,
    Wrong,
    /// There is no such code, or no more.
    Closed,
    NotIssued,
    /// Its owner may have been told instead: right perhaps, or never.
    Perhaps,
    /// Never right, and nothing else is known of it.
    Dead,
}

/// An access token that was handed out.
#[derive(Debug, Clone)]
pub struct Access {
    pub text: String,
    pub user: Uuid,
    pub session: Uuid,
    pub expires: i64,
}

/// A refresh token that was handed out.
#[derive(Debug, Clone)]
pub struct Refresh {
    pub text: String,
    pub session: Uuid,
    pub counter: u32,
    pub expires: i64,
}

/// What a token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    Good,
    Expired,
    Ended,
}

#[derive(Default)]
pub struct Ledger {
    pub users: BTreeMap<Uuid, User>,
    pub sessions: BTreeMap<Uuid, Session>,
    pub verifications: Vec<Verification>,
    pub access: Vec<Access>,
    pub refresh: Vec<Refresh>,
}

/// The last but so many; round and round where there are fewer.
pub fn nth_last<'a, T>(
    all: impl DoubleEndedIterator<Item = &'a T> + Clone,
    ago: usize,
) -> Option<&'a T> {
    let count = all.clone().count();
    all.rev().nth(ago % count.max(1))
}

/// The moment at which a time counted in whole seconds is over.
fn whole_seconds(millis: i64) -> i64 {
    millis / SECOND * SECOND
}

impl Ledger {
    pub fn by_name(&self, name: usize) -> Option<(Uuid, &User)> {
        let same = |user: &User| NAMES[user.name].1 == NAMES[name].1;
        self.users.iter().find(|(_, user)| same(user)).map(|(id, user)| (*id, user))
    }

    pub fn by_address(&self, address: usize) -> Option<(Uuid, &User)> {
        let same = |user: &User| ADDRESSES[user.address].key == ADDRESSES[address].key;
        self.users.iter().find(|(_, user)| same(user)).map(|(id, user)| (*id, user))
    }

    /// Whether somebody other than `but` has this name.
    pub fn name_taken(&self, name: usize, but: Option<Uuid>) -> bool {
        self.by_name(name).is_some_and(|(id, _)| Some(id) != but)
    }

    /// Whether somebody other than `but` has this address.
    pub fn address_taken(&self, address: usize, but: Option<Uuid>) -> bool {
        self.by_address(address).is_some_and(|(id, _)| Some(id) != but)
    }

    pub fn verification(&self, id: Uuid) -> Option<&Verification> {
        self.verifications.iter().find(|verification| verification.id == id)
    }

    pub fn verification_mut(&mut self, id: Uuid) -> &mut Verification {
        self.verifications
            .iter_mut()
            .find(|verification| verification.id == id)
            .expect("a verification that was asked for")
    }

    /// The verification of so long ago for a purpose: of those that were mailed and are open,
    /// unless it is longer ago, or of any purpose, where it is very long.
    pub fn pick(&self, ago: usize, purpose: Purpose) -> Option<&Verification> {
        let open = |v: &&Verification| v.purpose == purpose && v.open && v.issued.is_some();
        let of_purpose = |v: &&Verification| v.purpose == purpose;
        match ago {
            0..3 => nth_last(self.verifications.iter().filter(open), ago),
            _ => None,
        }
        .or_else(|| nth_last(self.verifications.iter().filter(|v| ago > 6 || of_purpose(v)), ago))
    }

    /// The access token of so long ago: of those that are good, unless it is longer ago.
    pub fn pick_access(&self, ago: usize, user: Option<Uuid>, now: i64) -> Option<Access> {
        let meant = |token: &&Access| user.is_none_or(|user| token.user == user);
        let good = |token: &&Access| meant(token) && self.worth(token, now) == Worth::Good;
        match ago {
            0..4 => nth_last(self.access.iter().filter(good), ago),
            _ => None,
        }
        .or_else(|| nth_last(self.access.iter(), ago))
        .cloned()
    }

    /// Writes a verification down.
    pub fn wait_for_code(
        &mut self,
        id: Uuid,
        purpose: Purpose,
        address: usize,
        now: i64,
    ) -> &mut Verification {
        let known = self.by_address(address).map(|(id, _)| id);
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
            issued: None,
        });
        self.verification_mut(id)
    }

    /// What a guess at a code would be.
    pub fn look(
        &self,
        id: Uuid,
        purpose: Purpose,
        user: Option<Uuid>,
        text: &str,
        now: i64,
    ) -> Look {
        let found = self.verification(id).filter(|v| v.open && v.purpose == purpose);
        let Some(verification) = found.filter(|v| user.is_none() || v.user == user) else {
            return Look::Closed;
        };
        if verification.dead {
            return Look::Dead;
        }
        let Some(issued) = &verification.issued else {
            return if verification.was_known { Look::Dead } else { Look::NotIssued };
        };
        let live = now < issued.at + CODE_LIFE && issued.guesses < GUESSES;
        match (verification.was_known, live, issued.text == text) {
            (false, false, _) => Look::Closed,
            (false, true, true) => Look::Right,
            (false, true, false) => Look::Wrong,
            (true, true, true) => Look::Perhaps,
            (true, ..) => Look::Dead,
        }
    }

    /// Takes in that a mail was made for a verification, and so a code.
    pub fn issue(&mut self, id: Uuid, generation: u32, text: String, now: i64) {
        let verification = self.verification_mut(id);
        assert!(verification.open, "a mail without its row: {verification:?}");
        assert!(
            !verification.dead,
            "a code for an address that is not the asker's: {verification:?}"
        );
        let mut guesses = 0;
        if let Some(before) = &verification.issued {
            let lives = now < before.at + CODE_LIFE && before.guesses < GUESSES;
            if before.generation == generation {
                guesses = before.guesses;
                assert_eq!(before.text, text, "one code of one number");
            } else {
                assert!(generation > before.generation, "codes are numbered forth");
                assert!(!lives, "new guesses while the code before lives: {before:?}");
            }
        }
        verification.issued = Some(Issued { generation, text, at: now, guesses });
    }

    /// Takes in that an address is an account's from now.
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
        assert!(!self.name_taken(name, None), "two with one name");
        assert!(!self.address_taken(verification.address, None), "two with one address");
        let (address, password) = (verification.address, verification.password);
        assert!(
            self.users.insert(user, User { name, address, password, credentials: 1 }).is_none()
        );
        self.address_known(address);
        self.open(session, user, now);
    }

    pub fn open(&mut self, session: Uuid, user: Uuid, now: i64) {
        let new = Session {
            user,
            counter: 0,
            opened: now,
            rotated: now,
            ended: false,
            refresh: BTreeMap::new(),
        };
        assert!(self.sessions.insert(session, new).is_none(), "a session of another's id");
    }

    /// The sessions of a user that live.
    pub fn living(&self, user: Uuid) -> Vec<Uuid> {
        let lives = |session: &Session| session.user == user && !session.ended;
        self.sessions.iter().filter(|(_, session)| lives(session)).map(|(id, _)| *id).collect()
    }

    pub fn end(&mut self, session: Uuid) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.ended = true;
        }
    }

    pub fn end_all(&mut self, user: Uuid, but: Option<Uuid>) {
        for session in self.living(user).into_iter().filter(|id| Some(*id) != but) {
            self.end(session);
        }
    }

    /// Voids the open codes of a user, or those for one purpose.
    pub fn void(&mut self, user: Uuid, purpose: Option<Purpose>) {
        for verification in &mut self.verifications {
            let meant = purpose.is_none_or(|purpose| verification.purpose == purpose);
            if verification.user == Some(user) && meant {
                verification.open = false;
            }
        }
    }

    pub fn set_password(&mut self, user: Uuid, password: usize, stays: Option<Uuid>) {
        let account = self.users.get_mut(&user).expect("an account");
        account.password = password;
        account.credentials += 1;
        self.end_all(user, stays);
        self.void(user, None);
    }

    pub fn set_address(&mut self, user: Uuid, address: usize) {
        assert!(!self.address_taken(address, Some(user)), "two with one address");
        self.users.get_mut(&user).expect("an account").address = address;
        self.void(user, None);
        self.address_known(address);
    }

    pub fn delete(&mut self, user: Uuid) {
        self.end_all(user, None);
        self.void(user, None);
        self.users.remove(&user);
    }

    /// Takes in a grant: the tokens of a session as it is now.
    pub fn grant(&mut self, session: Uuid, access: &str, refresh: &str, now: i64) {
        let Session { user, counter, opened, rotated, .. } = self.sessions[&session];
        let end = opened + SESSION_LIFE;
        let expires = whole_seconds((now + ACCESS_LIFE).min(end));
        self.access.push(Access { text: access.to_owned(), user, session, expires });
        let expires = whole_seconds((rotated + SESSION_IDLE).min(end));
        let handed_out = &mut self.sessions.get_mut(&session).expect("a session").refresh;
        let same = handed_out.entry(counter).or_insert_with(|| refresh.to_owned());
        assert_eq!(same, refresh, "two live successors of one refresh token");
        self.refresh.push(Refresh { text: refresh.to_owned(), session, counter, expires });
    }

    /// What an access token is worth at a moment.
    pub fn worth(&self, token: &Access, now: i64) -> Worth {
        if whole_seconds(now) >= token.expires {
            return Worth::Expired;
        }
        let lives = self.sessions.get(&token.session).is_some_and(|session| !session.ended);
        if lives && self.users.contains_key(&token.user) { Worth::Good } else { Worth::Ended }
    }

    /// Takes in that what is past its retention was erased.
    pub fn sweep(&mut self, now: i64) {
        for verification in &mut self.verifications {
            let expired =
                verification.issued.as_ref().is_none_or(|issued| issued.at + CODE_LIFE < now - DAY);
            // Of one whose owner may have been told instead, it is not known how long its code
            // lives.
            if verification.created < now - DAY
                && expired
                && !verification.was_known
                && !verification.dead
            {
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

/// A moment as the model counts.
pub fn millis(moment: Timestamp) -> i64 {
    moment.0
}
