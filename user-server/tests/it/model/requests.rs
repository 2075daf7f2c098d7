//! The requests of the model test, each in a file that is named after its message: the step, its
//! random values, and its execution with the outcomes that the model allows.
//!
//! A new message is a new file and a line in the list below.

use std::fmt::Debug;

use proptest::option::weighted;
use proptest::prelude::*;
use proptest::strategy::Union;
use user_proto::ErrorCode;
use user_server::domain::{Notice, Purpose};

use super::budgets::Admission;
use super::expectations::{
    entered_password, has_effect, outcomes_of_guess, outcomes_of_password, refusals,
    refusals_of_token,
};
use super::faults::Effect;
use super::ledger::{Account, GuessVerdict, HOUR, SECOND, TokenState, nth_last_of};
use super::scenario::Scenario;
use super::values::*;
use super::world::{CallContext, World};

/// Period in which the previous refresh token is still accepted.
const GRACE: i64 = 30 * SECOND;

/// A request of a scenario, with the choices that make up its fields.
pub trait ModelRequest: Debug + Copy + 'static {
    /// Frequency, relative to the other requests.
    const WEIGHT: u32;
    /// Results of earlier steps that the request refers to.
    const NEEDS: &[Need] = &[];
    /// Purpose of the codes that the request redeems.
    const REDEEMS: Option<Purpose> = None;
    /// A successful reply contains tokens.
    const ISSUES_TOKENS: bool = false;

    /// Returns the purpose of the code that the request causes to be emailed.
    fn requests_code(&self) -> Option<Purpose> {
        None
    }

    fn strategy() -> BoxedStrategy<Self>;

    /// Sends the request, asserts that the model allows the outcome, and applies the effects to
    /// the ledger.
    async fn run(self, world: &mut World, call: CallContext);
}

/// Result of earlier steps.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    Code,
    Tokens,
}

/// Declares the modules of the requests, an enum of them, its strategies, and its dispatch.
macro_rules! requests {
    ($($module:ident::$request:ident,)*) => {
        $(pub mod $module;)*

        /// Any request of a scenario.
        #[derive(Debug, Clone, Copy)]
        pub enum AnyRequest {
            $($request($module::$request),)*
        }

        impl AnyRequest {
            /// Returns a strategy for the requests that are possible in `scenario`.
            pub fn possible(scenario: &Scenario) -> BoxedStrategy<Self> {
                let mut all = Vec::new();
                $(if scenario.has($module::$request::NEEDS) {
                    let strategy = $module::$request::strategy().prop_map(Self::$request).boxed();
                    all.push(($module::$request::WEIGHT, strategy));
                })*
                Union::new_weighted(all).boxed()
            }

            /// Returns a strategy for the requests that redeem codes of `purpose`.
            pub fn redeeming(purpose: Purpose) -> BoxedStrategy<Self> {
                let mut all = Vec::new();
                $(if $module::$request::REDEEMS == Some(purpose) {
                    all.push($module::$request::strategy().prop_map(Self::$request).boxed());
                })*
                Union::new(all).boxed()
            }

            pub fn is_possible(&self, scenario: &Scenario) -> bool {
                match self {
                    $(Self::$request(_) => scenario.has($module::$request::NEEDS),)*
                }
            }

            /// Records in `scenario` what the request leaves for later steps.
            pub fn plan(&self, scenario: &mut Scenario) {
                match self {
                    $(Self::$request(request) => scenario.plan(request),)*
                }
            }

            pub async fn run(self, world: &mut World, call: CallContext) {
                match self {
                    $(Self::$request(request) => request.run(world, call).await,)*
                }
            }
        }
    };
}

requests! {
    register::Register,
    login::Login,
    request_password_reset::RequestPasswordReset,
    ping::Ping,
    verify_email::VerifyEmail,
    resend_code::ResendCode,
    reset_password::ResetPassword,
    verify_token::VerifyToken,
    refresh_token::RefreshToken,
    logout::Logout,
    get_user::GetUser,
    list_sessions::ListSessions,
    end_session::EndSession,
    update_user::UpdateUser,
    delete_user::DeleteUser,
    confirm_email::ConfirmEmail,
    get_keys::GetKeys,
    watch_revocations::WatchRevocations,
}
