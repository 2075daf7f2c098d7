//! The contract of the record cache: one suite, run unchanged against every implementation. Times
//! are arguments, so no test waits.

use std::sync::Arc;

use user_server::domain::{CacheLookup, Leases, Profile, RecordCache, Timestamp};
use uuid::Uuid;

use super::{LIFE, connect, in_process};
use crate::contract::fixture::together;
use crate::support::Redis;

type Cache = Arc<dyn RecordCache>;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub fn profile(id: Uuid, version: i64) -> Profile {
    let (username, email) = (format!("name {version}"), "ada@example.org".to_owned());
    Profile { id, username, email, created_at: NOW, version }
}

/// A session, its user, and the cache under test.
struct Entry(Cache, Uuid, Uuid);

impl Entry {
    fn new(cache: &Cache) -> Self {
        Self(cache.clone(), Uuid::new_v4(), Uuid::new_v4())
    }

    async fn look_up(&self, least: i64) -> Result<Profile, Leases> {
        match self.0.look_up(self.1, self.2, least, NOW).await {
            CacheLookup::Known(profile) => Ok(profile),
            CacheLookup::Unknown(leases) => Err(leases),
        }
    }

    async fn leases(&self) -> Leases {
        self.look_up(0).await.unwrap_err()
    }

    async fn fill(&self, version: i64, leases: Leases) {
        self.0.fill(self.1, &profile(self.2, version), leases, NOW).await;
    }
}

async fn a_record_is_found_once_it_is_filled(cache: &Cache) {
    let entry = Entry::new(cache);
    let leases = entry.leases().await;
    assert!(leases.session.is_some() && leases.user.is_some());
    entry.fill(1, leases).await;
    assert_eq!(entry.look_up(0).await, Ok(profile(entry.2, 1)));
    assert!(Entry::new(cache).look_up(0).await.is_err(), "no record of another session");
}

async fn sessions_share_the_record_of_their_user(cache: &Cache) {
    let entry = Entry::new(cache);
    entry.fill(1, entry.leases().await).await;
    let other = Entry(cache.clone(), Uuid::new_v4(), entry.2);
    let leases = other.leases().await;
    assert!(leases.session.is_some() && leases.user.is_none(), "{leases:?}");
    other.fill(1, leases).await;
    assert_eq!(other.look_up(1).await, entry.look_up(1).await);
}

async fn a_deleted_record_is_not_found(cache: &Cache) {
    let entry = Entry::new(cache);
    for subject in [entry.1, entry.2] {
        entry.fill(1, entry.leases().await).await;
        assert!(entry.look_up(0).await.is_ok());
        cache.forget(&[subject]).await;
        cache.forget(&[subject]).await;
        let leases = entry.leases().await;
        assert_eq!(
            (leases.session.is_some(), leases.user.is_some()),
            (subject == entry.1, subject == entry.2)
        );
        cache.forget(&[entry.1, entry.2]).await;
    }
}

async fn a_late_fill_restores_nothing(cache: &Cache) {
    let entry = Entry::new(cache);
    let late = entry.leases().await;
    cache.forget(&[entry.1, entry.2]).await;
    entry.fill(1, late).await;
    let now = entry.leases().await;
    assert!(now.session.is_some() && now.user.is_some(), "the next reader gets leases");
    entry.fill(1, late).await;
    assert!(
        entry.look_up(0).await.is_err(),
        "a late fill does not use the leases of the next reader"
    );
    entry.fill(2, now).await;
    entry.fill(1, late).await;
    assert_eq!(entry.look_up(0).await, Ok(profile(entry.2, 2)));
}

async fn an_old_version_is_replaced(cache: &Cache) {
    let entry = Entry::new(cache);
    entry.fill(1, entry.leases().await).await;
    let leases = entry.look_up(2).await.unwrap_err();
    assert!(leases.session.is_none() && leases.user.is_some(), "{leases:?}");
    entry.fill(2, leases).await;
    assert_eq!(entry.look_up(2).await, Ok(profile(entry.2, 2)));
}

async fn a_record_lives_no_longer_than_a_token(cache: &Cache) {
    let entry = Entry::new(cache);
    entry.fill(1, entry.leases().await).await;
    let at = async |now| cache.look_up(entry.1, entry.2, 0, now).await;
    assert!(matches!(
        at(NOW.plus(LIFE).minus(std::time::Duration::from_millis(1))).await,
        CacheLookup::Known(_)
    ));
    assert!(matches!(at(NOW.plus(LIFE)).await, CacheLookup::Unknown(_)));
}

async fn one_of_many_readers_gets_the_lease(cache: &Cache) {
    let entry = Entry::new(cache);
    let (session, user) = (entry.1, entry.2);
    let leases = together((0..16).map(|_| {
        let entry = Entry(cache.clone(), session, user);
        async move { entry.look_up(0).await.unwrap_err() }
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
                    super::$test(&super::in_process()).await;
                }
            )*
        }

        /// Runs every case on one server, with the records that earlier cases left there.
        #[tokio::test]
        async fn on_redis() {
            let Some(server) = Redis::start() else { return };
            let cache: Arc<dyn RecordCache> = connect(&server.url(), 1).await;
            $(
                eprintln!("{}", stringify!($test));
                $test(&cache).await;
            )*
        }

        #[cfg(feature = "redis-cluster")]
        pub async fn run(cache: &Cache) {
            $(
                eprintln!("{}", stringify!($test));
                $test(cache).await;
            )*
        }
    };
}

suite! {
    a_record_is_found_once_it_is_filled,
    sessions_share_the_record_of_their_user,
    a_deleted_record_is_not_found,
    a_late_fill_restores_nothing,
    an_old_version_is_replaced,
    a_record_lives_no_longer_than_a_token,
    one_of_many_readers_gets_the_lease,
}
