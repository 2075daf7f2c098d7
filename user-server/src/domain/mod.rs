//! What the service is about, without any I/O: names, addresses, passwords, sessions, time,
//! refusals, and the ports through which the services reach storage and mail. It uses no other
//! room.

pub mod act;
pub mod audit;
pub mod caller;
pub mod clock;
pub mod email;
pub mod failure;
pub mod mail;
pub mod password;
pub mod ports;
pub mod records;
pub mod username;

pub use act::{Act, Origin};
pub use caller::{Caller, ClientNetwork};
pub use clock::{Clock, SharedClock, SystemClock, Timestamp};
pub use email::Email;
pub use failure::{Failure, Fault, Outcome, Refusal};
pub use password::{Password, hash_class};
pub use username::Username;
