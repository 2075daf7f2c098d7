//! Scenarios: what users and faults do to the service, in any order. A step refers to earlier
//! results by position ("the last code but one"), so that a scenario still has a meaning when
//! shrinking removes some of its steps.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use user_server::domain::Purpose;

use super::deliveries::DeliveryResult;
use super::faults::{InjectedFault, PlannedFault};
use super::requests::{AnyRequest, ModelRequest, Need};
use super::values::NETWORKS;

/// A step of a scenario.
#[derive(Debug, Clone)]
pub enum Step {
    /// A client sends a request to a node, for an end user in one of [`NETWORKS`] or unnamed.
    Request {
        node: usize,
        network: Option<usize>,
        request: AnyRequest,
        fault: Option<PlannedFault>,
    },
    /// The outbox worker of a node sends the emails that are due, with these results in rotation.
    Deliver { node: usize, results: Vec<DeliveryResult>, fault: Option<PlannedFault> },
    /// Time passes, in seconds.
    Wait(u64),
    /// The rows past their retention are deleted.
    Sweep,
    /// A node restarts and loses its memory.
    Restart { node: usize },
}

/// Approximate state of the service as the steps are generated, without faults: enough to select
/// requests that refer to something.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Number of accounts at the beginning.
    pub accounts: usize,
    codes: usize,
    tokens: usize,
    /// Purpose of the last code that was requested and not redeemed, and whether emails were sent
    /// since then.
    pending: Option<(Purpose, bool)>,
}

impl ReferenceStateMachine for Scenario {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        (0..3usize)
            .prop_map(|accounts| Self {
                accounts,
                codes: accounts,
                tokens: accounts,
                pending: None,
            })
            .boxed()
    }

    fn transitions(scenario: &Self) -> BoxedStrategy<Step> {
        let fault = weighted(0.3, (0..4u8, injected_faults())).boxed();
        let send = |request: BoxedStrategy<AnyRequest>| {
            (0..2usize, weighted(0.8, 0..NETWORKS.len()), request, fault.clone()).prop_map(
                |(node, network, request, fault)| Step::Request { node, network, request, fault },
            )
        };
        let likely = match scenario.pending {
            Some((purpose, true)) => AnyRequest::redeeming(purpose),
            _ => AnyRequest::possible(scenario),
        };
        let (any, likely) = (send(AnyRequest::possible(scenario)), send(likely));
        let deliver = (0..2usize, vec(delivery_results(), 1..4), fault.clone())
            .prop_map(|(node, results, fault)| Step::Deliver { node, results, fault });
        let waits = prop_oneof![
            12 => prop::sample::select(vec![1, 5, 20, 31, 61, 61, 61, 61, 120]),
            4 => prop::sample::select(vec![300, 901, 3600, 6 * 3600]),
            1 => prop::sample::select(vec![24 * 3600, 31 * 24 * 3600]),
        ];
        prop_oneof![
            50 => any,
            // Users mostly redeem the code that they requested.
            25 => likely,
            if matches!(scenario.pending, Some((_, false))) { 60 } else { 10 } => deliver,
            14 => waits.prop_map(Step::Wait),
            3 => Just(Step::Sweep),
            3 => (0..2usize).prop_map(|node| Step::Restart { node }),
        ]
        .boxed()
    }

    fn preconditions(scenario: &Self, step: &Step) -> bool {
        match step {
            Step::Request { request, .. } => request.is_possible(scenario),
            Step::Deliver { .. } | Step::Wait(_) | Step::Sweep | Step::Restart { .. } => true,
        }
    }

    fn apply(mut scenario: Self, step: &Step) -> Self {
        match step {
            Step::Request { request, .. } => request.plan(&mut scenario),
            Step::Deliver { .. } => {
                scenario.pending = scenario.pending.map(|(purpose, _)| (purpose, true));
            }
            Step::Wait(_) | Step::Sweep | Step::Restart { .. } => {}
        }
        scenario
    }
}

impl Scenario {
    /// Returns `true` if earlier steps left all of `needs`.
    pub fn has(&self, needs: &[Need]) -> bool {
        needs.iter().all(|need| match need {
            Need::Code => self.codes > 0,
            Need::Tokens => self.tokens > 0,
        })
    }

    /// Records what `request` leaves for later steps.
    pub fn plan<R: ModelRequest>(&mut self, request: &R) {
        if let Some(purpose) = request.requests_code() {
            self.pending = Some((purpose, false));
            self.codes += 1;
        }
        if R::REDEEMS.is_some() {
            self.pending = None;
        }
        if R::ISSUES_TOKENS {
            self.tokens += 1;
        }
    }
}

fn injected_faults() -> impl Strategy<Value = InjectedFault> {
    prop_oneof![
        5 => Just(InjectedFault::FailBefore),
        3 => Just(InjectedFault::FailAfter),
        3 => Just(InjectedFault::LoseReply),
        5 => Just(InjectedFault::CancelBefore),
        5 => Just(InjectedFault::CancelAfter),
        // On PostgreSQL, it takes two seconds.
        1 => Just(InjectedFault::Silence),
    ]
}

fn delivery_results() -> impl Strategy<Value = DeliveryResult> {
    prop_oneof![
        7 => Just(DeliveryResult::Sent),
        1 => Just(DeliveryResult::TemporaryError),
        1 => Just(DeliveryResult::PermanentError),
        1 => Just(DeliveryResult::SentWithError),
    ]
}
