//! The async client against servers that follow a script.

mod ends;
mod fake;
mod limits;
mod replies;
mod retries;
mod tls;
