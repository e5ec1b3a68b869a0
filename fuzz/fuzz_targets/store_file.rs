//! A store's files, overwritten and cut: opening them gives a store or says why not and changes nothing, and a
//! store that opened answers every question, with what it holds or with an error.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use event_store::{
    CatalogViews, ChangeFeed, Copy, EventLog, IntentStore, LogScan, OrderQuery, OrderViews, Position,
    Segment, ShadowViews, StockViews, View, Window,
};
use event_store_embedded::{Choice, DeadLetter, EmbeddedStore, ParkedMessage, QueueChange};
use events::{CustomerId, OrderId, ProductId, RecordedEvent, Sku};
use libfuzzer_sys::{Corpus, fuzz_target};
use sagaline_fuzz::shop::stamped;
use sagaline_fuzz::{RUNTIME, shop};
use tempfile::TempDir;

const DATABASE: &str = "sagaline.db";
const LOG: &str = "sagaline.db-wal";

/// The files of a store that was closed, and of one whose process died.
static STORES: LazyLock<[Files; 2]> = LazyLock::new(|| {
    let folder = TempDir::new().expect("the system's folder for temporary files can be written");
    let store = EmbeddedStore::open(folder.path()).expect("an empty folder can be opened");
    RUNTIME.block_on(async {
        shop::furnish(&store).await;
        let order = OrderId::parse("ord-3").expect("an id");
        store.save(&order, Default::default(), 0).await.expect("a new store takes it");
        store.queues().apply(queue_changes()).await.expect("a new store takes it");
    });
    let died = Files::read(folder.path());
    drop(store);
    [Files::read(folder.path()), died]
});

#[derive(Clone, PartialEq)]
struct Files {
    database: Vec<u8>,
    log: Vec<u8>,
}

impl Files {
    fn read(folder: &Path) -> Files {
        let read = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
        Files { database: read(DATABASE), log: read(LOG) }
    }

    fn write(&self, folder: &Path) {
        for (name, bytes) in [(DATABASE, &self.database), (LOG, &self.log)] {
            if !bytes.is_empty() {
                fs::write(folder.join(name), bytes).expect("a new folder can be written");
            }
        }
        fs::write(folder.join("sagaline-store"), "a store").expect("a new folder can be written");
    }
}

/// The first byte says which store. Then come changes: which (overwrite or cut, the database or the log), where
/// (three bytes), and, to overwrite, how many bytes and these.
fn damaged(input: &[u8]) -> Option<Files> {
    let (which, mut left) = input.split_first()?;
    let mut files = STORES[usize::from(which % 2)].clone();
    while let [what, a, b, c, more @ ..] = left {
        let file = if what & 1 == 0 { &mut files.database } else { &mut files.log };
        let at = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
        let at = at % (file.len() + 1);
        left = more;
        if what & 2 != 0 {
            file.truncate(at);
            continue;
        }
        let (length, more) = more.split_first()?;
        let bytes = more.get(..usize::from(*length))?;
        left = &more[bytes.len()..];
        let room = bytes.len().min(file.len() - at);
        file[at..at + room].copy_from_slice(&bytes[..room]);
    }
    Some(files)
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(files) = damaged(input) else { return Corpus::Reject };
    let folder = TempDir::new().expect("the system's folder for temporary files can be written");
    files.write(folder.path());
    match EmbeddedStore::open(folder.path()) {
        Ok(store) => {
            RUNTIME.block_on(async { ask_everything(&store).await });
            drop(store);
            drop(EmbeddedStore::open(folder.path()));
        }
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            let now = Files::read(folder.path());
            assert!(now.database == files.database, "the database was changed, and then: {refusal}");
            assert!(now.log == files.log, "the log was changed, and then: {refusal}");
        }
    }
    Corpus::Keep
});

async fn ask_everything(store: &EmbeddedStore) {
    tokio::time::timeout(Duration::from_secs(8), async {
        ask_the_log(store).await;
        ask_the_rows(store).await;
        ask_the_queues(store);
        write(store).await;
    })
    .await
    .expect("every question is answered");
}

async fn ask_the_log(store: &EmbeddedStore) {
    store.size().await.ok();
    let (mut after, mut pages) = (None, 0);
    while let Ok(page) = store.scan(Segment { index: 0, of: 1 }, after.as_deref(), 7).await {
        for stream in &page.streams {
            store.read_stream(&stream[0].pk).await.ok();
            store.read_slot(&stream[0].pk, &stream[0].sk).await.ok();
            views::project::order_rows(stream);
        }
        pages += 1;
        assert!(pages < 1_000, "a scan of a few events does not end");
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    for stream in ["EVENTS#ORDER_ID#ord-1", "EVENTS#SKU#lamp"] {
        store.read_stream(stream).await.ok();
    }
    let (Ok(head), mut position, mut pages) = (store.head().await, Position(0), 0) else { return };
    while position < head {
        let Ok(events) = store.follow(position, 16).await else { break };
        let Some((last, _)) = events.last() else { break };
        assert!(*last > position, "the feed went back from {position:?} to {last:?}");
        (position, pages) = (*last, pages + 1);
        assert!(pages < 1_000, "following a few events does not end");
    }
}

async fn ask_the_rows(store: &EmbeddedStore) {
    let (order, sku) = (OrderId::parse("ord-4").expect("an id"), Sku::parse("lamp").expect("an id"));
    let window = Window { limit: 100, ..Window::default() };
    store.order(&order).await.ok();
    store.payment(&order).await.ok();
    store.delivery(&order).await.ok();
    store.orders(&OrderQuery { window: window.clone(), ..OrderQuery::default() }).await.ok();
    store
        .orders(&OrderQuery { open: Some(true), window: window.clone(), ..OrderQuery::default() })
        .await
        .ok();
    store.payments(&window).await.ok();
    store.stock(&sku).await.ok();
    store.stocks(&window).await.ok();
    store.counted(&sku).await.ok();
    store.ledger(&sku, 0, 100).await.ok();
    store.customer(&CustomerId::parse("cust-1").expect("an id")).await.ok();
    store.customers(&window).await.ok();
    store.product(&ProductId::parse("lamp").expect("an id")).await.ok();
    store.product_by_sku(&sku).await.ok();
    store.product_by_name("A lamp").await.ok();
    store.products(&window).await.ok();
    store.load(&OrderId::parse("ord-3").expect("an id")).await.ok();
    for view in View::ALL {
        store.rows(view, Copy::Live, None, 100).await.ok();
        store.rows(view, Copy::Shadow, None, 100).await.ok();
        store.progress(view).await.ok();
    }
}

fn ask_the_queues(store: &EmbeddedStore) {
    let queues = store.queues();
    queues.cursor("Work").ok();
    queues.parked("Work").ok();
    queues.dead_letters(None, 0, 100).ok();
    queues.dead_letter_counts().ok();
    queues.count(&Choice::default(), i64::MAX).ok();
    queues.action(1).ok();
    queues.actions(i64::MAX, 100).ok();
    queues.unfinished().ok();
}

/// What workers write: an event that moves counters, rows, an intent, a queue's state.
async fn write(store: &EmbeddedStore) {
    let (stamp, causes) = stamped(1_000);
    let lamp = (Sku::parse("lamp").expect("an id"), events::Quantity::new(1).expect("a quantity"));
    let reserved = events::StockDelta::reserve(&lamp.0, lamp.1);
    let slot = ("EVENTS#ORDER_ID#ord-1", "EVENT#Reservation");
    let data = r#"{"order_id":"ord-1","items":[{"sku":"lamp","quantity":1}]}"#;
    let event = RecordedEvent::raw(slot, ("InventoryReserved", 1, data), vec![reserved], stamp, causes);
    store.append(event.clone()).await.ok();
    store.append(event).await.ok();
    store.put(views::project::order_rows(&shop::order("ord-2")).expect("it was placed")).await.ok();
    store.save(&OrderId::parse("ord-3").expect("an id"), Default::default(), 1).await.ok();
    store.queues().apply(queue_changes()).await.ok();
}

fn queue_changes() -> Vec<QueueChange> {
    let queue = || "Work".to_owned();
    let message = ParkedMessage {
        position: Some(3),
        body: "{}".to_owned(),
        receive_count: 1,
        visible_at: 1,
        sent_at: 1,
    };
    let letter = DeadLetter {
        id: 0,
        queue: "WorkDlq".to_owned(),
        source_queue: queue(),
        position: Some(4),
        body: "{}".to_owned(),
        receive_count: 4,
        error: "unreadable".to_owned(),
        dead_at: 1,
    };
    vec![
        QueueChange::Cursor { queue: queue(), position: 5 },
        QueueChange::Park { queue: queue(), id: None, message },
        QueueChange::GiveUp { id: None, letter },
    ]
}
