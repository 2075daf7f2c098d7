//! The service manager: systemd, or another one that supports sd_notify(3). Without one, nothing is
//! sent.

use std::time::Duration;

use sd_notify::NotifyState;

/// Interval at which the status is compared with the one that was sent last.
const STATUS_INTERVAL: Duration = Duration::from_secs(2);

/// Reports that the service is ready: all its listeners accept connections.
pub fn notify_ready() {
    notify(&NotifyState::Ready);
}

/// Reports that the service is shutting down.
pub fn notify_stopping() {
    notify(&NotifyState::Stopping);
}

/// Reports the status whenever it changes, and that this process is alive if the service manager
/// expects that (WatchdogSec=). Does not return. It runs as a task beside the requests, so it falls
/// silent when requests are no longer executed either.
pub async fn report(status: impl Fn() -> String) {
    let watchdog = sd_notify::watchdog_enabled();
    let interval = watchdog.map_or(STATUS_INTERVAL, |period| STATUS_INTERVAL.min(period / 3));
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = String::new();
    loop {
        tick.tick().await;
        if watchdog.is_some() {
            notify(&NotifyState::Watchdog);
        }
        let now = status();
        if now != last {
            notify(&NotifyState::Status(&now));
            last = now;
        }
    }
}

/// Sends one state. The service works the same if it cannot be sent.
fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, "cannot notify the service manager");
    }
}
