//! What workers say of themselves: what they count, which request a look belongs to, and what they are called.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod world;

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use events::StreamKey;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Event, Metadata, Subscriber};
use workers::{Message, Nudge, Reconcile, Worker, WorkerError, handle_batch};
use world::World;

/// Hears what is measured, and what spans say of themselves.
#[derive(Clone, Default)]
struct Listener {
    said: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicU64>,
}

impl Listener {
    fn listen() -> (Listener, DefaultGuard) {
        let listener = Listener::default();
        (listener.clone(), set_default(listener))
    }

    /// What was said of this field, each time.
    fn of(&self, field: &str) -> Vec<String> {
        let said = self.said.lock().unwrap();
        said.iter().filter_map(|said| said.strip_prefix(&format!("{field}="))).map(str::to_owned).collect()
    }
}

impl Visit for &Listener {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.said.lock().unwrap().push(format!("{field}={value:?}"));
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        attributes.record(&mut { self });
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut { self });
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() == "metrics" {
            event.record(&mut { self });
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A worker that has nothing to do.
struct Idle;

#[async_trait]
impl Reconcile for Idle {
    fn name(&self) -> &'static str {
        "idle-worker"
    }

    async fn reconcile(&self, _: &StreamKey, _: &Nudge) -> Result<(), WorkerError> {
        Ok(())
    }
}

fn message(id: u64, receive_count: u32) -> Message<String> {
    let body = format!(
        r#"{{"pk":"EVENTS#ORDER_ID#order-1","sk":"EVENT#Payment","correlation_id":"req-{id}",
            "traceparent":"00-0000000000000000000000000000000{id}-00000000000000aa-01"}}"#
    );
    Message { id, body, receive_count }
}

const RETRIED: &str = "monotonic_counter.messages_retried";

#[tokio::test]
async fn messages_that_come_again_are_counted_and_no_others() {
    let (listener, _guard) = Listener::listen();
    handle_batch(&Idle, &[message(1, 1), message(2, 1)]).await;
    assert_eq!(listener.of(RETRIED), Vec::<String>::new(), "nothing came again");
    handle_batch(&Idle, &[message(1, 1), message(2, 2), message(3, 3)]).await;
    assert_eq!(listener.of(RETRIED), ["2"]);
}

#[tokio::test]
async fn a_look_that_several_messages_asked_for_belongs_to_the_request_of_the_first() {
    let (listener, _guard) = Listener::listen();
    handle_batch(&Idle, &[message(1, 1), message(2, 1), message(3, 1)]).await;
    assert_eq!(listener.of("otel.name"), [r#""idle-worker""#], "they are one look");
    assert_eq!(listener.of("messaging.batch.message_count"), ["3"]);
    assert_eq!(listener.of("request_id"), [r#""req-1""#]);
    assert_eq!(listener.of("trace_id"), [r#""00000000000000000000000000000001""#]);
}

#[tokio::test]
async fn each_worker_is_called_as_its_function_is_and_says_what_it_does() {
    let world = World::new();
    for worker in Worker::ALL {
        assert_eq!(Worker::of_binary(world.workers.get(worker).name()), Some(worker));
        let others = Worker::ALL.into_iter().filter(|other| *other != worker);
        assert!(worker.does().contains(' ') && others.into_iter().all(|other| other.does() != worker.does()));
    }
}

const ANOMALIES: &str = "monotonic_counter.anomalies";

#[tokio::test]
async fn an_anomaly_is_counted_when_its_own_message_comes_and_not_when_another_does() {
    let world = World::new();
    let placed = world.place("order-1", &[("sku-1", 1)], 100).await;
    world.append_raw(&placed.pk, "EVENT#Odd", "OrderRetracted", "{}").await;
    let odd = world.stored_at(&placed.pk, "EVENT#Odd").await;
    let (listener, _guard) = Listener::listen();
    world.wake(Worker::Orders, &placed).await.unwrap();
    assert_eq!(listener.of(ANOMALIES), Vec::<String>::new());
    world.wake(Worker::Orders, &odd).await.unwrap();
    assert_eq!(listener.of(ANOMALIES), ["1"]);
}

#[tokio::test]
async fn the_event_that_ends_an_order_is_counted_with_how_long_it_took() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    let placed = world.place("order-1", &[("sku-1", 1)], 100).await;
    let (listener, _guard) = Listener::listen();
    world.run(&placed.pk).await;
    assert_eq!(world.status("order-1").await, Some(orders::Status::Paid));
    assert_eq!(listener.of("monotonic_counter.orders_settled"), ["1"]);
    let took = listener.of("histogram.time_to_settle");
    assert!(matches!(&took[..], [millis] if millis.parse::<u64>().is_ok()), "{took:?}");
}
