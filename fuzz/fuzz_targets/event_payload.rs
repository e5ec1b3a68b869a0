//! A stream as anybody may have written it: what is read is written and read the same, folding twice is folding
//! once in any order, and what is owed is done in a few steps.
#![no_main]

use std::fmt::Debug;

use event_store::{CustomerRow, OrderRows, ProductRow};
use events::{Event, RecordedEvent, StreamKey, anomalies};
use libfuzzer_sys::{Corpus, fuzz_target};
use payments::{Step, accepted, attempted, declined, refunded};
use sagaline_fuzz::shop::stamped;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(stream) = parse(input) else { return Corpus::Reject };
    stream.iter().for_each(reads_what_it_writes);
    folds_alike(&stream);
    rows_are_read_back(&stream);
    is_settled_soon(stream);
    Corpus::Keep
});

/// A partition key, then one event a line: sort key, name, version, payload.
fn parse(input: &[u8]) -> Option<Vec<RecordedEvent>> {
    let mut lines = str::from_utf8(input).ok()?.split('\n');
    let pk = lines.next()?;
    let event = |(n, line): (usize, &str)| {
        let mut words = line.splitn(4, ' ');
        let (sk, name, version, data) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let (stamp, causes) = stamped(n);
        let said = (name, version.parse().ok()?, data);
        Some(RecordedEvent::raw((pk, sk), said, Vec::new(), stamp, causes))
    };
    lines.enumerate().map(event).collect::<Option<Vec<_>>>().filter(|stream| (1..=64).contains(&stream.len()))
}

fn reads_what_it_writes(item: &RecordedEvent) {
    let Ok(event) = item.event() else { return };
    assert_eq!(event.stream().pk(), *item.pk, "an event is read from its own stream alone");
    let (stamp, causes) = stamped(0);
    let written = RecordedEvent::new(event.clone(), Vec::new(), stamp.clone(), causes.clone());
    let said = (&*written.event_name, written.schema_version, &*written.data);
    let stored = RecordedEvent::raw((&written.pk, &written.sk), said, Vec::new(), stamp, causes);
    assert_eq!(stored.event(), Ok(event), "{}", written.data);
    let sent: RecordedEvent = again(&stored);
    assert_eq!(sent, stored);
    assert_eq!(sent.event(), Ok(event), "{}", written.data);
}

/// Forwards, backwards and twice.
fn folds_alike(stream: &[RecordedEvent]) {
    fn alike<T: PartialEq + Debug>(forwards: T, others: [T; 2]) {
        others.iter().for_each(|other| assert_eq!(other, &forwards));
    }
    let (once, backwards, twice) = (|| stream.iter(), || stream.iter().rev(), || stream.iter().chain(stream));
    alike(orders::fold(once()), [orders::fold(backwards()), orders::fold(twice())]);
    alike(inventory::fold(once()), [inventory::fold(backwards()), inventory::fold(twice())]);
    alike(payments::fold(once()), [payments::fold(backwards()), payments::fold(twice())]);
    alike(
        catalog::fold_product(once()),
        [catalog::fold_product(backwards()), catalog::fold_product(twice())],
    );
    alike(
        catalog::fold_customer(once()),
        [catalog::fold_customer(backwards()), catalog::fold_customer(twice())],
    );
    alike(anomalies(once()), [anomalies(backwards()), anomalies(twice())]);
}

fn rows_are_read_back(stream: &[RecordedEvent]) {
    let rows: Option<OrderRows> = views::project::order_rows(stream);
    let product: Option<ProductRow> = views::project::product_row(stream);
    let customer: Option<CustomerRow> = views::project::customer_row(stream);
    assert_eq!((again(&rows), again(&product), again(&customer)), (rows, product, customer));
}

/// Through JSON and back.
fn again<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let text = serde_json::to_string(value).expect("only text keys and finite numbers");
    serde_json::from_str(&text).unwrap_or_else(|cause| panic!("{cause}: {text}"))
}

/// Does what the domains owe the order, as workers do, with a gateway that declines now and then.
fn is_settled_soon(mut stream: Vec<RecordedEvent>) {
    let Some(StreamKey::Order(order)) = stream.first().and_then(|item| StreamKey::parse(&item.pk)) else {
        return;
    };
    for step in 0..32 {
        let Some(event) = owed(&stream, &order, step) else { return };
        let (stamp, causes) = stamped(stream.len());
        let item = RecordedEvent::new(event, Vec::new(), stamp, causes);
        // A raw event that says nothing may block the slot: then a worker gives up and says so.
        if stream.iter().any(|taken| taken.sk == item.sk) {
            return;
        }
        stream.push(item);
        folds_alike(&stream);
    }
    panic!("{order} is still owed something: {stream:#?}");
}

fn owed(stream: &[RecordedEvent], order: &events::OrderId, step: usize) -> Option<Event> {
    if let Some(orders::Owed::RequestInventory(placed)) = orders::decide(&orders::fold(stream)) {
        return Some(Event::ReserveInventory(events::ReserveInventory {
            order_id: order.clone(),
            customer_id: placed.customer_id.clone(),
            items: orders::stock_lines(placed),
        }));
    }
    if let Some(owed) = inventory::decide(&inventory::fold(stream)) {
        owed.deltas();
        return Some(owed.event(order));
    }
    let facts = payments::fold(stream);
    Some(match payments::decide(&facts)?.what {
        Step::Attempt { number, .. } if step.is_multiple_of(2) => attempted(order, number),
        Step::Attempt { number, .. } if step.is_multiple_of(3) => declined(order, "amount_too_large", number),
        Step::Attempt { amount, currency, .. } => accepted(order, "pay-1", amount, currency),
        Step::Close(closure) => closure.outcome(step.is_multiple_of(2).then_some("pay-1")),
        Step::Refund(paid) => refunded(paid),
    })
}
