//! Upgrades and rollbacks: databases of earlier versions serve their users, and two versions serve
//! side by side.

pub mod later_schema;
