//! Every rule of accounts, codes and tokens as a short dialogue, with the clock turned by hand.

mod answers;
mod email;
mod input;
mod logins;
mod logout;
mod passwords;
mod refresh;
mod registration;
mod resend;
mod sessions;
mod update;
