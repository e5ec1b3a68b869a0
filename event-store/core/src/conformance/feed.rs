//! What must hold of [`ChangeFeed`](crate::ChangeFeed).

use std::sync::Arc;
use std::time::Duration;

use events::RecordedEvent;
use futures_util::future::{join, join_all};
use tokio::time::timeout;

use super::InOrder;
use super::given::{in_time, moving, noted, received, reserve, store};
use super::log::of_every_shape;
use super::order_views::full;
use super::stock_views::{entry, soon_ledger};
use crate::log::{Appended, Position};

const PK: &str = "EVENTS#ORDER_ID#o-1";

pub async fn an_empty_log_has_its_head_at_the_beginning(log: &dyn InOrder) {
    assert_eq!(log.head().await, Ok(Position::default()));
}

pub async fn every_event_comes_once_in_the_order_of_append(log: &dyn InOrder) {
    let mut appended = Vec::new();
    for n in 0..30 {
        // The ids run backwards, for the order of append is not theirs.
        appended.push(store(log, noted(&format!("STREAM#{}", n % 4), &format!("EVENT#{n}"), 99 - n)).await);
    }
    for event in of_every_shape() {
        appended.push(store(log, event).await);
    }
    for limit in [1, 7, 100] {
        let (events, last) = walk(log, Position::default(), limit, appended.len()).await;
        assert_eq!(events, appended, "by {limit}");
        assert_eq!(log.head().await, Ok(last), "by {limit}");
    }
}

pub async fn what_was_not_stored_never_comes(log: &dyn InOrder) {
    let first = store(log, noted(PK, "EVENT#1", 1)).await;
    let taken = log.append(noted(PK, "EVENT#1", 2)).await;
    assert_eq!(taken, Ok(Appended::Taken(first.clone())));
    assert!(matches!(log.append(moving(3, vec![reserve("apple", 1)])).await, Ok(Appended::Short(_))));
    let too_many = (0..100).map(|n| reserve(&format!("sku-{n}"), 1)).collect();
    assert!(log.append(moving(4, too_many)).await.is_err());
    let second = store(log, noted(PK, "EVENT#2", 5)).await;
    let (events, last) = walk(log, Position::default(), 10, 2).await;
    assert_eq!(events, vec![first, second]);
    assert_eq!(log.head().await, Ok(last));
}

pub async fn following_waits_until_an_append_comes(log: &dyn InOrder) {
    for n in 1..=3 {
        let head = log.head().await.unwrap();
        let append = async {
            pause().await;
            store(log, noted(PK, &format!("EVENT#{n}"), n)).await
        };
        let (found, stored) = in_time(join(log.follow(head, 100), append)).await;
        assert_eq!(found, Ok(vec![(log.head().await.unwrap(), stored)]));
    }
}

pub async fn every_follower_is_woken(log: &dyn InOrder) {
    let append = async {
        pause().await;
        store(log, noted(PK, "EVENT#1", 1)).await
    };
    let followers = join_all((0..5).map(|_| log.follow(Position::default(), 10)));
    let (found, stored) = in_time(join(followers, append)).await;
    assert_eq!(found, vec![Ok(vec![(log.head().await.unwrap(), stored)]); 5]);
}

pub async fn giving_up_a_wait_loses_nothing(log: &dyn InOrder) {
    let given_up = timeout(Duration::from_millis(50), log.follow(Position::default(), 10)).await;
    assert!(given_up.is_err(), "nothing was there, and {given_up:?} came");
    let stored = store(log, noted(PK, "EVENT#1", 1)).await;
    let found = in_time(log.follow(Position::default(), 10)).await;
    assert_eq!(found, Ok(vec![(log.head().await.unwrap(), stored)]));
}

pub async fn no_event_appears_behind_a_position_that_was_given(log: &dyn InOrder) {
    let appends = join_all((0..100).map(|n| log.append(noted(&format!("STREAM#{n}"), "EVENT#1", n))));
    let (outcomes, (seen, last)) = join(appends, walk(log, Position::default(), 7, 100)).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Appended::Stored(_)))));
    let (again, end) = walk(log, Position::default(), 100, 100).await;
    assert_eq!((&seen, last), (&again, end));
    let mut streams: Vec<_> = seen.iter().map(|event| event.pk.clone()).collect();
    streams.sort();
    streams.dedup();
    assert_eq!(streams.len(), 100);
}

pub async fn the_ledger_is_in_the_order_of_append(log: &dyn InOrder) {
    // The ids run backwards, for the order of append is not theirs.
    let mut entries = Vec::new();
    for n in [9, 8, 5, 3] {
        entries.push(entry(&*store(log, received("apple", n, n)).await, [n as i64, 0, 0]));
    }
    soon_ledger(log, "apple", entries).await;
}

pub async fn rows_of_read_models_do_not_come(log: &dyn InOrder) {
    log.put(full("o-1", 1)).await.unwrap();
    assert_eq!(log.head().await, Ok(Position::default()));
}

/// Long enough for a follower to begin its wait; a follower that did not is no failure.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// So many events behind a position, and where the last of them stands.
async fn walk(
    log: &dyn InOrder,
    mut after: Position,
    limit: usize,
    count: usize,
) -> (Vec<Arc<RecordedEvent>>, Position) {
    let mut events = Vec::new();
    while events.len() < count {
        let found = in_time(log.follow(after, limit)).await.unwrap();
        assert!((1..=limit).contains(&found.len()), "{} came by {limit}", found.len());
        for (position, event) in found {
            assert!(position > after, "{position:?} came behind {after:?}");
            after = position;
            events.push(event);
        }
    }
    (events, after)
}
