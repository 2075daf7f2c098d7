//! A scripted server, made of blocking sockets and the protocol's encoder and decoder.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::BytesMut;
use user_proto::{
    Common, EmailVerified, ErrorCode, ErrorReply, LoggedIn, Pong, Reply, Request, TokenRefreshed,
    TokenReply, frame,
};
use uuid::Uuid;

pub(crate) const VERIFICATION: Uuid = Uuid::from_u128(0x0193_a5df);
pub(crate) const USER: Uuid = Uuid::from_u128(0x0193_a5e0);
pub(crate) const SESSION: Uuid = Uuid::from_u128(0x0193_a5e1);

type Received = (Request<'static>, Common<'static>);

pub(crate) struct FakeServer {
    pub(crate) addr: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl FakeServer {
    /// Starts a server that replies to each request as `script` returns, or closes the connection
    /// if that is `None`.
    pub(crate) fn start(
        script: impl Fn(&Request<'_>) -> Option<Reply<'static>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (requests, script) = (Arc::clone(&received), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (requests, script) = (Arc::clone(&requests), Arc::clone(&script));
                thread::spawn(move || serve(stream.unwrap(), &requests, &*script));
            }
        });
        Self { addr, received }
    }

    /// Starts a server that replies to every request with the same reply.
    pub(crate) fn replying(reply: impl Into<Reply<'static>>) -> Self {
        let reply = reply.into();
        Self::start(move |_| Some(reply.clone()))
    }

    /// Starts a server that replies to every request with this error.
    pub(crate) fn refusing(code: ErrorCode) -> Self {
        Self::replying(error(code))
    }

    /// Returns the requests received since the last call.
    pub(crate) fn take_requests(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().unwrap())
    }

    /// Returns the only request received since the last call.
    pub(crate) fn take_request(&self) -> Request<'static> {
        let mut requests = self.take_requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0).0
    }
}

fn serve(
    mut stream: TcpStream,
    requests: &Mutex<Vec<Received>>,
    script: &dyn Fn(&Request<'_>) -> Option<Reply<'static>>,
) {
    let (mut input, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let mut out = BytesMut::new();
        match frame::split(&input) {
            Ok(Some((frame, size))) => {
                let closes = respond(frame, requests, script, &mut out);
                input.drain(..size);
                if stream.write_all(&out).is_err() || closes {
                    return;
                }
                continue;
            }
            Ok(None) => {}
            Err(invalid) => {
                Reply::from(error(invalid.code())).encode(0, &mut out).unwrap();
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

/// Responds to one frame. Returns true if the connection is to be closed.
fn respond(
    frame: frame::Frame<'_>,
    requests: &Mutex<Vec<Received>>,
    script: &dyn Fn(&Request<'_>) -> Option<Reply<'static>>,
    out: &mut BytesMut,
) -> bool {
    let reply = match Request::decode(frame.kind, frame.body) {
        Ok((request, common)) => {
            let reply = script(&request);
            requests.lock().unwrap().push((request.into_owned(), common.into_owned()));
            reply
        }
        Err(invalid) => Some(error(invalid.code()).into()),
    };
    if let Some(reply) = &reply {
        reply.encode(frame.id, out).unwrap();
    }
    reply.is_none()
}

pub(crate) fn error(code: ErrorCode) -> ErrorReply<'static> {
    ErrorReply { code, message: "as scripted".into(), retry_after_ms: None, field: None }
}

pub(crate) fn pong() -> Pong {
    Pong { max_in_flight: Some(256), idle_timeout: Some(300), max_hashing: None }
}

/// Returns a reply with tokens that end with `generation`.
fn tokens<const TYPE: u8>(generation: u32) -> TokenReply<'static, TYPE> {
    TokenReply {
        user_id: USER,
        session_id: SESSION,
        access_token: format!("access-{generation}").into(),
        access_expires_in: 900,
        refresh_token: format!("refresh-{generation}").into(),
        refresh_expires_in: 2_592_000,
    }
}

pub(crate) fn logged_in(generation: u32) -> LoggedIn<'static> {
    tokens(generation)
}

pub(crate) fn email_verified() -> EmailVerified<'static> {
    tokens(1)
}

pub(crate) fn refreshed() -> TokenRefreshed<'static> {
    tokens(2)
}
