//! The process and its system: the log on stderr, and the limit of open files. This module knows
//! nothing of users, requests or settings.

mod logs;
mod open_files;
mod user;

pub use logs::{LogFlush, LogStyle, dropped_lines, start_logs};
pub use open_files::{OpenFiles, raise_open_files};
pub use user::user_name;
