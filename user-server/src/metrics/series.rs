//! Building blocks of the metrics: labelled counters, and gauges.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// One label of a series: its name and its value.
pub(super) type Label = [(&'static str, &'static str); 1];

/// A gauge of seconds.
pub(super) type Seconds = Gauge<f64, AtomicU64>;

/// Returns one counter for each value of a label, all of which are exposed from the start: a series
/// that appears with its first event hides that event from `rate`.
pub(super) fn counters(
    label: &'static str,
    values: impl IntoIterator<Item = &'static str>,
) -> Family<Label, Counter> {
    let family = Family::default();
    for value in values {
        drop(Family::<Label, Counter>::get_or_create(&family, &[(label, value)]));
    }
    family
}

/// Registers a gauge.
pub(super) fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}
