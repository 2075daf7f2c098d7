//! Many at once: whatever two requests do at the same time, the answer is one that they could have
//! had one after the other.

pub mod accounts;
pub mod codes;
pub mod repeats;
pub mod sessions;

/// A test for each race, over whatever `$open` starts: something with a `site` and a `stop`, or
/// none.
macro_rules! races {
    ($open:path) => {
        crate::races::races! { $open;
            accounts::sixty_four_wrong_passwords_are_five_attempts,
            accounts::no_session_outlives_its_account,
            accounts::a_login_during_a_password_change_leaves_no_session,
            codes::sixty_four_right_codes_are_one_success,
            codes::sixty_four_wrong_codes_are_five_guesses,
            codes::sixty_four_registrations_of_one_name_create_one_user,
            codes::many_right_codes_reset_a_password_once,
            repeats::sixteen_repeats_under_one_key_are_one_change,
            repeats::sixteen_different_requests_under_one_key_are_one_change,
            sessions::sixty_four_refreshes_have_one_successor,
            sessions::a_session_is_logged_out_once,
        }
    };
    ($open:path; $($topic:ident::$race:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $race() {
                let Some(service) = $open().await else { return };
                crate::races::$topic::$race(&service.site).await;
                service.stop().await;
            }
        )*
    };
}
pub(crate) use races;

mod on_one_node {
    use crate::support::TestServer;

    /// The clock stands still, so that no wait passes on a slow machine.
    async fn node() -> Option<TestServer> {
        Some(TestServer::start_frozen().await)
    }

    super::races!(node);
}
