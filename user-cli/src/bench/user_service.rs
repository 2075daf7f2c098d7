//! Load for the user service.

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

use super::accounts::{Account, PASSWORD, SessionTokens, simulated_client};
use super::connection::{ParsedReply, Protocol};
use super::counters::Outcome;
use super::mix::{Mix, Op};

/// Type byte of an error reply.
const ERROR: u8 = 0x80;
/// Range of the request id's bytes in a frame.
const ID: std::ops::Range<usize> = 5..9;

/// Requests of a run, which all connections share.
pub(crate) struct Workload {
    /// Sequence of the kinds of requests, which each connection repeats.
    order: Vec<Op>,
    /// Encoded VerifyToken requests; the request id is still missing.
    verify: Vec<Bytes>,
    /// Encoded GetUser requests; the request id is still missing.
    get: Vec<Bytes>,
    /// Accounts that Login requests use.
    accounts: Vec<Account>,
    /// Prefix of the names of accounts that Register requests create.
    prefix: String,
    next_number: AtomicU64,
}

impl Workload {
    pub(crate) fn new(
        mix: &Mix,
        tokens: &[Zeroizing<String>],
        accounts: Vec<Account>,
        prefix: String,
    ) -> Self {
        let needed = |op| if mix.contains(op) { tokens } else { &[] };
        let verify = needed(Op::Verify).iter();
        let get = needed(Op::Get).iter();
        Self {
            order: mix.order(),
            verify: verify
                .map(|token| encoded(&VerifyToken { access_token: token.as_str().into() }))
                .collect(),
            get: get
                .map(|token| encoded(&GetUser { access_token: token.as_str().into() }))
                .collect(),
            accounts,
            prefix,
            next_number: AtomicU64::new(0),
        }
    }

    fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }
}

fn encoded<M: Message>(message: &M) -> Bytes {
    let mut out = BytesMut::new();
    // Cannot fail: the token was received in a frame.
    let _ = encode(0, message, &mut out);
    out.freeze()
}

/// Protocol of one connection to the user service.
pub(crate) struct UserService {
    workload: Arc<Workload>,
    /// Position in the workload's sequence of requests.
    position: usize,
    /// Index of the token for the next VerifyToken or GetUser.
    token: usize,
    /// Kind of the request in flight in each slot; `None` for a free slot.
    in_flight: Vec<Option<Op>>,
    /// Refresh tokens that are not in use by a request in flight.
    refresh_tokens: VecDeque<Zeroizing<String>>,
}

impl UserService {
    /// Creates the protocol of the connection `number`, out of `connections`. Each connection
    /// starts at another position of the workload.
    pub(crate) fn new(
        workload: Arc<Workload>,
        number: usize,
        connections: usize,
        depth: usize,
        sessions: &[SessionTokens],
    ) -> Self {
        let offset = |length: usize| length * number / connections.max(1);
        Self {
            position: offset(workload.order.len()),
            token: offset(workload.verify.len().max(workload.get.len())),
            in_flight: vec![None; depth],
            refresh_tokens: sessions.iter().map(|session| session.refresh.clone()).collect(),
            workload,
        }
    }

    fn next_op(&mut self) -> Op {
        let order = &self.workload.order;
        let op = order.get(self.position).copied().unwrap_or(Op::Ping);
        self.position = if self.position + 1 < order.len() { self.position + 1 } else { 0 };
        // If every session is already being refreshed, a ping is sent and counted instead.
        if op == Op::Refresh && self.refresh_tokens.is_empty() { Op::Ping } else { op }
    }

    /// Appends the encoded VerifyToken or GetUser request for the next token to `out`, with this
    /// request id.
    fn write_encoded(&mut self, op: Op, id: u32, out: &mut BytesMut) {
        let frames = if op == Op::Verify { &self.workload.verify } else { &self.workload.get };
        let Some(frame) = frames.get(self.token).or_else(|| frames.first()) else { return };
        self.token = if self.token + 1 < frames.len() { self.token + 1 } else { 0 };
        let start = out.len();
        out.extend_from_slice(frame);
        if let Some(bytes) = out.get_mut(start + ID.start..start + ID.end) {
            bytes.copy_from_slice(&id.to_be_bytes());
        }
    }

    fn write<M: user_proto::RequestMessage>(
        id: u32,
        request: &M,
        common: &Common<'_>,
        out: &mut BytesMut,
    ) {
        // Cannot fail: these requests are much shorter than a frame may be.
        let _ = encode_with(id, request, common, out);
    }
}

impl Protocol for UserService {
    fn write_request(&mut self, slot: usize, out: &mut BytesMut) -> Op {
        let op = self.next_op();
        let id = u32::try_from(slot + 1).unwrap_or(u32::MAX);
        match op {
            Op::Verify | Op::Get => self.write_encoded(op, id, out),
            Op::Refresh => {
                let token = self.refresh_tokens.pop_front().unwrap_or_default();
                Self::write(
                    id,
                    &RefreshToken { refresh_token: token.as_str().into() },
                    &simulated_client(),
                    out,
                );
            }
            Op::Login => {
                let accounts = &self.workload.accounts;
                let number = self.workload.next_number() as usize % accounts.len().max(1);
                if let Some(account) = accounts.get(number) {
                    let (login, password) =
                        (account.login.as_str().into(), account.password.as_str().into());
                    Self::write(id, &Login::new(login, password), &simulated_client(), out);
                }
            }
            Op::Register => {
                let name = format!("{}-r{}", self.workload.prefix, self.workload.next_number());
                let email = format!("{name}@example.org");
                let (username, email) = (name.as_str().into(), email.as_str().into());
                Self::write(
                    id,
                    &Register { username, email, password: PASSWORD.into() },
                    &simulated_client(),
                    out,
                );
            }
            Op::Ping | Op::Connect | Op::RedisGet | Op::MemcachedGet => {
                Self::write(id, &Ping {}, &Common::default(), out)
            }
        }
        if let Some(entry) = self.in_flight.get_mut(slot) {
            *entry = Some(op);
        }
        op
    }

    fn parse_reply(&mut self, input: &[u8]) -> Result<Option<ParsedReply>, String> {
        let Some((frame, size)) =
            frame::split(input).map_err(|error| format!("received an invalid frame: {error}"))?
        else {
            return Ok(None);
        };
        let slot = usize::try_from(frame.id).ok().and_then(|id| id.checked_sub(1));
        let request = slot.and_then(|slot| Some((slot, self.in_flight.get_mut(slot)?.take()?)));
        let Some((slot, op)) = request else {
            return Err(match Reply::decode(frame.kind, frame.body) {
                Ok(Reply::ErrorReply(error)) => {
                    format!("the server closed a connection: {}", error.message)
                }
                _ => "received a reply to no request".to_owned(),
            });
        };
        if op == Op::Refresh {
            match Reply::decode(frame.kind, frame.body) {
                Ok(Reply::TokenRefreshed(reply)) => {
                    let token = String::from_utf8_lossy(reply.refresh_token.expose()).into_owned();
                    self.refresh_tokens.push_back(Zeroizing::new(token));
                }
                Ok(Reply::ErrorReply(_)) => {}
                _ => return Err("received a reply of the wrong type".to_owned()),
            }
        }
        let outcome = match frame.kind {
            ERROR => match frame.body {
                [high, low, ..] => Outcome::Refused(u16::from_be_bytes([*high, *low])),
                _ => return Err("received an error reply without a code".to_owned()),
            },
            kind if kind == request_type(op) | REPLY_BIT => Outcome::Ok,
            _ => return Err("received a reply of the wrong type".to_owned()),
        };
        Ok(Some(ParsedReply { size, slot, outcome }))
    }
}

fn request_type(op: Op) -> u8 {
    match op {
        Op::Verify => VerifyToken::TYPE,
        Op::Get => GetUser::TYPE,
        Op::Refresh => RefreshToken::TYPE,
        Op::Login => Login::TYPE,
        Op::Register => Register::TYPE,
        Op::Ping | Op::Connect | Op::RedisGet | Op::MemcachedGet => Ping::TYPE,
    }
}

/// Returns the name of an error code, or its hex digits if it is unknown.
pub(crate) fn code_name(code: u16) -> String {
    match user_proto::ErrorCode(code).name() {
        "UNKNOWN" => format!("{code:04X}"),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use user_proto::Request;

    use super::*;

    fn service(mix: &str, tokens: usize) -> UserService {
        let tokens: Vec<_> =
            (0..tokens).map(|number| Zeroizing::new(format!("token-{number}"))).collect();
        let workload = Workload::new(&mix.parse().unwrap(), &tokens, Vec::new(), "b1".to_owned());
        UserService::new(Arc::new(workload), 0, 1, 2, &[])
    }

    #[test]
    fn tokens_are_used_one_after_the_other_with_the_id_of_the_slot() {
        let mut service = service("verify=1", 2);
        let mut tokens = Vec::new();
        for slot in [0, 1, 0] {
            let mut out = BytesMut::new();
            assert_eq!(service.write_request(slot, &mut out), Op::Verify);
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
    fn a_reply_counts_for_its_request() {
        let mut service = service("ping=1", 0);
        service.write_request(1, &mut BytesMut::new());
        let mut pong = BytesMut::new();
        encode(
            2,
            &user_proto::Pong { max_in_flight: None, idle_timeout: None, max_hashing: None },
            &mut pong,
        )
        .unwrap();
        assert_eq!(service.parse_reply(&pong[..pong.len() - 1]), Ok(None));
        let reply = ParsedReply { size: pong.len(), slot: 1, outcome: Outcome::Ok };
        assert_eq!(service.parse_reply(&pong), Ok(Some(reply)));
        assert!(service.parse_reply(&pong).is_err(), "a second reply to the same request");
    }
}
