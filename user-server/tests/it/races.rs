//! Concurrent requests: their answers are those of some sequential order.

pub mod accounts;
pub mod budgets;
pub mod codes;
pub mod repeats;
pub mod sessions;

/// Defines a test for each race. `$open` starts the service, a value with a field `site` and a
/// method `stop`, or returns `None` if it cannot run.
macro_rules! races {
    ($open:path) => {
        crate::races::races! { $open;
            accounts::sixty_four_wrong_passwords_are_five_attempts,
            accounts::no_session_outlives_its_account,
            accounts::a_login_during_a_password_change_leaves_no_session,
            budgets::sixty_four_right_passwords_are_all_accepted,
            budgets::sixty_four_wrong_current_passwords_are_ten,
            budgets::sixty_four_changes_of_address_are_five,
            budgets::sixty_four_changes_of_username_are_five,
            budgets::sixty_four_wrong_codes_of_a_network_are_fifty,
            budgets::a_site_has_sixteen_times_the_budget_of_a_network,
            budgets::end_users_without_an_address_share_twenty_times_a_budget,
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

    /// Starts a server with a frozen clock, so that no wait ends early on a slow machine.
    async fn node() -> Option<TestServer> {
        Some(TestServer::start_frozen().await)
    }

    super::races!(node);
}
