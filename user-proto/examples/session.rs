//! Logs in, checks the token, and logs out: `cargo run -p user-proto --features tls --example
//! session -- 127.0.0.1:3001 ada PASSWORD`.

#![allow(clippy::print_stdout, reason = "an example prints its results")]

use std::net::IpAddr;

use user_proto::client::{Client, Error};
use user_proto::{Common, ErrorCode, ErrorOutcome, Login, Logout, VerifyToken};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [addr, login, password] = arguments.as_slice() else {
        return Err("usage: session ADDR LOGIN PASSWORD".into());
    };
    let client = Client::new(addr.clone());

    // For an end user: the server counts attempts by this address if it trusts the gateway. After
    // the deadline, the server does not begin what nobody waits for.
    let end_user: IpAddr = [192, 0, 2, 7].into();
    let common = Common {
        client_address: Some(end_user.into()),
        deadline_ms: Some(5_000),
        ..Common::default()
    };
    let request = Login::new(login.as_str().into(), password.as_str().into());
    let session = match client.call_with(request, common).await {
        Ok(session) => session,
        Err(error) => {
            println!("{}", explain(&error));
            std::process::exit(1);
        }
    };
    println!("logged in as {}", session.user_id);

    let access_token = session.access_token.clone();
    let verified = client.call(VerifyToken { access_token }).await?;
    println!("the token is valid until {}", verified.expires_at.0);

    client.call(Logout { token: session.access_token.clone(), all_sessions: None }).await?;
    let refused = client.call(VerifyToken { access_token: session.access_token }).await;
    if refused.is_err_and(|error| error.code() == Some(ErrorCode::SESSION_REVOKED)) {
        println!("after the logout, it is refused");
    }
    client.close().await;
    Ok(())
}

/// Returns what a gateway would tell its user.
fn explain(error: &Error) -> String {
    match error.code() {
        Some(ErrorCode::INVALID_CREDENTIALS) => "wrong name or password".to_owned(),
        Some(ErrorCode::RATE_LIMITED) => "too many attempts; try again later".to_owned(),
        _ if error.outcome() == ErrorOutcome::Unknown => {
            format!("it is not known whether that was done: {error}")
        }
        _ => format!("not done: {error}"),
    }
}
