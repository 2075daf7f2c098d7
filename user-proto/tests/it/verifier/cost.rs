//! The cost of a check.

use allocation_counter::measure;

use super::service::Service;
use super::signer::Signer;

#[tokio::test]
async fn a_token_that_was_seen_before_costs_no_allocation() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    for signer in &signers {
        let token = signer.token();
        assert!(verifier.verify_local(&token).unwrap().is_ok());
        let allocations = measure(|| {
            for _ in 0..1_000 {
                assert!(verifier.verify_local(&token).unwrap().is_ok());
            }
        });
        assert_eq!(allocations.count_total, 0);
    }
    assert_eq!(verifier.status().cache_hits, 2_000);
    assert_eq!(verifier.status().cached_tokens, 2);
    assert_eq!(verifier.status().valid, 2_002);
}
