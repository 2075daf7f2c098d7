//! A cached token has the same verdict as one that is not cached.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use user_proto::verifier::VerifierConfig;

use super::service::{Service, verifier};
use super::signer::{Claims, Signer, id};

#[test]
fn cached_and_uncached_verdicts_are_equal() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let signers = Signer::both();
    let foreign = [Signer::eddsa("ed"), Signer::es256("es")];
    let now = Claims::default().issued_at;
    let (sessions, users) = ([id(), id(), id()], [id(), id(), id()]);
    let (service, verifiers) = runtime.block_on(async {
        let service = Service::start(&signers).await;
        service.push(1, sessions[0].as_bytes(), 0);
        service.push(2, users[0].as_bytes(), 0);
        service.push(3, &[], now - 500);
        let sizes = [100_000, 1];
        let verifiers = sizes.map(|cached_tokens| {
            verifier(&[&service], VerifierConfig { cached_tokens, ..VerifierConfig::default() })
        });
        for verifier in &verifiers {
            assert!(verifier.wait_until_complete(Duration::from_secs(5)).await);
        }
        (service, verifiers)
    });
    let [cached, uncached] = &verifiers;
    let seconds = prop_oneof![Just(0_i64), -1000..1000_i64];
    let token = (0..2_usize, 0..3_usize, 0..3_usize, seconds, 0..1_000_i64, 0..10_u8, any::<u16>());
    let verdicts = [const { std::cell::Cell::new(0) }; 2];
    let mut runner = TestRunner::new(Config { cases: 500, ..Config::default() });
    runner
        .run(&token, |(signer, session, user, issued, life, change, at)| {
            // Times near the limit could pass it between the two checks.
            let issued_at = now.checked_add_signed(issued).unwrap();
            let expires_at = issued_at.checked_add_signed(life).unwrap();
            prop_assume!(expires_at.abs_diff(now) > 5 && issued_at.abs_diff(now + 60) > 5);
            let claims =
                Claims { session: sessions[session], user: users[user], issued_at, expires_at };
            let issuer = if change == 0 { &foreign[signer] } else { &signers[signer] };
            let mut token = issuer.issue(&claims).into_bytes();
            let at = usize::from(at) % token.len();
            match change {
                1 => token[at] ^= 1,
                2 => token.truncate(at),
                _ => {}
            }
            let first = cached.verify_local(&token);
            for other in [cached.verify_local(&token), uncached.verify_local(&token)] {
                // Only the age may differ.
                let plain = |verdict: &Option<Result<user_proto::verifier::Verified, _>>| {
                    verdict.clone().map(|verdict| {
                        verdict.map(|verified| {
                            (verified.user_id, verified.session_id, verified.issued_at)
                        })
                    })
                };
                prop_assert_eq!(plain(&first), plain(&other));
            }
            let count = &verdicts[usize::from(matches!(first, Some(Ok(_))))];
            count.set(count.get() + 1);
            Ok(())
        })
        .unwrap();
    assert!(verdicts.iter().all(|count| count.get() > 20), "{verdicts:?}");
    assert!(cached.status().cache_hits > 200 && uncached.status().cached_tokens <= 1);
    drop(service);
}
