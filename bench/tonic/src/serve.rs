//! The server: the code that tonic's generator would write for one unary method, on tonic's default
//! transport.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, UnaryService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::Failure;
use crate::messages::{PATH, TokenVerified, VerifyToken};

pub async fn serve(addr: SocketAddr) -> Result<(), Failure> {
    Ok(Server::builder().serve(addr, Users).await?)
}

#[derive(Clone)]
struct Users;

impl Service<http::Request<Body>> for Users {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            Ok(match request.uri().path() {
                PATH => Grpc::new(ProstCodec::default()).unary(Verify, request).await,
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

struct Verify;

impl UnaryService<VerifyToken> for Verify {
    type Response = TokenVerified;
    type Future = Ready<Result<Response<TokenVerified>, Status>>;

    fn call(&mut self, request: Request<VerifyToken>) -> Self::Future {
        let echo = TokenVerified::echo(&request.get_ref().access_token);
        ready(echo.map(Response::new).ok_or_else(|| Status::invalid_argument("token too short")))
    }
}
