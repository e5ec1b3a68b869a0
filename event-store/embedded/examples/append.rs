//! How fast one process appends: `cargo run --release -p event-store-embedded --all-features --example append -- 64 100000`.

use std::sync::Arc;
use std::time::Instant;

use event_store::{EventLog, LogScan, Segment};
use event_store_embedded::EmbeddedStore;
use events::{Causes, Priority, RecordedEvent, Stamp, Timestamp, Ulid};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u64>().expect("a number"));
    let (clients, events) = (words.next().unwrap_or(64), words.next().unwrap_or(100_000));
    let store = Arc::new(EmbeddedStore::temporary());
    let began = Instant::now();
    let tasks = (0..clients).map(|client| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in (client..events).step_by(clients as usize) {
                store.append(event(n)).await.expect("the store works");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no client panics");
    }
    let took = began.elapsed();
    println!("{clients} clients: {:.0} events/s appended and synced", events as f64 / took.as_secs_f64());
    let began = Instant::now();
    let (mut cursor, mut read) = (None::<String>, 0);
    loop {
        let page =
            store.scan(Segment { index: 0, of: 1 }, cursor.as_deref(), 10_000).await.expect("it reads");
        read += page.streams.iter().map(Vec::len).sum::<usize>();
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    println!("{:.0} events/s scanned", read as f64 / began.elapsed().as_secs_f64());
}

fn event(n: u64) -> RecordedEvent {
    let (stream, slot) = (n / 6, n % 6);
    let stamp = Stamp {
        event_id: Ulid::from_parts(n, 0),
        occurred_at: Timestamp::from_millis(1_700_000_000_000 + n as i64),
        producer: "orders-worker".into(),
    };
    let causes = Causes {
        priority: Priority::Standard,
        correlation_id: "01JD0000000000000000000000".into(),
        causation_id: Some(Ulid::from_parts(n, 1)),
        request_seed: None,
        traceparent: None,
    };
    let keys =
        (&*format!("EVENTS#ORDER_ID#order-{:08}", stream * 7919 % 10_000_000), &*format!("EVENT#Slot{slot}"));
    let data = format!(r#"{{"order_id":"order-{stream}","items":[{{"sku":"sku-1","quantity":2}}],"n":{n}}}"#);
    RecordedEvent::raw(keys, ("InventoryReserved", 1, &data), Vec::new(), stamp, causes)
}
