//! The configurations in `examples`, with the real proxies: nginx, Caddy and HAProxy. Each scenario
//! runs with each of them.

mod backend;
mod forged;
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
    while_the_service_is_down_the_answer_is_503: scenarios::service_down
    while_user_http_is_down_the_answer_is_503: scenarios::check_down
    checks_share_a_few_connections: scenarios::keepalive
    only_web_sockets_are_upgraded: scenarios::upgrades
    a_forged_identity_never_reaches_the_backend: forged::headers
    no_spelling_of_a_path_bypasses_the_check: forged::paths
}
