//! What every cache owes the services: one suite, run by each unchanged. Times are arguments, so
//! nothing here waits.

use std::sync::Arc;

use user_server::domain::{CacheLookup, Leases, Profile, RecordCache, Timestamp};
use uuid::Uuid;

use super::{LIFE, local, shared};
use crate::contract::fixture::together;
use crate::support::Redis;

type Shared = Arc<dyn RecordCache>;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub fn profile(id: Uuid, version: i64) -> Profile {
    let (username, email) = (format!("name {version}"), "ada@example.org".to_owned());
    Profile { id, username, email, created_at: NOW, version }
}

/// A session and its user, and the cache that is asked for them.
struct Token(Shared, Uuid, Uuid);

impl Token {
    fn new(cache: &Shared) -> Self {
        Self(cache.clone(), Uuid::new_v4(), Uuid::new_v4())
    }

    async fn known(&self, least: i64) -> Result<Profile, Leases> {
        match self.0.look_up(self.1, self.2, least, NOW).await {
            CacheLookup::Known(profile) => Ok(profile),
            CacheLookup::Unknown(leases) => Err(leases),
        }
    }

    async fn leases(&self) -> Leases {
        self.known(0).await.unwrap_err()
    }

    async fn fill(&self, version: i64, leases: Leases) {
        self.0.fill(self.1, &profile(self.2, version), leases, NOW).await;
    }
}

async fn a_record_is_known_once_it_is_filled_in(cache: &Shared) {
    let token = Token::new(cache);
    let leases = token.leases().await;
    assert!(leases.session.is_some() && leases.user.is_some());
    token.fill(1, leases).await;
    assert_eq!(token.known(0).await, Ok(profile(token.2, 1)));
    assert!(Token::new(cache).known(0).await.is_err(), "of another nothing is known");
}

async fn sessions_share_their_user(cache: &Shared) {
    let token = Token::new(cache);
    token.fill(1, token.leases().await).await;
    let other = Token(cache.clone(), Uuid::new_v4(), token.2);
    let leases = other.leases().await;
    assert!(leases.session.is_some() && leases.user.is_none(), "{leases:?}");
    other.fill(1, leases).await;
    assert_eq!(other.known(1).await, token.known(1).await);
}

async fn what_has_ended_is_unknown(cache: &Shared) {
    let token = Token::new(cache);
    for subject in [token.1, token.2] {
        token.fill(1, token.leases().await).await;
        assert!(token.known(0).await.is_ok());
        cache.forget(&[subject]).await;
        cache.forget(&[subject]).await;
        let leases = token.leases().await;
        assert_eq!(
            (leases.session.is_some(), leases.user.is_some()),
            (subject == token.1, subject == token.2)
        );
        cache.forget(&[token.1, token.2]).await;
    }
}

async fn what_is_filled_in_late_brings_nothing_back(cache: &Shared) {
    let token = Token::new(cache);
    let late = token.leases().await;
    cache.forget(&[token.1, token.2]).await;
    token.fill(1, late).await;
    let now = token.leases().await;
    assert!(now.session.is_some() && now.user.is_some(), "nothing stands in the way of the next");
    token.fill(1, late).await;
    assert!(token.known(0).await.is_err(), "not in the place of the next either");
    token.fill(2, now).await;
    token.fill(1, late).await;
    assert_eq!(token.known(0).await, Ok(profile(token.2, 2)));
}

async fn an_old_version_gives_way(cache: &Shared) {
    let token = Token::new(cache);
    token.fill(1, token.leases().await).await;
    let leases = token.known(2).await.unwrap_err();
    assert!(leases.session.is_none() && leases.user.is_some(), "{leases:?}");
    token.fill(2, leases).await;
    assert_eq!(token.known(2).await, Ok(profile(token.2, 2)));
}

async fn a_record_lives_no_longer_than_a_token(cache: &Shared) {
    let token = Token::new(cache);
    token.fill(1, token.leases().await).await;
    let at = async |now| cache.look_up(token.1, token.2, 0, now).await;
    assert!(matches!(
        at(NOW.plus(LIFE).minus(std::time::Duration::from_millis(1))).await,
        CacheLookup::Known(_)
    ));
    assert!(matches!(at(NOW.plus(LIFE)).await, CacheLookup::Unknown(_)));
}

async fn one_of_many_fills_in(cache: &Shared) {
    let token = Token::new(cache);
    let (session, user) = (token.1, token.2);
    let leases = together((0..16).map(|_| {
        let token = Token(cache.clone(), session, user);
        async move { token.known(0).await.unwrap_err() }
    }))
    .await;
    assert_eq!(leases.iter().filter(|leases| leases.session.is_some()).count(), 1);
    assert_eq!(leases.iter().filter(|leases| leases.user.is_some()).count(), 1);
}

macro_rules! suite {
    ($($test:ident,)*) => {
        mod in_this_process {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(&super::local()).await;
                }
            )*
        }

        /// All on one server, which each finds as the others leave it.
        #[tokio::test]
        async fn on_redis() {
            let Some(server) = Redis::start() else { return };
            let cache: Arc<dyn RecordCache> = shared(&server.url(), 1).await;
            $(
                eprintln!("{}", stringify!($test));
                $test(&cache).await;
            )*
        }

        #[cfg(feature = "redis-cluster")]
        pub async fn on(cache: &Shared) {
            $(
                eprintln!("{}", stringify!($test));
                $test(cache).await;
            )*
        }
    };
}

suite! {
    a_record_is_known_once_it_is_filled_in,
    sessions_share_their_user,
    what_has_ended_is_unknown,
    what_is_filled_in_late_brings_nothing_back,
    an_old_version_gives_way,
    a_record_lives_no_longer_than_a_token,
    one_of_many_fills_in,
}
