//! Stories: what people and faults do to the service, in any order. A story names things by their
//! place ("the last but one code"), so that it still tells something when a part of it is left out.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::strategy::Union;
use proptest_state_machine::ReferenceStateMachine;
use user_server::domain::Purpose;

use super::faults::{Fate, Wrong};

/// Two ways to write one name, and others.
pub const NAMES: [(&str, &str); 4] =
    [("ada", "ada"), ("Ada", "ada"), ("bob", "bob"), ("eve", "eve")];

/// An address: as it is written, its key, the mailbox that gets its mail, and what its mails are
/// counted by.
pub struct Address {
    pub shown: &'static str,
    pub key: &'static str,
    pub mailbox: &'static str,
    pub budget: &'static str,
}

const fn address(
    shown: &'static str,
    key: &'static str,
    mailbox: &'static str,
    budget: &'static str,
) -> Address {
    Address { shown, key, mailbox, budget }
}

/// Two ways to write one address, the same person's other one, and others'.
pub const ADDRESSES: [Address; 5] = [
    address("ada@example.org", "ada@example.org", "ada@example.org", "ada@example.org"),
    address("Ada@Example.Org", "ada@example.org", "Ada@example.org", "ada@example.org"),
    address("ada+x@example.org", "ada+x@example.org", "ada+x@example.org", "ada@example.org"),
    address("bob@example.org", "bob@example.org", "bob@example.org", "bob@example.org"),
    address("eve@example.org", "eve@example.org", "eve@example.org", "eve@example.org"),
];

pub const PASSWORDS: [&str; 3] =
    ["tides rise at nine", "seven quiet lamps burn", "copper kettles sing low"];
pub const NETWORKS: [&str; 3] = ["192.0.2.1", "198.51.100.7", "2001:db8:1:2::3"];

/// Something by how long ago it came: zero is the last one.
pub type Ago = usize;

/// What somebody enters as a code.
#[derive(Debug, Clone, Copy)]
pub enum Code {
    /// The one in the last mail about it.
    Right,
    /// One that nobody was sent.
    Wrong,
    /// The one in another mail.
    Of(Ago),
}

/// What somebody enters as a password.
#[derive(Debug, Clone, Copy)]
pub enum Proof {
    Right,
    Any(usize),
    None,
}

/// What somebody logs in with.
#[derive(Debug, Clone, Copy)]
pub enum Login {
    Name(usize),
    Address(usize),
    Nobody,
}

#[derive(Debug, Clone, Copy)]
pub enum Token {
    Access(Ago),
    Refresh(Ago),
}

/// What is asked of the service.
#[derive(Debug, Clone, Copy)]
pub enum Ask {
    Register {
        name: usize,
        address: usize,
        password: usize,
    },
    VerifyEmail {
        code_of: Ago,
        code: Code,
        name: Option<usize>,
    },
    Resend {
        code_of: Ago,
    },
    Login {
        login: Login,
        password: Proof,
        times: usize,
    },
    VerifyToken {
        access: Ago,
    },
    Refresh {
        refresh: Ago,
    },
    Logout {
        token: Token,
        all: bool,
    },
    User {
        access: Ago,
    },
    Update {
        access: Ago,
        name: Option<usize>,
        address: Option<usize>,
        password: Option<usize>,
        proof: Proof,
    },
    Delete {
        access: Ago,
        proof: Proof,
    },
    /// Of an address of the list, or behind its end of one that is an account's.
    RequestReset {
        address: usize,
    },
    Reset {
        code_of: Ago,
        code: Code,
        password: usize,
    },
    ConfirmEmail {
        access: Ago,
        code_of: Ago,
        code: Code,
    },
    Ping,
}

/// A step of a story.
#[derive(Debug, Clone)]
pub enum Step {
    /// Somebody asks a node, and perhaps a call of its store goes wrong.
    Ask { node: usize, network: Option<usize>, ask: Ask, wrong: Option<(u8, Wrong)> },
    /// A node sends the mails that are due.
    Deliver { node: usize, fates: Vec<Fate>, wrong: Option<(u8, Wrong)> },
    /// Time passes, in seconds.
    Wait(u64),
    /// What is past its retention is erased.
    Sweep,
    /// A node forgets all that it has in memory.
    Restart { node: usize },
}

/// What a service in which nothing goes wrong would have by now: enough to tell what can be asked
/// for.
#[derive(Debug, Clone)]
pub struct Story {
    /// The people who have an account before it begins.
    pub people: usize,
    codes: usize,
    grants: usize,
    /// What a code was asked for last, and whether its mail was sent since.
    begun: Option<(Purpose, bool)>,
}

impl ReferenceStateMachine for Story {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        (0..3usize)
            .prop_map(|people| Self { people, codes: people, grants: people, begun: None })
            .boxed()
    }

    fn transitions(story: &Self) -> BoxedStrategy<Step> {
        let wrong = weighted(0.2, (0..6u8, wrongs())).boxed();
        let ask = |ask: BoxedStrategy<Ask>| {
            (0..2usize, weighted(0.8, 0..NETWORKS.len()), ask, wrong.clone())
                .prop_map(|(node, network, ask, wrong)| Step::Ask { node, network, ask, wrong })
        };
        let more = match story.begun {
            Some((purpose, true)) => uses(purpose),
            _ => asks(story),
        };
        let (any, more) = (ask(asks(story)), ask(more));
        let deliver = (0..2usize, vec(fates(), 1..4), wrong.clone())
            .prop_map(|(node, fates, wrong)| Step::Deliver { node, fates, wrong });
        let waits = prop_oneof![
            12 => prop::sample::select(vec![1, 5, 20, 31, 61, 61, 61, 61, 120]),
            4 => prop::sample::select(vec![300, 901, 3600, 6 * 3600]),
            1 => prop::sample::select(vec![24 * 3600, 31 * 24 * 3600]),
        ];
        prop_oneof![
            50 => any,
            // People mostly end what they have begun.
            25 => more,
            if matches!(story.begun, Some((_, false))) { 60 } else { 10 } => deliver,
            14 => waits.prop_map(Step::Wait),
            3 => Just(Step::Sweep),
            3 => (0..2usize).prop_map(|node| Step::Restart { node }),
        ]
        .boxed()
    }

    fn preconditions(story: &Self, step: &Step) -> bool {
        let Step::Ask { ask, .. } = step else { return true };
        match ask {
            Ask::VerifyEmail { .. } | Ask::Resend { .. } | Ask::Reset { .. } => story.codes > 0,
            Ask::ConfirmEmail { .. } => story.codes > 0 && story.grants > 0,
            Ask::VerifyToken { .. } | Ask::Refresh { .. } | Ask::Logout { .. } => story.grants > 0,
            Ask::User { .. } | Ask::Update { .. } | Ask::Delete { .. } => story.grants > 0,
            Ask::Register { .. } | Ask::Login { .. } | Ask::RequestReset { .. } | Ask::Ping => true,
        }
    }

    fn apply(mut story: Self, step: &Step) -> Self {
        match step {
            Step::Ask { ask, .. } => story.ask(ask),
            Step::Deliver { .. } => story.begun = story.begun.map(|(purpose, _)| (purpose, true)),
            Step::Wait(_) | Step::Sweep | Step::Restart { .. } => {}
        }
        story
    }
}

impl Story {
    fn ask(&mut self, ask: &Ask) {
        let begins = match ask {
            Ask::Register { .. } => Purpose::Registration,
            Ask::RequestReset { .. } => Purpose::PasswordReset,
            Ask::Update { address: Some(_), .. } => Purpose::EmailChange,
            Ask::VerifyEmail { .. } | Ask::Reset { .. } | Ask::ConfirmEmail { .. } => {
                self.begun = None;
                self.grants += 1;
                return;
            }
            Ask::Refresh { .. } | Ask::Login { .. } => {
                self.grants += 1;
                return;
            }
            _ => return,
        };
        self.begun = Some((begins, false));
        self.codes += 1;
    }
}

/// What a code is for.
fn uses(purpose: Purpose) -> BoxedStrategy<Ask> {
    match purpose {
        Purpose::Registration => verifications().boxed(),
        Purpose::PasswordReset => resets().boxed(),
        Purpose::EmailChange => confirmations().boxed(),
    }
}

fn verifications() -> impl Strategy<Value = Ask> {
    (ago(), codes(), weighted(0.2, 0..NAMES.len()))
        .prop_map(|(code_of, code, name)| Ask::VerifyEmail { code_of, code, name })
}

fn resets() -> impl Strategy<Value = Ask> {
    (ago(), codes(), 0..PASSWORDS.len()).prop_map(|(code_of, code, password)| Ask::Reset {
        code_of,
        code,
        password,
    })
}

fn confirmations() -> impl Strategy<Value = Ask> {
    (ago(), ago(), codes()).prop_map(|(access, code_of, code)| Ask::ConfirmEmail {
        access,
        code_of,
        code,
    })
}

fn wrongs() -> impl Strategy<Value = Wrong> {
    prop::sample::select(vec![Wrong::NotDone, Wrong::Done, Wrong::CutBefore, Wrong::CutAfter])
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![7 => Just(Fate::Sent), 1 => Just(Fate::NotNow), 1 => Just(Fate::Never), 1 => Just(Fate::SentUnsaid)]
}

/// Mostly the last one.
fn ago() -> impl Strategy<Value = Ago> {
    prop_oneof![6 => Just(0), 2 => Just(1), 2 => 0..8usize]
}

fn codes() -> impl Strategy<Value = Code> {
    prop_oneof![7 => Just(Code::Right), 2 => Just(Code::Wrong), 1 => ago().prop_map(Code::Of)]
}

fn proofs() -> impl Strategy<Value = Proof> {
    prop_oneof![7 => Just(Proof::Right), 2 => (0..PASSWORDS.len()).prop_map(Proof::Any), 1 => Just(Proof::None)]
}

fn asks(story: &Story) -> BoxedStrategy<Ask> {
    let (names, addresses, passwords) = (0..NAMES.len(), 0..ADDRESSES.len(), 0..PASSWORDS.len());
    let logins = prop_oneof![
        5 => names.clone().prop_map(Login::Name),
        3 => addresses.clone().prop_map(Login::Address),
        1 => Just(Login::Nobody),
    ];
    let times = prop_oneof![8 => Just(1usize), 1 => 2..9usize];
    let tokens = prop_oneof![ago().prop_map(Token::Access), ago().prop_map(Token::Refresh)];
    // Half of them for an address that is an account's.
    let wanted = 0..2 * ADDRESSES.len();
    let registrations = (names.clone(), addresses.clone(), passwords.clone())
        .prop_map(|(name, address, password)| Ask::Register { name, address, password });
    let log_ins = (logins, proofs(), times).prop_map(|(login, password, times)| Ask::Login {
        login,
        password,
        times,
    });
    let mut all = vec![
        (12, registrations.boxed()),
        (9, log_ins.boxed()),
        (6, wanted.prop_map(|address| Ask::RequestReset { address }).boxed()),
        (1, Just(Ask::Ping).boxed()),
    ];
    if story.codes > 0 {
        all.extend([
            (12, verifications().boxed()),
            (4, ago().prop_map(|code_of| Ask::Resend { code_of }).boxed()),
            (5, resets().boxed()),
        ]);
    }
    if story.grants > 0 {
        let updates = (
            ago(),
            weighted(0.4, names),
            weighted(0.5, addresses),
            weighted(0.4, passwords),
            proofs(),
        )
            .prop_map(|(access, name, address, password, proof)| Ask::Update {
                access,
                name,
                address,
                password,
                proof,
            });
        all.extend([
            (4, ago().prop_map(|access| Ask::VerifyToken { access }).boxed()),
            (10, ago().prop_map(|refresh| Ask::Refresh { refresh }).boxed()),
            (
                5,
                (tokens, any::<bool>()).prop_map(|(token, all)| Ask::Logout { token, all }).boxed(),
            ),
            (2, ago().prop_map(|access| Ask::User { access }).boxed()),
            (14, updates.boxed()),
            (
                3,
                (ago(), proofs()).prop_map(|(access, proof)| Ask::Delete { access, proof }).boxed(),
            ),
        ]);
    }
    if story.codes > 0 && story.grants > 0 {
        all.push((4, confirmations().boxed()));
    }
    Union::new_weighted(all).boxed()
}
