//! Replay and audit over tables on a double, as an operator asks for them.
//!
//! `cargo xtask test aws` starts the servers and says where they are; without them there is nothing to ask.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use account::ReadModels;
use event_store::{Appended, EventLog, Progress, ShadowViews, Stamper, SystemStamper, View};
use event_store_dynamodb::{Connection, DynamoStore, Limits, Tables};
use events::{Causes, CustomerId, CustomerRegistered, Event, Priority, RecordedEvent};
use views::replay::Mode;
use views::{AuditReport, ReplayReport};

static WORLDS: AtomicU32 = AtomicU32::new(0);
const CUSTOMERS: u64 = 16;

/// Tables with a log, and no row of anything in it.
struct World {
    connection: Connection,
    prefix: String,
    store: DynamoStore,
}

impl World {
    async fn new() -> World {
        let endpoint = std::env::var("SAGALINE_MINISTACK")
            .expect("SAGALINE_MINISTACK names no server; `cargo xtask test aws` starts it");
        let prefix = format!("A{}x{}-", std::process::id(), WORLDS.fetch_add(1, Ordering::Relaxed));
        let connection = account::connection(Some(&endpoint), |_| None).unwrap();
        let limits = Limits { patience: Duration::from_secs(60), ..Limits::default() };
        let store = DynamoStore::new(&connection, Tables::prefixed(&prefix), limits);
        store.create_tables(&prefix).await.unwrap();
        let stamper = SystemStamper::new("a test");
        for number in 0..CUSTOMERS {
            let customer_id = CustomerId::parse(&format!("customer-{number}")).unwrap();
            let causes = Causes {
                priority: Priority::Standard,
                correlation_id: "one".into(),
                causation_id: None,
                request_seed: None,
                traceparent: None,
            };
            let event = Event::CustomerRegistered(CustomerRegistered { customer_id });
            let event = RecordedEvent::new(event, Vec::new(), stamper.stamp(None), causes);
            assert!(matches!(store.append(event).await, Ok(Appended::Stored(_))));
        }
        World { connection, prefix, store }
    }

    async fn models(&self, read_units: Option<f64>) -> ReadModels {
        ReadModels::of(&self.connection, Some(&self.prefix), read_units).await.unwrap()
    }

    /// An audit of tables that nobody writes to.
    async fn audit(&self) -> AuditReport {
        let now = SystemStamper::new("a test").now();
        self.models(None).await.audit(now, &|_, _| ()).await.unwrap()
    }

    async fn replay(&self, mode: Mode) -> ReplayReport {
        self.models(None).await.replay(View::Customers, mode, 4, &|_, _| ()).await.unwrap()
    }

    /// As a crash would leave it: the first of two halves of the log is read.
    async fn leave_a_replay_half_done(&self) {
        let read = Progress { began_at: 0, segments: vec![(None, true), (None, false)], events: 1_000 };
        self.store.put_shadow(View::Customers, Vec::new(), read).await.unwrap();
    }
}

#[tokio::test]
async fn rows_that_are_missing_are_named_and_a_swap_puts_them_there() {
    let world = World::new().await;
    let audit = world.audit().await;
    assert_eq!((audit.events, audit.difference_count), (CUSTOMERS, CUSTOMERS));
    assert_eq!(audit.differences[0].what, "row");
    let found = world.replay(Mode { diff: true, swap: true }).await;
    assert_eq!((found.events, found.rows, found.difference_count), (CUSTOMERS, CUSTOMERS, CUSTOMERS));
    assert_eq!((found.differences[0].field.as_str(), found.swapped), ("", true));
    assert_eq!(world.replay(Mode { diff: true, swap: false }).await.difference_count, 0);
    assert!(world.audit().await.is_clean());
    world.store.delete_tables(&world.prefix).await.unwrap();
}

#[tokio::test]
async fn a_replay_goes_on_where_one_was_cut_short_unless_that_was_discarded() {
    let world = World::new().await;
    world.leave_a_replay_half_done().await;
    let went_on = world.replay(Mode::default()).await.events;
    assert!(went_on > 1_000 && went_on < 1_000 + CUSTOMERS, "{went_on} events");
    world.leave_a_replay_half_done().await;
    world.models(None).await.discard(View::Customers).await.unwrap();
    assert_eq!(world.replay(Mode::default()).await.events, CUSTOMERS);
    world.store.delete_tables(&world.prefix).await.unwrap();
}

#[tokio::test]
async fn reading_the_log_takes_no_more_units_in_a_second_than_it_may() {
    let world = World::new().await;
    // A log that is not empty takes one unit at least, strongly consistent: at half a unit a second, whoever reads next
    // waits for two seconds.
    let (bound, began) = (world.models(Some(0.5)).await, Instant::now());
    for _ in 0..2 {
        bound.replay(View::Customers, Mode::default(), 1, &|_, _| ()).await.unwrap();
    }
    assert!(began.elapsed() > Duration::from_millis(1_900), "{:?}", began.elapsed());
    world.store.delete_tables(&world.prefix).await.unwrap();
}
