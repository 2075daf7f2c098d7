//! The process and its system: the log on stderr, the limit of open files, and the service manager.
//! This module knows nothing of users, requests or settings.

mod logs;
mod open_files;
mod service_manager;
mod user;

pub use logs::{LogFlush, LogStyle, dropped_lines, start_logs};
pub use open_files::{OpenFiles, raise_open_files};
pub use service_manager::{notify_ready, notify_stopping, report};
pub use user::user_name;
