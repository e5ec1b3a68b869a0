//! The queues worked on by hand, one event of an order at a time and one queue after the other.

use std::collections::BTreeMap;

use event_store::EventLog;
use events::{OrderId, StreamKey};
use hyper::Method;
use serde_json::{Value, json};
use topology::QueueSource;
use worker_functions::{Bus, BusEvent, carried};

use crate::faults::{enable, mapping_of};
use crate::world::{World, until};

/// The system with its queues worked on by hand.
pub struct ByHand<'a> {
    pub world: &'a World,
    mappings: Vec<String>,
}

/// What the rules that start the sweepers are called.
const SWEEPERS: [&str; 2] = ["OMS-Sweeper", "OMS-LogSweeper"];

impl<'a> ByHand<'a> {
    pub async fn begin(world: &'a World) -> ByHand<'a> {
        let mut mappings = Vec::new();
        for source in sources(world) {
            mappings.push(mapping_of(world, &source.queue).await);
        }
        let by_hand = ByHand { world, mappings };
        by_hand.switch(false).await;
        *world.bus.held.lock().unwrap() = Some(Vec::new());
        by_hand
    }

    pub async fn end(self) {
        assert_eq!(self.world.bus.held.lock().unwrap().take(), Some(Vec::new()));
        self.switch(true).await;
    }

    async fn switch(&self, on: bool) {
        for mapping in &self.mappings {
            enable(self.world, mapping, on).await;
        }
        let verb = if on { "EnableRule" } else { "DisableRule" };
        for rule in SWEEPERS {
            self.world.aws("events", &format!("AWSEvents.{verb}"), json!({ "Name": rule })).await;
        }
    }

    /// Carries what the orders' events lead to, until they lead to nothing more.
    pub async fn drive(&self, orders: &[String], batch: usize, way: &mut Way) {
        loop {
            let mut waiting = self.carried_so_far(orders, way).await;
            if waiting.is_empty() {
                return;
            }
            while !waiting.is_empty() {
                let mut round = Vec::new();
                waiting.retain_mut(|of_one_order: &mut Vec<BusEvent>| {
                    round.push(of_one_order.remove(0));
                    !of_one_order.is_empty()
                });
                way.carried += round.len();
                way.bytes += round.iter().map(|event| event.detail.len()).sum::<usize>();
                assert!(round.iter().all(|event| event.detail.len() < 60_000), "billed as one");
                self.world.bus.bus.put(&round).await.unwrap();
                self.work(&round, batch, way).await;
            }
        }
    }

    /// The events that the pipe has carried and nobody was told of yet, by order; waits until those are all.
    async fn carried_so_far(&self, orders: &[String], way: &mut Way) -> Vec<Vec<BusEvent>> {
        let mut expected = 0;
        way.records = 0;
        for order in orders {
            let pk = StreamKey::Order(OrderId::parse(order).unwrap()).pk();
            let stream = self.world.store.read_stream(&pk).await.unwrap();
            way.records += stream.len();
            let passes = |name: &str, producer: &str| {
                let image = json!({ "event_name": { "S": name }, "producer": { "S": producer } });
                let record = json!({ "eventName": "INSERT", "dynamodb": { "NewImage": image } });
                carried(&self.world.pipe.pipe, &record).unwrap().is_some()
            };
            expected += stream.iter().filter(|event| passes(&event.event_name, &event.producer)).count();
        }
        let missing = expected - way.carried;
        let held = until("the pipe has carried everything", async || {
            let mut held = self.world.bus.held.lock().unwrap();
            let held = held.as_mut().unwrap();
            if held.len() == missing { Ok(std::mem::take(held)) } else { Err(json!([held.len(), missing])) }
        })
        .await;
        let mut by_order: BTreeMap<String, Vec<(String, BusEvent)>> = BTreeMap::new();
        for event in held {
            let detail: Value = serde_json::from_str(&event.detail).unwrap();
            let [pk, id] = ["pk", "event_id"].map(|name| detail[name].as_str().unwrap().to_owned());
            by_order.entry(pk).or_default().push((id, event));
        }
        let in_order = |mut events: Vec<(String, BusEvent)>| {
            events.sort_by(|one, other| one.0.cmp(&other.0));
            events.into_iter().map(|(_, event)| event).collect()
        };
        by_order.into_values().map(in_order).collect()
    }

    /// Works on the queues, one after the other, until what the bus was given is done.
    async fn work(&self, events: &[BusEvent], batch: usize, way: &mut Way) {
        let world = self.world;
        for source in sources(world) {
            let is_sent = |event: &&BusEvent| {
                let detail: Value = serde_json::from_str(&event.detail).unwrap();
                let event =
                    json!({ "source": event.source, "detail-type": event.detail_type, "detail": detail });
                let mut targets = world.topology.rules.iter().filter(|rule| rule.pattern.matches(&event));
                targets.any(|rule| rule.targets.iter().any(|target| target.queue == source.queue))
            };
            let mut left = events.iter().filter(is_sent).count();
            way.sent += left;
            until("the bus has delivered", async || {
                let depth = world.depth(&source.queue).await;
                if depth as usize == left { Ok(()) } else { Err(json!([source.queue, depth, left])) }
            })
            .await;
            while left > 0 {
                let size = batch.min(source.batch_size as usize);
                left -= self.invoke(&source.queue, size.min(left), way).await;
            }
        }
    }

    /// One batch of a queue's messages, as Lambda's poller hands it over; says how many they were.
    async fn invoke(&self, queue: &str, size: usize, way: &mut Way) -> usize {
        let world = self.world;
        let function = world
            .topology
            .functions
            .iter()
            .find(|function| function.sources().any(|source| source.queue == queue));
        let receive = world.sqs.receive_message().queue_url(world.url(queue));
        let received = receive.max_number_of_messages(size as i32).send().await.unwrap();
        let messages = received.messages.unwrap_or_default();
        assert_eq!(messages.len(), size, "one batch");
        assert!(
            messages.iter().map(|message| message.body().unwrap().len()).sum::<usize>() < 64_000,
            "billed as one"
        );
        let records = messages.iter().map(|message| {
            json!({
                "messageId": message.message_id(), "receiptHandle": message.receipt_handle(), "body": message.body(),
                "attributes": { "ApproximateReceiveCount": "1" }, "messageAttributes": {}, "awsRegion": "us-east-1",
                "eventSource": "aws:sqs", "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
            })
        });
        let path = format!("functions/{}/invocations", function.unwrap().binary);
        let event = json!({ "Records": Vec::from_iter(records) });
        let answer = world.lambda(Method::POST, &path, event).await;
        assert_eq!(answer["batchItemFailures"], json!([]), "{answer}");
        for message in &messages {
            let delete = world.sqs.delete_message().queue_url(world.url(queue));
            delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
        }
        // Lambda deletes a batch with one request.
        (way.received, way.deleted) = (way.received + 1, way.deleted + 1);
        size
    }
}

fn sources(world: &World) -> Vec<QueueSource> {
    world.topology.functions.iter().flat_map(|function| function.queues.clone()).collect()
}

/// What was counted on an order's way from the log to the workers.
#[derive(Default)]
pub struct Way {
    pub records: usize,
    pub carried: usize,
    pub bytes: usize,
    pub sent: usize,
    pub received: usize,
    pub deleted: usize,
}
