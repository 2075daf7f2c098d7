//! Time of one check by a verifier, in memory. Run with `cargo bench -p user-proto --bench
//! verifier`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark, not an interface")]

#[path = "../tests/it/verifier/service.rs"]
#[allow(dead_code, reason = "the tests use the other items")]
mod service;
#[path = "../tests/it/verifier/signer.rs"]
#[allow(dead_code, reason = "the tests use the other items")]
mod signer;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use user_proto::verifier::{Verifier, VerifierConfig};

use service::{Service, verifier};
use signer::{Signer, id};

/// Number of tokens in the benchmark of new tokens. The cache holds one.
const TOKENS: usize = 10_000;

/// Starts a verifier that has received this many revocations.
fn start(
    runtime: &Runtime,
    signers: &[Signer],
    revocations: usize,
    cached: usize,
) -> (Service, Verifier) {
    runtime.block_on(async {
        let service = Service::start(signers).await;
        for _ in 0..revocations {
            service.push(1, id().as_bytes(), 0);
        }
        let config = VerifierConfig { cached_tokens: cached, ..VerifierConfig::default() };
        let verifier = verifier(&[&service], config);
        assert!(verifier.wait_until_complete(Duration::from_secs(60)).await);
        (service, verifier)
    })
}

fn checks(c: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let signers = Signer::both();
    let mut group = c.benchmark_group("seen_before");
    for revocations in [0, 1_000, 1_000_000] {
        let (_service, verifier) = start(&runtime, &signers, revocations, 100_000);
        for signer in &signers {
            let token = signer.token();
            group.bench_function(BenchmarkId::new(signer.alg(), revocations), |b| {
                b.iter(|| black_box(verifier.verify_local(black_box(&token))).unwrap().unwrap());
            });
        }
        // Many tokens, which do not fit into the caches of a core.
        let tokens: Vec<_> = (0..50_000).map(|_| signers[0].token()).collect();
        for token in &tokens {
            verifier.verify_local(token).unwrap().unwrap();
        }
        let mut tokens = tokens.iter().cycle();
        group.bench_function(BenchmarkId::new("EdDSA_50000_tokens", revocations), |b| {
            b.iter(|| black_box(verifier.verify_local(tokens.next().unwrap())).unwrap().unwrap());
        });
    }
    group.finish();
    let mut group = c.benchmark_group("new");
    let (_service, verifier) = start(&runtime, &signers, 0, 1);
    for signer in &signers {
        let tokens: Vec<_> = (0..TOKENS).map(|_| signer.token()).collect();
        let mut tokens = tokens.iter().cycle();
        group.bench_function(signer.alg(), |b| {
            b.iter(|| black_box(verifier.verify_local(tokens.next().unwrap())).unwrap().unwrap());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = checks
}
criterion_main!(benches);
