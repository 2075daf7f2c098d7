//! Day-to-day operation: what a new operator types, mistypes and looks for.

mod certificates;
mod check;
mod commands;
mod lost_secret;
mod messages;
mod ready;
mod service_manager;
mod settings;
mod status;
mod users;
