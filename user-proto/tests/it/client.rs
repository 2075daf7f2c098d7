//! The async client against a scripted server.

mod ends;
mod fake;
mod limits;
mod pool;
mod replies;
mod retries;
mod tls;
