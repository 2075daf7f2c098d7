//! WatchRevocations 0x21.

use std::borrow::Cow;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use user_proto::limits::MAX_WAIT_MS;
use user_proto::{RevocationRow, Revocations, UnixMillis, UnixSeconds, WatchRevocations};

use super::replies::millis;
use super::{Handle, Services};
use crate::domain::{Refusal, RequestContext, UseCaseResult};
use crate::tokens::{RevocationWatch, Revoked};

/// A WatchRevocations request that waits for its answer.
pub struct PendingWatch {
    revocations: RevocationWatch,
    /// Time at which the request is answered even if there is no revocation.
    until: Instant,
}

impl PendingWatch {
    pub(super) fn new(
        request: &WatchRevocations<'_>,
        services: &Services,
        arrived: Instant,
    ) -> Self {
        let wait = Duration::from_millis(request.wait_ms.min(MAX_WAIT_MS).into());
        let revocations = services.tokens.watch_revocations(&request.cursor);
        Self { revocations, until: arrived + wait }
    }

    /// Answers the request at `deadline` at the latest.
    #[must_use]
    pub(super) fn until(self, deadline: Instant) -> Self {
        Self { until: self.until.min(deadline), ..self }
    }

    /// Returns the time at which the request is answered even if there is no revocation.
    #[must_use]
    pub fn ends_at(&self) -> Instant {
        self.until
    }

    /// Returns true if the request is to be answered at `now`.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.revocations.is_ready() || now >= self.until
    }

    /// Polls for a revocation.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.revocations.poll(context)
    }

    pub(super) fn reply(&self, services: &Services) -> Revocations<'static> {
        let time = services.tokens.time();
        let (page, age) = self.revocations.page(time, Instant::now());
        Revocations {
            cursor: Cow::Owned(page.cursor),
            stale_ms: millis(age),
            more: page.more.into(),
            now_ms: UnixMillis(u64::try_from(time.0).unwrap_or(0)),
            entries: page.entries.into_iter().map(row).collect(),
        }
    }
}

fn row(revoked: Revoked) -> RevocationRow<'static> {
    let row = |kind, id: &[u8]| RevocationRow {
        kind,
        id: Cow::Owned(id.to_vec()),
        before: UnixSeconds(0),
    };
    match revoked {
        Revoked::Session(id) => row(1, id.as_bytes()),
        Revoked::User(id) => row(2, id.as_bytes()),
        Revoked::Everyone(until) => RevocationRow { before: UnixSeconds(until), ..row(3, &[]) },
        Revoked::Key(kid) => row(4, kid.as_bytes()),
    }
}

impl Handle for WatchRevocations<'_> {
    fn check_sizes(&self) -> Result<(), Refusal> {
        Ok(())
    }

    fn watch(&self, services: &Services, arrived: Instant) -> Option<PendingWatch> {
        Some(PendingWatch::new(self, services, arrived))
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<Revocations<'static>> {
        let mut watch = PendingWatch::new(&self, services, Instant::now()).until(context.deadline);
        let until = watch.until;
        // Answered at the end of the time as well.
        let _ = tokio::time::timeout_at(until, poll_fn(|context| watch.poll(context))).await;
        Ok(watch.reply(services))
    }
}
