//! Upgrades and rollbacks: databases of earlier versions serve their users, and two versions serve
//! side by side.

mod across;
mod fixture;
mod kept_sessions;
pub mod later_schema;
mod lease;
mod old_sessions;
mod sql_dump;
mod two_versions;
mod write;
