//! The load generator. It speaks to the socket itself, over the frames of user-proto: requests are
//! written in batches, and a thread drives many connections. It knows the server only from outside.

mod accounts;
mod connect;
mod cost;
mod engine;
mod link;
mod mails;
mod mix;
mod pace;
mod plot;
mod redis;
mod run;
mod show;
mod summary;
mod tally;
mod users;

pub(crate) use mix::Mix;
pub(crate) use redis::RedisUrl;
pub(crate) use run::run;
