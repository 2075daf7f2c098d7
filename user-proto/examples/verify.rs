//! Checks an access token in memory: `cargo run -p user-proto --features verifier --example verify
//! -- 127.0.0.1:3001 TOKEN`.

#![allow(clippy::print_stdout, reason = "an example prints its results")]

use std::time::Duration;

use user_proto::client::PoolConfig;
use user_proto::verifier::{Verifier, VerifierConfig, VerifyError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [nodes @ .., token] = arguments.as_slice() else {
        return Err("usage: verify ADDR... TOKEN".into());
    };
    let verifier = Verifier::connect(nodes, PoolConfig::default(), VerifierConfig::default())?;
    // Not required: until the revocations have arrived, a check asks the service.
    verifier.wait_until_complete(Duration::from_secs(5)).await;
    let place = if verifier.ready() { "in memory" } else { "by asking the service" };
    match verifier.verify(token).await {
        Ok(verified) => println!("valid, checked {place}: user {}", verified.user_id),
        Err(VerifyError::Unavailable) => println!("answer 503"),
        Err(error) => println!("answer 401: {error}"),
    }
    verifier.close().await;
    Ok(())
}
