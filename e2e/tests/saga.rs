//! The whole system as an account would run it: both templates deployed into a double of AWS, the real binaries as
//! its functions, its queues driving them, and what clients see through its API Gateway.
//!
//! `cargo xtask test e2e` starts the double and says where it is; without it there is nothing to ask. It deploys the
//! programs that were built with it, which is soon done, and asks it with the command `sagaline` from beside them.
//! `cargo xtask test`, which is what CI runs, has `cargo xtask functions --host` build them as they are deployed, and
//! says in `SAGALINE_FUNCTIONS` where their zips are.
//!
//! What the double does otherwise than the service, as far as this has to know (docs/aws.md, "What the doubles do
//! otherwise", lists all of it):
//!
//! - It has no pipe from a stream to a bus, so `end_to_end::pipe` stands in for it.
//! - It takes no share of a usage plan from an authorizer, so routes want none, and it takes what API Gateway answers by
//!   itself by a call of its own; the authorizer's words stay variables in it.
//! - It has no CodeDeploy and no alarm over a formula, so both are left out of what is deployed.
//! - It cannot move messages from a dead-letter queue back by itself; nor does the command ask for that.

#![allow(clippy::unwrap_used)] // helpers of tests are tests, which clippy does not see

#[path = "saga/by_hand.rs"]
mod by_hand;
#[path = "saga/cost.rs"]
mod cost;
#[path = "saga/faults.rs"]
mod faults;
#[path = "saga/logged.rs"]
mod logged;
#[path = "saga/operator.rs"]
mod operator;
#[path = "saga/scenarios.rs"]
mod scenarios;
#[path = "saga/world.rs"]
mod world;

use std::time::Instant;

use world::World;

/// Runs claims one after the other, and says which one it is at.
macro_rules! claims {
    ($world:ident: $($claim:path),+ $(,)?) => {$(
        println!("{} …", stringify!($claim));
        let began = Instant::now();
        $claim(&$world).await;
        println!("{}: {:.1} s", stringify!($claim), began.elapsed().as_secs_f64());
        assert_eq!($world.dead_letters().await, [], "left by {}", stringify!($claim));
    )+};
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployed_system_keeps_its_promises() {
    let began = Instant::now();
    let world = World::deployed().await;
    println!("deployed: {:.1} s", began.elapsed().as_secs_f64());
    claims!(world:
        scenarios::an_order_is_paid_and_its_stock_has_moved,
        scenarios::an_order_is_one_trace_over_all_functions,
        scenarios::an_express_order_goes_by_its_own_lanes,
        scenarios::an_order_that_is_not_in_stock_is_cancelled_and_nothing_moves,
        scenarios::a_paid_order_that_is_cancelled_is_refunded_and_its_stock_is_back,
        scenarios::nobody_asks_for_what_needs_somebody_without_a_good_key,
        scenarios::a_customers_key_opens_what_is_theirs_and_nothing_of_operators_or_admins,
        scenarios::whoever_registers_is_let_in_by_the_token_of_their_login,
        scenarios::a_key_that_is_revoked_is_refused,
        cost::the_double_counts_units_as_they_are_documented,
        cost::an_order_takes_the_units_that_are_written_down,
        faults::everything_delivered_twice_changes_nothing,
        faults::what_the_pipe_gave_up_on_is_carried_all_the_same,
        faults::what_the_stream_has_forgotten_ends_in_the_next_dead_letter_queue,
        faults::a_poison_message_ends_in_its_dead_letter_queue_and_is_handled_once_mended,
        operator::dead_letters_are_counted_shown_and_sent_back_to_where_they_came_from,
        faults::what_a_worker_held_when_it_died_is_handled_later,
        faults::an_order_whose_message_was_lost_is_found_by_the_sweeper,
        operator::the_log_is_swept_once_a_day_in_as_many_runs_as_it_takes_and_reported,
        scenarios::a_key_that_was_remembered_when_it_was_revoked_is_refused_within_a_minute,
        scenarios::a_forged_event_is_taken_shown_and_changes_nothing,
        operator::of_whoever_is_erased_nothing_is_left_in_any_table_and_what_is_in_a_dead_letter_is_found,
        operator::the_log_the_rows_and_the_counters_agree,
    );
}
