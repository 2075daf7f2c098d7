//! The vectors of tokens with public keys: the verifier returns the verdict of the server, which
//! has the same vectors in its tests.

use serde_json::Value;
use user_proto::ErrorCode;
use user_proto::verifier::VerifyError;

use super::service::Service;
use super::signer::unix_ms;

#[tokio::test]
async fn the_verdicts_on_the_vectors_are_those_of_the_server() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/tokens.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let service = Service::start(&[]).await;
    {
        let mut script = service.script();
        script.jwks = file["jwks"].to_string();
        script.access_life = file["access_life"].as_u64().unwrap().try_into().unwrap();
        let now = 1000 * i64::try_from(file["now"].as_u64().unwrap()).unwrap();
        script.clock_ms = now - i64::try_from(unix_ms()).unwrap();
        script.verify_error = Some(ErrorCode::INVALID_TOKEN);
    }
    let verifier = service.ready().await;
    let vectors = file["vectors"].as_array().unwrap();
    assert!(vectors.len() > 100, "{}", vectors.len());
    // The second verdict comes from the cache.
    for _ in 0..2 {
        for vector in vectors {
            let text = |key: &str| vector[key].as_str().unwrap();
            let verdict = match verifier.verify(text("token")).await {
                Ok(_) => "OK",
                Err(VerifyError::Expired) => "TOKEN_EXPIRED",
                Err(VerifyError::Invalid) => "INVALID_TOKEN",
                Err(error) => panic!("{}: {error}", text("name")),
            };
            assert_eq!(verdict, text("verdict"), "{}", text("name"));
        }
    }
    assert!(verifier.status().cache_hits > 0);
}
