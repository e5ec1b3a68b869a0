//! The suites that every adapter runs.
//!
//! A suite has the name of a port, and a function for everything that must hold: its name is a claim,
//! and it panics if the claim is not true of the store it is given, which must be empty and which
//! nobody else uses. [`conformance!`](crate::conformance!) makes a test of each.

#![allow(missing_docs, reason = "a claim's name says what it claims")]
#![allow(clippy::unwrap_used, reason = "claims are tests")]

pub mod access;
pub mod catalog_views;
pub mod feed;
mod given;
pub mod idempotency;
pub mod intents;
pub mod log;
pub mod order_views;
pub mod scan;
pub mod shadow_views;
pub mod stock_views;

use crate::{
    CatalogViews, ChangeFeed, EventLog, Idempotency, IntentStore, Keys, LogScan, OrderViews, Secrets,
    ShadowViews, StockViews, Tries, Users,
};

/// A store behind every port but the change feed, for claims about more than one of them.
pub trait AllPorts:
    EventLog + LogScan + OrderViews + StockViews + CatalogViews + ShadowViews + IntentStore + Idempotency
{
}

impl<Store> AllPorts for Store where
    Store:
        EventLog + LogScan + OrderViews + StockViews + CatalogViews + ShadowViews + IntentStore + Idempotency
{
}

/// A store of those who may ask, and of the customers whom they act for.
pub trait Access: Users + Keys + Secrets + Tries + CatalogViews {}

impl<Store: Users + Keys + Secrets + Tries + CatalogViews> Access for Store {}

/// A store that knows the order in which events were appended.
pub trait InOrder: AllPorts + ChangeFeed {}

impl<Store: AllPorts + ChangeFeed> InOrder for Store {}

/// Makes a test of every claim, each over a store of its own.
///
/// The expression gives an empty store that implements all ports; it may `.await`, and what it gives
/// may hold a directory that is removed when the test ends. Behind `without feed:` it gives one that has no
/// change feed, and does not know the order of append. The crate that calls this needs `tokio`
/// with `macros`, `rt` and `time` among its dev-dependencies.
#[macro_export]
macro_rules! conformance {
    ($store:expr) => {
        $crate::conformance! { without feed: $store }
        $crate::conformance_tests! { in_order: InOrder: $store;
            feed {
                an_empty_log_has_its_head_at_the_beginning
                every_event_comes_once_in_the_order_of_append
                what_was_not_stored_never_comes
                following_waits_until_an_append_comes
                every_follower_is_woken
                giving_up_a_wait_loses_nothing
                no_event_appears_behind_a_position_that_was_given
                the_ledger_is_in_the_order_of_append
                rows_of_read_models_do_not_come
            }
        }
    };
    (without feed: $store:expr) => {
        $crate::conformance_tests! { conformance: AllPorts: $store;
            log {
                the_first_event_settles_a_slot
                the_same_content_again_is_taken_by_an_event_that_says_the_same
                a_taken_slot_is_told_before_any_counter_is_looked_at
                counters_move_all_or_none
                no_counter_goes_below_zero
                an_unknown_sku_is_short_of_anything_that_is_taken
                an_unknown_sku_counts_as_zero_for_what_is_added
                every_short_sku_is_named_with_what_was_asked_and_what_was_there
                a_shortage_leaves_the_slot_open
                the_counters_are_the_sum_of_the_recorded_deltas
                random_appends_come_out_as_in_the_reference
                of_a_hundred_appends_to_one_slot_exactly_one_is_stored
                of_fifty_reservations_of_the_last_unit_exactly_one_is_stored
                of_fifty_lots_that_arrive_at_once_every_unit_counts
                orders_that_share_skus_in_any_order_do_not_block_each_other
                counters_hold_more_than_32_bits
                an_append_is_read_at_once
                a_stream_is_in_the_order_of_its_ids
                every_attribute_comes_back_as_it_was_written
                keys_that_look_alike_are_different_keys
                a_key_may_be_any_text
                a_payload_may_be_as_large_as_is_allowed_and_no_larger
                as_many_counters_as_are_allowed_move_at_once_and_no_more
                a_stream_that_nobody_wrote_to_is_empty
                an_event_that_is_finished_again_moves_nothing_again
            }
            scan {
                an_empty_log_is_scanned_to_its_end
                every_stream_comes_exactly_once_whatever_the_segments_and_limits
                a_scan_stops_after_about_as_many_events_as_it_may_give
                a_scan_goes_on_from_any_cursor_it_gave
                what_was_there_when_the_scan_began_is_given_though_the_log_grows
                rows_of_read_models_are_no_part_of_the_log
                the_size_is_never_more_than_there_is
            }
            order_views {
                what_was_never_written_is_not_there
                rows_come_back_as_they_were_written
                a_row_is_written_only_if_it_has_seen_more
                the_payment_and_the_delivery_are_written_with_the_order_or_not_at_all
                rows_whose_writer_died_half_way_are_completed_by_the_next
                of_many_writes_at_once_the_one_that_saw_most_stays
                orders_are_listed_by_time_and_key_page_by_page
                every_condition_of_a_query_holds
                a_list_shows_what_a_row_says_now
                a_list_goes_on_although_its_last_row_left_it
                payments_are_listed_by_time_and_key_page_by_page
            }
            stock_views {
                a_sku_that_was_never_received_has_no_stock
                stock_is_what_the_log_moved
                counters_and_ledger_are_of_one_moment
                what_was_not_stored_moved_nothing
                stocks_are_listed_by_time_and_key_page_by_page
                the_ledger_tells_every_movement_oldest_first
                the_ledger_is_read_page_by_page
            }
            catalog_views {
                what_was_never_written_is_not_there
                a_customer_is_written_only_if_it_has_seen_more
                personal_data_stays_when_the_log_says_more
                whoever_tells_first_of_a_person_is_believed
                of_many_who_tell_at_once_one_is_believed
                an_erased_customer_has_no_personal_data_and_gets_none
                a_late_row_does_not_erase
                nobody_has_personal_data_without_a_row
                personal_data_survives_what_the_log_says_at_the_same_time
                customers_are_listed_by_time_and_key_page_by_page
                a_product_is_written_only_if_it_has_seen_more
                a_product_is_found_by_its_sku_and_its_exact_name
                a_withdrawn_product_is_found_by_its_id_alone
                of_several_products_the_one_listed_first_is_found
                products_are_listed_withdrawn_or_not
            }
            shadow_views {
                nothing_is_there_before_a_replay_begins
                live_rows_are_those_that_clients_see
                rows_come_in_the_order_of_their_keys
                the_shadow_is_not_the_live_copy
                the_shadow_takes_rows_whatever_was_there
                progress_is_kept_for_each_read_model
                discarding_drops_one_shadow_and_its_progress
                adopting_does_not_overwrite_a_live_row_that_has_seen_more
                adopting_takes_away_what_is_gone
                adopting_keeps_personal_data
                adopting_forgets_who_was_erased
                adopting_orders_leaves_their_payments_alone
                adopted_rows_are_found_and_gone_ones_are_not
            }
            intents {
                an_intent_that_was_never_saved_is_fresh
                an_intent_comes_back_as_it_was_saved
                an_intent_is_saved_only_over_the_version_it_was_computed_from
                of_fifty_saves_from_one_version_exactly_one_is_kept
                no_change_is_lost_among_many
                every_order_has_its_own_intent
            }
            idempotency {
                a_request_is_carried_out_once_and_answered_ever_after
                of_fifty_claims_at_once_exactly_one_is_carried_out
                a_key_that_was_used_for_another_request_says_so
                what_somebody_died_over_is_carried_out_by_another_with_the_same_seed
                what_is_given_up_may_be_tried_again_at_once_with_the_same_seed
                what_is_over_is_forgotten
                what_was_done_is_kept_whoever_has_the_request_by_now_and_over_a_refusal
            }
        }
    };
}

/// Makes a test of every claim about those who may ask, as [`conformance!`](crate::conformance!) does of the others.
#[macro_export]
macro_rules! access_conformance {
    ($store:expr) => {
        $crate::conformance_tests! { access_conformance: Access: $store;
            access {
                who_was_never_added_is_not_there
                a_name_is_given_once
                a_user_comes_back_as_it_was_added
                users_and_keys_are_listed_by_time_and_key_page_by_page
                a_key_is_revoked_once_and_for_all
                a_user_who_is_removed_is_gone_and_the_name_is_free
                a_customer_is_forgotten_with_every_user_and_key
                nobody_is_added_who_would_act_for_an_erased_customer
                the_first_secret_that_is_offered_stays
                no_more_tries_are_given_than_there_are
                who_tries_elsewhere_has_tries_of_their_own_and_all_of_them_together_not_too_many
                tries_that_are_forgotten_are_there_again
                a_try_is_given_again_when_the_oldest_is_forgotten
            }
        }
    };
}

/// The tests of [`conformance!`](crate::conformance!), suite by suite.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($name:ident: $ports:ident: $store:expr; $($suite:ident { $($claim:ident)* })*) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn an_empty_store() -> impl $crate::conformance::$ports {
                $store
            }

            $(mod $suite {
                $(#[tokio::test]
                async fn $claim() {
                    let store = super::an_empty_store().await;
                    $crate::conformance::$suite::$claim(&store).await;
                })*
            })*
        }
    };
}

#[cfg(test)]
mod tests {
    /// A claim that the macro does not name would never be run.
    #[test]
    fn the_macro_names_every_claim_of_every_suite() {
        let suites = [
            ("log", include_str!("conformance/log.rs")),
            ("scan", include_str!("conformance/scan.rs")),
            ("feed", include_str!("conformance/feed.rs")),
            ("order_views", include_str!("conformance/order_views.rs")),
            ("stock_views", include_str!("conformance/stock_views.rs")),
            ("catalog_views", include_str!("conformance/catalog_views.rs")),
            ("shadow_views", include_str!("conformance/shadow_views.rs")),
            ("intents", include_str!("conformance/intents.rs")),
            ("idempotency", include_str!("conformance/idempotency.rs")),
            ("access", include_str!("conformance/access.rs")),
        ];
        let named = include_str!("conformance.rs");
        for (suite, source) in suites {
            let claims: Vec<&str> =
                source.split("\npub async fn ").skip(1).filter_map(|rest| rest.split('(').next()).collect();
            let list = named.split(&format!("\n            {suite} {{")).nth(1).unwrap();
            let list: Vec<&str> = list.split('}').next().unwrap().split_whitespace().collect();
            assert_eq!(claims, list, "{suite}");
        }
    }
}
