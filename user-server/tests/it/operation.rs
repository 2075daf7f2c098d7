//! Day-to-day operation: what a new operator types, mistypes and looks for.

mod certificates;
mod commands;
mod ready;
mod settings;
mod status;
mod users;
