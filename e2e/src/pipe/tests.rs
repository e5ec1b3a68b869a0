//! What the pipe promises, against a bus that refuses.

use std::sync::Mutex;

use aws_sdk_dynamodb::types::AttributeValue;
use event_store_dynamodb::Item;
use serde_json::json;
use worker_functions::BusEvent;

use super::*;
use crate::deploy::topology;

/// Takes every batch without an event of a poisoned stream, and remembers how often it was asked.
#[derive(Default)]
struct Picky {
    taken: Mutex<Vec<String>>,
    asked: Mutex<usize>,
}

#[async_trait]
impl Bus for Picky {
    async fn put(&self, events: &[BusEvent]) -> Result<(), CarryError> {
        *self.asked.lock().unwrap() += 1;
        if events.iter().any(|event| event.detail.contains("poison")) {
            return Err(CarryError::Bus("poison".into()));
        }
        let streams = events.iter().map(|event| {
            let detail: Value = serde_json::from_str(&event.detail).unwrap();
            detail["pk"].as_str().unwrap().to_owned()
        });
        self.taken.lock().unwrap().extend(streams);
        Ok(())
    }
}

#[async_trait]
impl DeadLetters for Mutex<Vec<Value>> {
    async fn keep(&self, letter: &Value) -> Result<(), String> {
        self.lock().unwrap().push(letter.clone());
        Ok(())
    }
}

struct World {
    bus: Arc<Picky>,
    letters: Arc<Mutex<Vec<Value>>>,
    runner: Runner,
}

fn world(change: impl FnOnce(&mut Pipe)) -> World {
    let mut pipe = topology().unwrap().pipe;
    change(&mut pipe);
    let (bus, letters) = (Arc::new(Picky::default()), Arc::new(Mutex::default()));
    let runner = Runner {
        pipe,
        bus: bus.clone(),
        dead_letters: letters.clone(),
        stream: "stream".into(),
        pause: Duration::ZERO,
    };
    World { bus, letters, runner }
}

fn record(number: usize, stream: &str, name: &str) -> Record {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    Record {
        shard: "shard-1".into(),
        sequence_number: number.to_string(),
        change: "INSERT".into(),
        happened_at: now as i64,
        image: Item::from([("pk".into(), text(stream)), ("event_name".into(), text(name))]),
    }
}

fn placed(streams: &[&str]) -> Vec<Record> {
    streams.iter().enumerate().map(|(number, stream)| record(number, stream, "OrderPlaced")).collect()
}

#[tokio::test]
async fn only_what_somebody_listens_to_is_carried() {
    let world = world(|_| ());
    let mut records = placed(&["a", "b", "c"]);
    records[1] = record(1, "b", "StockReceived");
    world.runner.carry(&records).await;
    assert_eq!(*world.bus.taken.lock().unwrap(), ["a", "c"]);
    assert_eq!(*world.letters.lock().unwrap(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_batch_is_as_large_as_declared_and_of_one_shard() {
    let world = world(|pipe| pipe.batch_size = 2);
    let mut records = placed(&["a", "b", "c", "d"]);
    records[3].shard = "shard-2".into();
    world.runner.carry(&records).await;
    assert_eq!(*world.bus.taken.lock().unwrap(), ["a", "b", "c", "d"]);
    assert_eq!(*world.bus.asked.lock().unwrap(), 3);
}

#[tokio::test]
async fn a_batch_is_cut_in_two_until_the_bad_record_stands_alone_and_is_given_up() {
    let world = world(|pipe| pipe.maximum_retry_attempts = Some(3));
    world.runner.carry(&placed(&["a", "b", "poison", "d", "e"])).await;
    assert_eq!(*world.bus.taken.lock().unwrap(), ["a", "b", "d", "e"], "in their order");
    // 5, 2, 3, then the bad one alone with three retries, and the last two.
    assert_eq!(*world.bus.asked.lock().unwrap(), 3 + 4 + 1);
    let letters = world.letters.lock().unwrap();
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!(letter["context"]["condition"], "RetryAttemptsExhausted");
    let batch = &letter["DDBStreamBatchInfo"];
    let named = [&batch["shardId"], &batch["startSequenceNumber"], &batch["endSequenceNumber"]];
    assert_eq!(named, [&json!("shard-1"), &json!("2"), &json!("2")]);
    assert_eq!((&batch["batchSize"], &batch["streamArn"]), (&json!(1), &json!("stream")));
}

#[tokio::test]
async fn without_bisecting_a_bad_record_takes_its_batch_along() {
    let world = world(|pipe| {
        pipe.maximum_retry_attempts = Some(0);
        pipe.on_partial_batch_item_failure = PartialBatchFailure::RetryWhole;
    });
    world.runner.carry(&placed(&["a", "poison", "c"])).await;
    assert_eq!(*world.bus.taken.lock().unwrap(), Vec::<String>::new());
    assert_eq!(world.letters.lock().unwrap()[0]["DDBStreamBatchInfo"]["batchSize"], 3);
}

#[tokio::test]
async fn what_is_too_old_is_given_up_without_a_try() {
    let world = world(|_| ());
    let mut records = placed(&["a", "b"]);
    records[0].happened_at -= 86_400;
    world.runner.carry(&records).await;
    assert_eq!(*world.bus.taken.lock().unwrap(), ["b"]);
    let letters = world.letters.lock().unwrap();
    assert_eq!(letters[0]["context"]["condition"], "MaximumRecordAgeExceeded");
    assert_eq!(letters[0]["DDBStreamBatchInfo"]["endSequenceNumber"], "0");
}

#[tokio::test]
async fn nothing_is_given_up_where_no_limit_is_declared() {
    let world = world(|pipe| (pipe.maximum_retry_attempts, pipe.maximum_record_age) = (None, None));
    let records = placed(&["poison"]);
    let carrying = tokio::time::timeout(Duration::from_millis(50), world.runner.carry(&records));
    assert!(carrying.await.is_err());
    assert_eq!(*world.letters.lock().unwrap(), Vec::<Value>::new());
}
