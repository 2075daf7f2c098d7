//! The server that `bench/gateways` compares user-http with: axum as it comes, which answers every
//! request with 200 and three headers. Takes the address to listen on.

use axum::Router;
use axum::http::HeaderName;

const HEADERS: [(HeaderName, &str); 3] = [
    (HeaderName::from_static("x-user-id"), "d59ccc6d-6083-4b69-bc52-6fade789a103"),
    (HeaderName::from_static("x-session-id"), "f3ea5f62-924c-447c-ab4e-261a4b2dd125"),
    (HeaderName::from_static("x-claims"), "{}"),
];

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3082".to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let router = Router::new().fallback(|| async { HEADERS });
        let listener = tokio::net::TcpListener::bind(address).await?;
        axum::serve(listener, router).await
    })
}
