//! Dispatch of requests to their messages, generated from the protocol table.

use tokio::time::Instant;
use user_proto::{Reply, Request, RequestMessage};

use super::replay::Replay;
use super::{ClockReading, Handle, PendingWatch, Services};
use crate::domain::{Refusal, RequestContext, UseCaseResult};

macro_rules! dispatch {
    ($($message:ident)*) => {
        pub(super) fn is_immediate(request: &Request<'_>) -> bool {
            match request { $(Request::$message(_) => <user_proto::$message as Handle>::IMMEDIATE,)* }
        }

        pub(super) fn changes(request: &Request<'_>) -> bool {
            match request { $(Request::$message(_) => <user_proto::$message as RequestMessage>::CHANGES,)* }
        }

        pub(super) fn needs_key(request: &Request<'_>) -> bool {
            match request { $(Request::$message(_) => <user_proto::$message as Handle>::NEEDS_KEY,)* }
        }

        pub(super) fn check_sizes(request: &Request<'_>) -> Result<(), Refusal> {
            match request { $(Request::$message(request) => request.check_sizes(),)* }
        }

        pub(super) fn hashes(request: &Request<'_>) -> bool {
            match request { $(Request::$message(request) => request.hashes(),)* }
        }

        pub(super) fn answer_now(
            request: &Request<'_>,
            services: &Services,
            clocks: ClockReading,
        ) -> Option<UseCaseResult<Reply<'static>>> {
            match request {
                $(Request::$message(request) => {
                    Some(request.answer_now(services, clocks)?.map(Into::into))
                })*
            }
        }

        pub(super) async fn precheck(
            request: &Request<'_>,
            services: &Services,
            context: &RequestContext,
        ) -> UseCaseResult<()> {
            match request {
                $(Request::$message(request) => request.precheck(services, context).await,)*
            }
        }

        pub(super) fn watch(
            request: &Request<'_>,
            services: &Services,
            arrived: Instant,
        ) -> Option<PendingWatch> {
            match request { $(Request::$message(request) => request.watch(services, arrived),)* }
        }

        pub(super) async fn execute(
            request: Request<'_>,
            services: &Services,
            context: &RequestContext,
        ) -> UseCaseResult<Reply<'static>> {
            match request {
                $(Request::$message(request) => Ok(request.handle(services, context).await?.into()),)*
            }
        }

        pub(super) async fn replay(
            request: Request<'_>,
            services: &Services,
            replay: Replay<'_>,
        ) -> UseCaseResult<Reply<'static>> {
            match request {
                $(Request::$message(request) => Ok(request.replay(services, replay).await?.into()),)*
            }
        }
    };
}

user_proto::for_each_request!(dispatch);
