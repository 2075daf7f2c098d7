//! The configurations in `examples`, with the real proxies: nginx, Caddy and HAProxy. Each scenario
//! runs with each of them.

mod backend;
mod checks;
mod forged;
mod http2;
mod pages;
mod paths;
mod scenarios;
mod site;

use site::Proxy;

/// Declares one test for each scenario and proxy.
macro_rules! scenarios {
    ($($name:ident: $scenario:path)*) => {
        scenarios!(nginx Proxy::Nginx { $($name: $scenario)* });
        scenarios!(caddy Proxy::Caddy { $($name: $scenario)* });
        scenarios!(haproxy Proxy::Haproxy { $($name: $scenario)* });
    };
    ($module:ident $proxy:path { $($name:ident: $scenario:path)* }) => {
        mod $module {
            use super::*;

            $(
                #[test]
                fn $name() {
                    if let Some(site) = site::Site::start($proxy) {
                        $scenario(site);
                    }
                }
            )*
        }
    };
}

scenarios! {
    a_valid_token_passes_and_stays_at_the_proxy: scenarios::passes
    without_a_valid_token_nothing_reaches_the_backend: scenarios::refuses
    an_expired_token_is_refused: scenarios::expires
    a_session_that_ended_is_refused_within_a_second: scenarios::revokes
    a_request_of_another_site_is_refused: scenarios::other_site
    no_connection_header_hides_the_origin_of_a_request: scenarios::hop_by_hop
    while_the_service_is_down_the_answer_is_503: scenarios::service_down
    while_user_http_is_down_the_answer_is_503: scenarios::check_down
    checks_share_a_few_connections: scenarios::keepalive
    only_web_sockets_are_upgraded: scenarios::upgrades
    a_forged_identity_never_reaches_the_backend: forged::headers
    no_separator_in_a_name_hides_a_forged_header: forged::separators
    a_forged_identity_after_a_body_never_reaches_the_backend: forged::trailers
    nothing_else_that_an_end_user_states_reaches_the_backend: forged::other_statements
    no_spelling_of_a_path_bypasses_the_check: paths::spellings
    no_request_target_bypasses_the_check: paths::targets
    no_host_changes_the_path: paths::hosts
    no_target_of_http2_bypasses_the_check: paths::http2_targets
    a_body_of_unclear_length_is_never_a_request: paths::ambiguous_bodies
    a_body_that_the_backend_ignores_is_never_a_request: paths::ignored_bodies
    a_web_socket_over_http2_needs_the_same_origin: checks::http2_web_sockets
    a_web_socket_transfers_data: checks::web_socket
    only_status_200_with_an_identity_passes: checks::other_verdicts
    while_user_http_hangs_the_answer_is_503: checks::hanging_check
    a_request_that_the_check_cannot_read_is_the_end_users_fault: checks::unreadable
    other_cookies_reach_the_backend: checks::cookies
    a_body_reaches_the_backend_whole: checks::bodies
    a_page_without_a_session_is_redirected: pages::redirects
    a_page_that_the_browser_cannot_return_to_is_left_out: pages::unreturnable
    the_routes_of_browsers_reach_user_http: pages::api
    a_repeated_cookie_leads_to_the_login_and_can_be_logged_out: pages::repeated_cookie
    a_browser_logs_in_refreshes_and_logs_out: pages::session
    six_hundred_end_users_at_once_are_answered: checks::many_clients
}
