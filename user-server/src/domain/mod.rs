//! The domain types of the service, without any I/O: usernames, email addresses, passwords, time,
//! refusals, and one file per aggregate with its records and the port that stores them. It depends
//! on no other module.

#[macro_use]
mod port;

#[macro_use]
mod audit;
#[macro_use]
mod budget;
mod cache;
mod change;
mod clock;
#[macro_use]
mod code;
mod device;
mod email;
mod failure;
#[macro_use]
mod idempotency;
#[macro_use]
mod keys;
#[macro_use]
mod mail;
#[macro_use]
mod maintenance;
mod network;
mod network_counters;
#[macro_use]
mod operators;
mod password;
mod request;
#[macro_use]
mod session;
mod store;
#[macro_use]
mod user;
mod username;

pub use audit::*;
pub use budget::*;
pub use cache::*;
pub use change::*;
pub use clock::*;
pub use code::*;
pub use device::*;
pub use email::*;
pub use failure::*;
pub use idempotency::*;
pub use keys::*;
pub use mail::*;
pub use maintenance::*;
pub use network::*;
pub use network_counters::*;
pub use operators::*;
pub use password::*;
pub use request::*;
pub use session::*;
pub use store::*;
pub use user::*;
pub use username::*;
