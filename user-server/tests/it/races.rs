//! Many at once: whatever two requests do at the same time, the answer is one that they could have had one after the
//! other.

mod accounts;
mod codes;
mod sessions;
