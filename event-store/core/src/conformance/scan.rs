//! What must hold of [`LogScan`](crate::LogScan).

use std::collections::BTreeMap;

use events::RecordedEvent;

use super::AllPorts;
use super::catalog_views::{customer, product};
use super::given::{noted, store};
use super::log::of_every_shape;
use super::order_views::full;
use crate::log::{ScanPage, Segment};

const WHOLE: Segment = Segment { index: 0, of: 1 };

/// The events of each stream, in the order of their ids.
type Streams = BTreeMap<String, Vec<RecordedEvent>>;

pub async fn an_empty_log_is_scanned_to_its_end(log: &dyn AllPorts) {
    for of in [1, 3] {
        for index in 0..of {
            assert_eq!(walk(log, Segment { index, of }, None, 10).await, Streams::new());
        }
    }
}

pub async fn every_stream_comes_exactly_once_whatever_the_segments_and_limits(log: &dyn AllPorts) {
    let all: Vec<_> = many_streams(log).await.into_iter().collect();
    for of in [1, 3, 7] {
        for limit in [1, 2, 10, 1000] {
            let mut found = Vec::new();
            for index in 0..of {
                found.extend(walk(log, Segment { index, of }, None, limit).await);
            }
            found.sort_by(|(one, _), (other, _)| one.cmp(other));
            assert_eq!(found, all, "{of} segments by {limit}");
        }
    }
}

/// "About" leaves room for the rest of a stream and for the next one; not for the whole log.
pub async fn a_scan_stops_after_about_as_many_events_as_it_may_give(log: &dyn AllPorts) {
    let all: usize = many_streams(log).await.values().map(Vec::len).sum();
    let page = log.scan(WHOLE, None, 5).await.unwrap();
    let given: usize = page.streams.iter().map(Vec::len).sum();
    assert!(given < all / 2 && page.next.is_some(), "{given} of {all} events came on a page of 5");
}

pub async fn a_scan_goes_on_from_any_cursor_it_gave(log: &dyn AllPorts) {
    let mut left = many_streams(log).await;
    let mut after = None;
    for _ in 0..1000 {
        let ScanPage { streams, next } = log.scan(WHOLE, after.as_deref(), 7).await.unwrap();
        left.retain(|pk, _| streams.iter().all(|stream| *stream[0].pk != **pk));
        let Some(cursor) = next else { break };
        // As a replay that crashed here would, as often as it crashes.
        assert_eq!(walk(log, WHOLE, Some(cursor.clone()), 1000).await, left, "behind {cursor}");
        after = Some(cursor);
    }
    assert_eq!(left, Streams::new());
}

pub async fn what_was_there_when_the_scan_began_is_given_though_the_log_grows(log: &dyn AllPorts) {
    let began_with = many_streams(log).await;
    let (mut found, mut after) = (Streams::new(), None);
    for n in 0..1000 {
        let ScanPage { streams, next } = log.scan(WHOLE, after.as_deref(), 3).await.unwrap();
        for stream in streams {
            keep(&mut found, stream);
        }
        if next.is_none() {
            break;
        }
        after = next;
        store(log, noted(&format!("NEW#{n}"), "EVENT#1", 2000 + n)).await;
        store(log, noted(&format!("STREAM#{}", n % 40), &format!("EVENT#LATE#{n}"), 3000 + n)).await;
    }
    for (pk, events) in began_with {
        let mut given = found.remove(&pk).unwrap_or_default();
        given.retain(|event| events.contains(event));
        assert_eq!(given, events, "{pk}");
    }
}

pub async fn rows_of_read_models_are_no_part_of_the_log(log: &dyn AllPorts) {
    log.put(full("o-1", 1)).await.unwrap();
    log.put_customer(customer("ada", 1, 1)).await.unwrap();
    log.put_product(product("p-1", "apple", "Apple", 1)).await.unwrap();
    assert_eq!(walk(log, WHOLE, None, 10).await, Streams::new());
    assert_eq!(log.size().await, Ok(0));
}

/// "About how many" may be counted late; it may not promise what is not there.
pub async fn the_size_is_never_more_than_there_is(log: &dyn AllPorts) {
    assert_eq!(log.size().await, Ok(0));
    for n in 1..=20 {
        store(log, noted("STREAM#1", &format!("EVENT#{n}"), n)).await;
        let size = log.size().await.unwrap();
        assert!(size <= n, "{size} of {n}");
    }
}

/// Forty streams of one to five events, and some of every shape.
async fn many_streams(log: &dyn AllPorts) -> Streams {
    let mut all = Streams::new();
    let numbers = (0..40).flat_map(|stream| (0..=stream % 5).map(move |event| (stream, event)));
    let plain = numbers.map(|(stream, event)| {
        noted(&format!("STREAM#{stream}"), &format!("EVENT#{event}"), 100 + stream * 10 + event)
    });
    for event in plain.chain(of_every_shape()) {
        store(log, event.clone()).await;
        all.entry(event.pk.to_string()).or_default().push(event);
    }
    all
}

/// What a segment holds behind a cursor.
async fn walk(log: &dyn AllPorts, segment: Segment, mut after: Option<String>, limit: usize) -> Streams {
    let mut found = Streams::new();
    for _ in 0..1000 {
        let page = log.scan(segment, after.as_deref(), limit).await.unwrap();
        page.streams.into_iter().for_each(|stream| keep(&mut found, stream));
        if page.next.is_none() {
            return found;
        }
        after = page.next;
    }
    panic!("a scan of {segment:?} does not end");
}

fn keep(found: &mut Streams, mut stream: Vec<RecordedEvent>) {
    let pk = stream.first().expect("a stream has an event").pk.to_string();
    assert!(stream.iter().all(|event| *event.pk == *pk), "{pk} came with events of other streams");
    stream.sort_by_key(|event| event.event_id);
    assert_eq!(found.insert(pk.clone(), stream), None, "{pk} came twice");
}
