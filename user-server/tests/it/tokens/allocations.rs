//! A token check allocates nothing, from the frame to the reply.

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use bytes::BytesMut;
use user_proto::{Reply, Request, VerifyToken, frame};
use user_server::cache::LocalCache;
use user_server::config::Config;
use user_server::domain::{Clock, Store, SystemClock};
use user_server::metrics::Metrics;
use user_server::service::{CachePorts, ServiceCore};
use user_server::store::SqliteStore;
use user_server::tcp::request_labels;
use user_server::tokens::Verifiers;
use uuid::Uuid;

use super::cases::SECRET;
use crate::support::request_frame;

#[tokio::test]
async fn a_token_check_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let settings = |name: &str| match name {
        "DATA_DIR" => Some(path.clone()),
        "JWTSECRETKEY" => Some(SECRET.to_owned()),
        _ => None,
    };
    let config = Config::read(&settings, false).unwrap();
    let keys = Arc::new(config.keys().unwrap());
    let store = SqliteStore::open(&folder.path().join("users.db")).await.unwrap();
    let (store, clock): (Arc<dyn Store>, Arc<dyn Clock>) = (Arc::new(store), Arc::new(SystemClock));
    let metrics = Arc::new(Metrics::new(request_labels(), SystemClock.now()));
    let cache: Arc<LocalCache> = Arc::new(LocalCache::none(metrics.cache.clone()));
    let handler = ServiceCore::assemble(
        &config,
        &clock,
        &keys,
        &store,
        &CachePorts::single_node(cache),
        &metrics,
    )
    .unwrap()
    .handler;

    let verifiers = Verifiers::new(&keys, &config.tokens).unwrap();
    let now = clock.now();
    let token = verifiers
        .issue(Uuid::new_v4(), Uuid::new_v4(), now, now.plus(Duration::from_secs(60)))
        .unwrap();
    let request_bytes = request_frame(
        7,
        VerifyToken { access_token: token.as_str().into() },
        &user_proto::Common::default(),
    );
    let mut out = BytesMut::with_capacity(512);
    let mut check = || {
        out.clear();
        let (found, _) = frame::split(&request_bytes).unwrap().unwrap();
        let (request, common) = Request::decode(found.kind, found.body).unwrap();
        let reply = handler.answer_now(&request, &common, handler.read_clocks()).unwrap();
        assert!(matches!(reply, Reply::TokenVerified(_)), "{reply:?}");
        reply.encode(found.id, &mut out).unwrap();
    };
    // The first check on a thread initialises what the thread keeps.
    check();
    let counted = measure(|| (0..100).for_each(|_| check()));
    assert_eq!(counted.count_total, 0);
}
