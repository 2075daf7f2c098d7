//! Verifiers that follow the same nodes, and their recorded histories.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use user_proto::client::PoolConfig;
use user_proto::verifier::{Verifier, VerifierConfig, VerifyError};
use uuid::Uuid;

use super::history::{History, Outcome, Verdict};
use crate::support::TEST_TIMEOUT;

/// Verifiers, and the record of each.
pub struct Fleet {
    verifiers: Vec<Verifier>,
    histories: Vec<History<Uuid>>,
}

impl Fleet {
    /// Starts verifiers of the nodes at these addresses, and waits until they are ready.
    pub async fn start(addresses: &[String], count: usize) -> Self {
        let start = |_| {
            Verifier::connect(addresses, PoolConfig::default(), VerifierConfig::default()).unwrap()
        };
        let verifiers: Vec<Verifier> = (0..count).map(start).collect();
        for verifier in &verifiers {
            assert!(verifier.wait_until_complete(TEST_TIMEOUT).await, "{:?}", verifier.status());
            assert!(verifier.ready(), "{:?}", verifier.status());
        }
        let histories = verifiers.iter().map(|_| History::default()).collect();
        Self { verifiers, histories }
    }

    /// Returns one of the verifiers.
    pub fn verifier(&self) -> Verifier {
        self.verifiers[0].clone()
    }

    /// Waits until every verifier accepts a token.
    pub async fn accept(&self, token: &str) {
        let began = Instant::now();
        for verifier in &self.verifiers {
            while let Err(error) = verifier.verify(token).await {
                assert!(began.elapsed() < TEST_TIMEOUT, "{error}: {:?}", verifier.status());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// Checks a token at every verifier while `revoke` revokes it, until each verifier has refused
    /// it.
    pub async fn observe(&mut self, subject: Uuid, token: &str, revoke: impl Future<Output = ()>) {
        // Checks of a hundred verifiers would otherwise use the whole processor.
        let pause = Duration::from_millis(if self.verifiers.len() > 10 { 20 } else { 2 });
        let mut checks = JoinSet::new();
        for (index, verifier) in self.verifiers.iter().cloned().enumerate() {
            let token = token.to_owned();
            checks.spawn(async move {
                let (start, mut verdicts) = (Instant::now(), Vec::new());
                loop {
                    let began = Instant::now();
                    let outcome = match verifier.verify(&token).await {
                        Ok(_) => Outcome::Valid,
                        Err(VerifyError::Unavailable) => Outcome::Unavailable,
                        Err(_) => Outcome::Refused,
                    };
                    verdicts.push(Verdict { subject, began, ended: Instant::now(), outcome });
                    if outcome == Outcome::Refused {
                        return (index, verdicts);
                    }
                    assert!(start.elapsed() < TEST_TIMEOUT, "{:?}", verifier.status());
                    tokio::time::sleep(pause).await;
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let requested = Instant::now();
        revoke.await;
        let acknowledged = Instant::now();
        for (index, verdicts) in checks.join_all().await {
            let history = &mut self.histories[index];
            history.revoked(subject, requested, acknowledged);
            verdicts.into_iter().for_each(|verdict| history.checked(verdict));
        }
    }

    /// Checks a token at every verifier for this time. Returns the time after which the last check
    /// that accepted it began.
    pub async fn last_accepted(&self, token: &str, time: Duration) -> Duration {
        let (start, mut last) = (Instant::now(), Duration::ZERO);
        while start.elapsed() < time {
            for verifier in &self.verifiers {
                let began = start.elapsed();
                match verifier.verify(token).await {
                    Ok(_) => last = last.max(began),
                    Err(error) => assert_eq!(error, VerifyError::Unavailable),
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        last
    }

    /// Asserts that no verifier accepts a token, now or a moment later.
    pub async fn refuse(&self, tokens: &[String]) {
        for _ in 0..3 {
            for verifier in &self.verifiers {
                for token in tokens {
                    assert!(verifier.verify(token).await.is_err(), "{:?}", verifier.status());
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Asserts that every history keeps the bound, and returns a row of the table.
    pub fn row(&self, case: &str, bound: Duration) -> String {
        let mut times = Vec::new();
        let mut longest = Duration::ZERO;
        for history in &self.histories {
            history.assert_bound(bound);
            times.extend(history.times_to_refusal());
            longest = longest.max(history.longest_valid());
        }
        times.sort_unstable();
        let millis = |time: Duration| time.as_millis();
        let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
        format!(
            "| {case} | {} | {} | {} ms | {} ms | {} ms | {} s |",
            self.verifiers.len(),
            times.len(),
            millis(median),
            millis(last),
            millis(longest),
            bound.as_secs()
        )
    }
}
