//! The rules of accounts, codes and tokens, each in a short sequence of requests. The tests advance
//! the clock.

mod answers;
mod budgets;
mod clock;
mod email;
mod input;
mod logins;
mod logout;
mod names;
mod passwords;
mod refresh;
mod registration;
mod resend;
mod sessions;
mod update;
