//! Batches of messages: how many looks they are, and what becomes of those that failed.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use events::StreamKey;
use workers::{Failure, Message, Nudge, Reconcile, WorkerError, handle_batch};

/// A worker whose world is broken, and which remembers what it was asked to look at.
struct Broken {
    error: WorkerError,
    looks: Mutex<Vec<(String, String)>>,
}

#[async_trait]
impl Reconcile for Broken {
    fn name(&self) -> &'static str {
        "broken-worker"
    }

    async fn reconcile(&self, stream: &StreamKey, nudge: &Nudge) -> Result<(), WorkerError> {
        self.looks.lock().unwrap().push((stream.pk(), nudge.sk.clone()));
        Err(self.error.clone())
    }
}

fn broken(error: WorkerError) -> Broken {
    Broken { error, looks: Mutex::default() }
}

fn transient() -> WorkerError {
    WorkerError::Transient("failed to reach the store".to_owned())
}

fn message(id: u64, pk: &str, sk: &str, receive_count: u32) -> Message<String> {
    Message { id, body: format!(r#"{{"pk":{pk:?},"sk":{sk:?},"event_name":"for people"}}"#), receive_count }
}

/// When a message comes back that failed for now.
async fn retry_after(id: u64, receive_count: u32) -> Duration {
    let batch = [message(id, "EVENTS#ORDER_ID#order-1", "EVENT#Payment", receive_count)];
    let failures = handle_batch(&broken(transient()), &batch).await;
    assert_eq!((failures.len(), failures[0].id, &failures[0].error), (1, id, &transient()));
    failures[0].retry_after
}

#[tokio::test]
async fn what_failed_for_now_comes_back_after_twice_the_time_each_time_up_to_five_minutes() {
    for (receive_count, seconds) in
        [(1, 1), (2, 2), (3, 4), (8, 128), (9, 256), (10, 300), (11, 300), (u32::MAX, 300)]
    {
        let longest = Duration::from_secs(seconds);
        for id in 0..100 {
            let waits = retry_after(id, receive_count).await;
            assert!((longest.mul_f64(0.8)..=longest).contains(&waits), "{waits:?} of {longest:?}");
        }
    }
}

#[tokio::test]
async fn messages_that_failed_together_do_not_come_back_together() {
    let mut waits = Vec::new();
    for id in 0..100 {
        waits.push(retry_after(id, 9).await.as_secs());
    }
    waits.sort();
    assert!((waits[0], waits[99]) < (208, 256) && waits[99] >= 253, "{waits:?}");
    let widest_gap = waits.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(widest_gap <= Some(3), "{waits:?}");
}

#[tokio::test]
async fn what_no_repetition_will_help_comes_back_at_once_for_its_dead_letter_queue() {
    let error = WorkerError::Permanent("blocked".to_owned());
    let batch = [message(7, "EVENTS#ORDER_ID#order-1", "EVENT#Payment", 3)];
    let failures = handle_batch(&broken(error.clone()), &batch).await;
    assert_eq!(failures, [Failure { id: 7, error, retry_after: Duration::ZERO }]);
}

#[tokio::test]
async fn an_unreadable_message_fails_for_good_and_alone() {
    let worker = broken(transient());
    let mut batch = vec![
        message(1, "EVENTS#NOBODY#1", "EVENT#1", 1),
        Message { id: 2, body: "no JSON".to_owned(), receive_count: 1 },
        Message { id: 3, body: r#"{"pk":"EVENTS#SKU#sku-1"}"#.to_owned(), receive_count: 1 },
    ];
    batch.push(message(4, "EVENTS#ORDER_ID#order-1", "EVENT#Payment", 1));
    let failures = handle_batch(&worker, &batch).await;
    let for_good: Vec<u64> = failures
        .iter()
        .filter(|failure| matches!(failure.error, WorkerError::Permanent(_)))
        .map(|failure| failure.id)
        .collect();
    assert_eq!((for_good, failures.len()), (vec![1, 2, 3], 4));
    let looks = worker.looks.into_inner().unwrap();
    assert_eq!(looks, [("EVENTS#ORDER_ID#order-1".to_owned(), "EVENT#Payment".to_owned())]);
}

#[tokio::test]
async fn messages_about_one_order_are_one_look_that_fails_for_all_of_them_and_each_lot_is_its_own() {
    let worker = broken(transient());
    let (order, stock) = ("EVENTS#ORDER_ID#order-1", "EVENTS#SKU#sku-1");
    let batch = [
        message(1, order, "EVENT#Reservation", 1),
        message(2, stock, "EVENT#SkuRestocked#LOT_ID#lot-1", 1),
        message(3, order, "EVENT#Payment", 2),
        message(4, stock, "EVENT#SkuRestocked#LOT_ID#lot-2", 1),
        message(5, stock, "EVENT#SkuRestocked#LOT_ID#lot-2", 2),
    ];
    let mut failed: Vec<u64> =
        handle_batch(&worker, &batch).await.into_iter().map(|failure| failure.id).collect();
    failed.sort();
    assert_eq!(failed, [1, 2, 3, 4, 5]);
    let looks = worker.looks.into_inner().unwrap();
    let look = |pk: &str, sk: &str| (pk.to_owned(), sk.to_owned());
    assert_eq!(
        looks,
        [
            look(order, "EVENT#Reservation"),
            look(stock, "EVENT#SkuRestocked#LOT_ID#lot-1"),
            look(stock, "EVENT#SkuRestocked#LOT_ID#lot-2"),
        ]
    );
}
