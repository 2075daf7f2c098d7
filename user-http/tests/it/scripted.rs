//! A node of the service that answers as a test says.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use bytes::BytesMut;
use user_proto::{
    Common, ErrorCode, ErrorReply, Pong, Reply, Request, TokenVerified, UnixSeconds, frame,
};
use uuid::Uuid;

/// A token of a form that a service could accept, with the kid "k".
pub(crate) const TOKEN: (&str, &str) =
    ("Authorization", "Bearer eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSIsImtpZCI6ImsifQ.e30.AAAA");

/// Starts a node that answers pings, and every other request with the reply that `answer` returns,
/// or not at all. Each request is answered in a thread of its own. Returns the address.
pub(crate) fn node(
    answer: impl Fn(&Request<'static>, &Common<'static>) -> Option<Reply<'static>>
    + Send
    + Sync
    + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            thread::spawn(move || {
                let (mut input, mut chunk) = (Vec::new(), [0; 4096]);
                loop {
                    while let Some((found, size)) = frame::split(&input).unwrap() {
                        let id = found.id;
                        let (request, common) = Request::decode(found.kind, found.body).unwrap();
                        let (request, common) = (request.into_owned(), common.into_owned());
                        input.drain(..size);
                        let (mut stream, answer) =
                            (stream.try_clone().unwrap(), Arc::clone(&answer));
                        thread::spawn(move || {
                            let reply = match request {
                                Request::Ping(_) => Some(pong()),
                                request => answer(&request, &common),
                            };
                            let mut out = BytesMut::new();
                            if let Some(reply) = reply {
                                reply.encode(id, &mut out).unwrap();
                            }
                            let _ = stream.write_all(&out);
                        });
                    }
                    match stream.read(&mut chunk) {
                        Ok(0) | Err(_) => return,
                        Ok(count) => input.extend_from_slice(&chunk[..count]),
                    }
                }
            });
        }
    });
    address
}

fn pong() -> Reply<'static> {
    Pong { max_in_flight: None, idle_timeout: None, max_hashing: None }.into()
}

/// The reply that a token is valid.
pub(crate) fn verified() -> TokenVerified {
    TokenVerified {
        user_id: Uuid::from_u128(1),
        session_id: Uuid::from_u128(2),
        issued_at: UnixSeconds(1),
        expires_at: UnixSeconds(2),
        stale_ms: None,
    }
}

pub(crate) fn error(code: ErrorCode, retry_after_ms: Option<u32>) -> Reply<'static> {
    ErrorReply { code, message: "as scripted".into(), retry_after_ms, field: None }.into()
}
