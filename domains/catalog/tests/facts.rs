//! What is known of a product and of a customer, whatever else claims to know it.

#[path = "../../events/tests/given/mod.rs"]
mod given;

use catalog::{fold_customer, fold_product};
use events::{Event, EventName, RecordedEvent, Ulid};
use given::*;

/// The ids of the events that facts were folded from.
fn ids<'a>(settled_by: impl Iterator<Item = &'a RecordedEvent>) -> Vec<Ulid> {
    let mut ids: Vec<Ulid> = settled_by.map(|item| item.event_id).collect();
    ids.sort();
    ids
}

#[test]
fn the_highest_revision_is_the_price_whenever_it_arrives() {
    let listed = item(event(EventName::ProductListed), 1);
    assert_eq!(fold_product([&listed]).latest_price(), None);
    let (first, third) = (item(repriced(1, 2_099), 2), item(repriced(3, 1_899), 3));
    let late = item(repriced(2, 2_199), 4);
    for stream in [[&listed, &first, &third, &late], [&late, &third, &first, &listed]] {
        let facts = fold_product(stream);
        let Event::ProductRepriced(expected) = repriced(3, 1_899) else { unreachable!() };
        assert_eq!(facts.latest_price(), Some(&expected));
    }
}

#[test]
fn of_two_claims_of_one_revision_the_earlier_is_the_price() {
    let (first, forged) = (item(repriced(1, 2_099), 2), under("forged", &repriced(1, 1), 3));
    let stream = [forged, first];
    let facts = fold_product(&stream);
    assert_eq!(facts.latest_price().map(|repriced| repriced.price), Some(money(2_099)));
    assert_eq!(ids(facts.settled_by()), [Ulid(2)]);
}

#[test]
fn a_product_counts_the_events_it_was_folded_from_and_no_other() {
    use EventName::*;
    let mut stream: Vec<_> = [ProductListed, ProductWithdrawn, CustomerRegistered, CustomerErased]
        .iter()
        .zip(1..)
        .map(|(name, id)| item(event(*name), id))
        .collect();
    stream.extend([item(repriced(1, 1), 5), item(repriced(2, 1), 6)]);
    let facts = fold_product(&stream);
    assert_eq!(ids(facts.settled_by()), [1, 2, 5, 6].map(Ulid));
    assert_eq!((facts.listed.is_settled(), facts.withdrawn.is_settled()), (true, true));
    assert_eq!(fold_product([]).settled_by().count(), 0);
}

#[test]
fn a_customer_counts_the_events_they_were_folded_from_and_no_other() {
    use EventName::*;
    let stream: Vec<_> = [CustomerRegistered, CustomerErased, ProductListed, OrderPlaced]
        .iter()
        .zip(1..)
        .map(|(name, id)| item(event(*name), id))
        .collect();
    let facts = fold_customer(&stream);
    assert_eq!(ids(facts.settled_by()), [1, 2].map(Ulid));
    assert_eq!(fold_customer([]).settled_by().count(), 0);
}

#[test]
fn the_next_revision_is_above_every_slot_that_is_taken() {
    let listed = item(event(EventName::ProductListed), 1);
    let (third, odd) =
        (item(repriced(3, 1_899), 3), under("EVENT#ProductRepriced#4", &event(EventName::OrderPlaced), 4));
    let next = |stream: &[&RecordedEvent]| {
        fold_product(stream.iter().copied()).next_revision(stream.iter().copied())
    };
    assert_eq!(next(&[&listed]), Some(1));
    assert_eq!(next(&[&listed, &third]), Some(4));
    assert_eq!(next(&[&third, &listed, &odd]), Some(5));
    assert_eq!(next(&[&item(repriced(u32::MAX, 1), 5)]), None);
}
