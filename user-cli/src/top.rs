//! The live view of a server's metrics. It depends on the names of the metrics and on nothing else
//! of the server.

pub(crate) mod metrics;
pub(crate) mod page;
pub(crate) mod scrape;
pub(crate) mod screen;
