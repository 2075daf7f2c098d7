//! The protocol of the user service, as a load.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use user_proto::limits::REPLY_BIT;
use user_proto::{
    Common, GetUser, Login, Message, Ping, RefreshToken, Register, Reply, VerifyToken, encode,
    encode_with, frame,
};
use zeroize::Zeroizing;

use super::accounts::{Account, PASSWORD, Session, somebody};
use super::link::{Dialogue, Heard};
use super::mix::{Mix, Op};
use super::tally::Verdict;

/// The type of an error.
const ERROR: u8 = 0x80;

/// What all connections ask with.
pub(super) struct Material {
    order: Vec<Op>,
    /// Frames of VerifyToken, whose id is still to be written.
    verify: Vec<Bytes>,
    get: Vec<Bytes>,
    accounts: Vec<Account>,
    /// What new accounts are called, before their number.
    word: String,
    next: AtomicU64,
}

impl Material {
    pub(super) fn new(
        mix: &Mix,
        tokens: &[Zeroizing<String>],
        accounts: Vec<Account>,
        word: String,
    ) -> Self {
        let wanted = |op| if mix.holds(op) { tokens } else { &[] };
        let verify = wanted(Op::Verify).iter();
        let get = wanted(Op::Get).iter();
        Self {
            order: mix.order(),
            verify: verify
                .map(|token| framed(&VerifyToken { access_token: token.as_str().into() }))
                .collect(),
            get: get
                .map(|token| framed(&GetUser { access_token: token.as_str().into() }))
                .collect(),
            accounts,
            word,
            next: AtomicU64::new(0),
        }
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

fn framed<M: Message>(message: &M) -> Bytes {
    let mut out = BytesMut::new();
    // A token fits a frame by far: it came in one.
    let _ = encode(0, message, &mut out);
    out.freeze()
}

/// One connection's part.
pub(super) struct Users {
    material: Arc<Material>,
    /// Where in the order and the tokens it is.
    turn: usize,
    token: usize,
    /// What is under way in each slot.
    asked: Vec<Option<Op>>,
    /// Sessions that can be refreshed now, and those that are being refreshed.
    sessions: VecDeque<Zeroizing<String>>,
}

impl Users {
    /// The connection of this number, one of so many. It starts elsewhere than the others, so that
    /// they do not ask in step.
    pub(super) fn new(
        material: Arc<Material>,
        number: usize,
        of: usize,
        depth: usize,
        sessions: &[Session],
    ) -> Self {
        let spread = |length: usize| if length == 0 { 0 } else { length * number / of.max(1) };
        Self {
            turn: spread(material.order.len()),
            token: spread(material.verify.len().max(material.get.len())),
            asked: vec![None; depth],
            sessions: sessions.iter().map(|session| session.refresh.clone()).collect(),
            material,
        }
    }

    fn next_op(&mut self) -> Op {
        let op = self.material.order.get(self.turn).copied().unwrap_or(Op::Ping);
        self.turn = if self.turn + 1 < self.material.order.len() { self.turn + 1 } else { 0 };
        // Every session of this connection may be under way already; what is asked instead is
        // counted as what it is.
        if op == Op::Refresh && self.sessions.is_empty() { Op::Ping } else { op }
    }

    fn prepared(&mut self, op: Op, id: u32, out: &mut BytesMut) {
        let frames = if op == Op::Verify { &self.material.verify } else { &self.material.get };
        let Some(frame) = frames.get(self.token).or_else(|| frames.first()) else { return };
        self.token = if self.token + 1 < frames.len() { self.token + 1 } else { 0 };
        let start = out.len();
        out.extend_from_slice(frame);
        if let Some(place) = out.get_mut(start + 5..start + 9) {
            place.copy_from_slice(&id.to_be_bytes());
        }
    }

    fn put<M: user_proto::RequestMessage>(
        id: u32,
        request: &M,
        common: &Common<'_>,
        out: &mut BytesMut,
    ) {
        // All that is asked here is far shorter than a frame may be.
        let _ = encode_with(id, request, common, out);
    }
}

impl Dialogue for Users {
    fn ask(&mut self, slot: usize, out: &mut BytesMut) -> Op {
        let op = self.next_op();
        let id = u32::try_from(slot + 1).unwrap_or(u32::MAX);
        match op {
            Op::Verify | Op::Get => self.prepared(op, id, out),
            Op::Refresh => {
                let token = self.sessions.pop_front().unwrap_or_default();
                Self::put(
                    id,
                    &RefreshToken { refresh_token: token.as_str().into() },
                    &somebody(),
                    out,
                );
            }
            Op::Login => {
                let number = self.material.number() as usize % self.material.accounts.len().max(1);
                if let Some(account) = self.material.accounts.get(number) {
                    let (login, password) =
                        (account.login.as_str().into(), account.password.as_str().into());
                    Self::put(id, &Login { login, password }, &somebody(), out);
                }
            }
            Op::Register => {
                let name = format!("{}-r{}", self.material.word, self.material.number());
                let email = format!("{name}@example.org");
                let (username, email) = (name.as_str().into(), email.as_str().into());
                Self::put(
                    id,
                    &Register { username, email, password: PASSWORD.into() },
                    &somebody(),
                    out,
                );
            }
            Op::Ping | Op::Connect | Op::RedisGet => {
                Self::put(id, &Ping {}, &Common::default(), out)
            }
        }
        if let Some(place) = self.asked.get_mut(slot) {
            *place = Some(op);
        }
        op
    }

    fn hear(&mut self, input: &[u8]) -> Result<Option<Heard>, String> {
        let Some((frame, size)) =
            frame::split(input).map_err(|error| format!("that is no frame: {error}"))?
        else {
            return Ok(None);
        };
        let slot = usize::try_from(frame.id).ok().and_then(|id| id.checked_sub(1));
        let asked = slot.and_then(|slot| Some((slot, self.asked.get_mut(slot)?.take()?)));
        let Some((slot, op)) = asked else {
            return Err(match Reply::decode(frame.kind, frame.body) {
                Ok(Reply::ErrorReply(error)) => {
                    format!("the server ends the connection: {}", error.message)
                }
                _ => "a reply came that nobody awaits".to_owned(),
            });
        };
        if op == Op::Refresh {
            match Reply::decode(frame.kind, frame.body) {
                Ok(Reply::TokenRefreshed(reply)) => {
                    let token = String::from_utf8_lossy(reply.refresh_token.expose()).into_owned();
                    self.sessions.push_back(Zeroizing::new(token));
                }
                Ok(Reply::ErrorReply(_)) => {}
                _ => return Err("a reply of another kind than the request".to_owned()),
            }
        }
        let verdict = match frame.kind {
            ERROR => match frame.body {
                [high, low, ..] => Verdict::Refused(u16::from_be_bytes([*high, *low])),
                _ => return Err("an error without a code".to_owned()),
            },
            kind if kind == kind_of(op) | REPLY_BIT => Verdict::Good,
            _ => return Err("a reply of another kind than the request".to_owned()),
        };
        Ok(Some(Heard { size, slot, verdict }))
    }
}

fn kind_of(op: Op) -> u8 {
    match op {
        Op::Verify => VerifyToken::TYPE,
        Op::Get => GetUser::TYPE,
        Op::Refresh => RefreshToken::TYPE,
        Op::Login => Login::TYPE,
        Op::Register => Register::TYPE,
        Op::Ping | Op::Connect | Op::RedisGet => Ping::TYPE,
    }
}

/// The name of an error by its code.
pub(super) fn code_name(code: u16) -> String {
    match user_proto::ErrorCode(code).name() {
        "UNKNOWN" => format!("{code:04x}"),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use user_proto::Request;

    use super::*;

    fn users(mix: &str, tokens: usize) -> Users {
        let tokens: Vec<_> =
            (0..tokens).map(|number| Zeroizing::new(format!("token-{number}"))).collect();
        let material = Material::new(&mix.parse().unwrap(), &tokens, Vec::new(), "b1".to_owned());
        Users::new(Arc::new(material), 0, 1, 2, &[])
    }

    #[test]
    fn each_token_has_its_turn_under_the_slot_s_id() {
        let mut users = users("verify=1", 2);
        let mut tokens = Vec::new();
        for slot in [0, 1, 0] {
            let mut out = BytesMut::new();
            assert_eq!(users.ask(slot, &mut out), Op::Verify);
            let (frame, _) = frame::split(&out).unwrap().unwrap();
            assert_eq!(frame.id as usize, slot + 1);
            let (Request::VerifyToken(request), _) =
                Request::decode(frame.kind, frame.body).unwrap()
            else {
                panic!()
            };
            tokens.push(request.access_token.expose_str().unwrap().to_owned());
        }
        assert_eq!(tokens, ["token-0", "token-1", "token-0"]);
    }

    #[test]
    fn a_reply_counts_for_what_was_asked() {
        let mut users = users("ping=1", 0);
        users.ask(1, &mut BytesMut::new());
        let mut pong = BytesMut::new();
        encode(2, &user_proto::Pong { max_in_flight: None, idle_timeout: None }, &mut pong)
            .unwrap();
        assert_eq!(users.hear(&pong[..pong.len() - 1]), Ok(None));
        let heard = Heard { size: pong.len(), slot: 1, verdict: Verdict::Good };
        assert_eq!(users.hear(&pong), Ok(Some(heard)));
        assert!(users.hear(&pong).is_err(), "nobody awaits it any more");
    }
}
