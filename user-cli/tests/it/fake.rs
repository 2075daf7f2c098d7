//! A server that follows a script, made of blocking sockets and the protocol's core.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::BytesMut;
use user_proto::{
    Common, EmailVerified, ErrorCode, ErrorReply, LoggedIn, Pong, Reply, Request, TokenRefreshed,
    frame,
};
use uuid::Uuid;

pub(crate) const VERIFICATION: Uuid = Uuid::from_u128(0x0193_a5df);
pub(crate) const USER: Uuid = Uuid::from_u128(0x0193_a5e0);
pub(crate) const SESSION: Uuid = Uuid::from_u128(0x0193_a5e1);

type Asked = (Request<'static>, Common<'static>);

pub(crate) struct Fake {
    pub(crate) addr: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Answers each request by `script`, or not at all and closes where that is `None`.
    pub(crate) fn start(
        script: impl Fn(&Request<'_>) -> Option<Reply<'static>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, script) = (Arc::clone(&asked), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                thread::spawn(move || serve(stream.unwrap(), &seen, &*script));
            }
        });
        Self { addr, asked }
    }

    /// Answers everything with one reply.
    pub(crate) fn saying(reply: impl Into<Reply<'static>>) -> Self {
        let reply = reply.into();
        Self::start(move |_| Some(reply.clone()))
    }

    pub(crate) fn refusing(code: ErrorCode) -> Self {
        Self::saying(error(code))
    }

    /// What was asked since this was called last.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// The one request that was asked since.
    pub(crate) fn request(&self) -> Request<'static> {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0).0
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Asked>>,
    script: &dyn Fn(&Request<'_>) -> Option<Reply<'static>>,
) {
    let (mut input, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let mut out = BytesMut::new();
        match frame::split(&input) {
            Ok(Some((found, size))) => {
                let closes = answer(found, seen, script, &mut out);
                input.drain(..size);
                if stream.write_all(&out).is_err() || closes {
                    return;
                }
                continue;
            }
            Ok(None) => {}
            Err(fault) => {
                Reply::from(error(fault.code())).encode(0, &mut out).unwrap();
                let _ = stream.write_all(&out);
                return;
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(count) => input.extend_from_slice(&chunk[..count]),
        }
    }
}

/// Answers one frame; whether the connection ends.
fn answer(
    found: frame::Frame<'_>,
    seen: &Mutex<Vec<Asked>>,
    script: &dyn Fn(&Request<'_>) -> Option<Reply<'static>>,
    out: &mut BytesMut,
) -> bool {
    let reply = match Request::decode(found.kind, found.body) {
        Ok((request, common)) => {
            let reply = script(&request);
            seen.lock().unwrap().push((request.into_owned(), common.into_owned()));
            reply
        }
        Err(fault) => Some(error(fault.code()).into()),
    };
    if let Some(reply) = &reply {
        reply.encode(found.id, out).unwrap();
    }
    reply.is_none()
}

pub(crate) fn error(code: ErrorCode) -> ErrorReply<'static> {
    ErrorReply { code, message: "as the script says".into(), retry_after_ms: None, field: None }
}

pub(crate) fn pong() -> Pong {
    Pong { max_in_flight: Some(256), idle_timeout: Some(300) }
}

/// Tokens that end with `generation`.
pub(crate) fn logged_in(generation: u32) -> LoggedIn<'static> {
    LoggedIn {
        user_id: USER,
        session_id: SESSION,
        access_token: format!("access-{generation}").into(),
        access_expires_in: 900,
        refresh_token: format!("refresh-{generation}").into(),
        refresh_expires_in: 2_592_000,
    }
}

pub(crate) fn email_verified() -> EmailVerified<'static> {
    let LoggedIn {
        user_id,
        session_id,
        access_token,
        access_expires_in,
        refresh_token,
        refresh_expires_in,
    } = logged_in(1);
    EmailVerified {
        user_id,
        session_id,
        access_token,
        access_expires_in,
        refresh_token,
        refresh_expires_in,
    }
}

pub(crate) fn refreshed() -> TokenRefreshed<'static> {
    let LoggedIn {
        user_id,
        session_id,
        access_token,
        access_expires_in,
        refresh_token,
        refresh_expires_in,
    } = logged_in(2);
    TokenRefreshed {
        user_id,
        session_id,
        access_token,
        access_expires_in,
        refresh_token,
        refresh_expires_in,
    }
}
