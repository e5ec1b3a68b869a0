//! Replay and audit of a folder that no server has open.

use std::time::Instant;

use event_store::{Copy, Progress, ShadowViews, View};
use event_store_embedded::EmbeddedStore;
use local::{Clients, Machine, Settings, Store, offline_audit, offline_replay};
use views::audit::{STUCK, still_since};
use views::replay::Mode;

fn given(name: &str, pk: &str, sk: &str, data: &str) -> events::RecordedEvent {
    let stamp = event_store::Stamper::stamp(&event_store::SystemStamper::new("a test"), None);
    let causes = events::Causes {
        priority: events::Priority::Standard,
        correlation_id: "one".into(),
        causation_id: None,
        request_seed: None,
        traceparent: None,
    };
    events::RecordedEvent::raw((pk, sk), (name, 1, data), Vec::new(), stamp, causes)
}

/// A store with so many paid orders.
async fn a_store(folder: &std::path::Path, orders: u32) {
    let settings = Settings {
        store: Store::Embedded,
        data: folder.to_owned(),
        fresh: false,
        port: 0,
        environment: "dev".into(),
        gateway_failures: 0.0,
        gateway_seed: 1,
        patience: std::time::Duration::from_secs(60),
        expire_after: None,
        asks_who: false,
        rate_limit: None,
        behind_proxy: false,
        clients: Clients::default(),
    };
    let machine = Machine::start(&settings).await.expect("it starts in an empty folder");
    let store = machine.store().clone();
    let append = async |event| {
        event_store::EventLog::append(&store, event).await.expect("the store takes it");
    };
    let lot = r#"{"sku":"sku-1","units":100000,"lot_id":"lot-1"}"#;
    append(given("SkuRestocked", "EVENTS#SKU#sku-1", "EVENT#SkuRestocked#LOT_ID#lot-1", lot)).await;
    for n in 0..orders {
        let data = format!(
            r#"{{"order_id":"order-{n}","customer_id":"anna","items":[{{"sku":"sku-1","quantity":1}}],"total":5,"currency":"EUR"}}"#
        );
        append(given("OrderPlaced", &format!("EVENTS#ORDER_ID#order-{n}"), "EVENT#OrderPlaced", &data)).await;
    }
    machine.at_rest().await;
    drop(store);
    machine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_and_wrong_rows_of_a_store_at_rest_are_named_and_mended_without_waiting_for_anybody() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    a_store(folder.path(), 300).await;
    let now = event_store::Stamper::now(&event_store::SystemStamper::new("a test"));
    let audit = async || offline_audit(folder.path(), now, &|_, _| {}).await.expect("the store opens");
    assert_eq!(audit().await.differences, []);
    let damage = rusqlite::Connection::open(folder.path().join("sagaline.db")).expect("it is an SQLite file");
    damage
        .execute_batch(
            "DELETE FROM orders WHERE stream % 2 = 0;
             UPDATE orders SET seen = 1000, \"order\" = json_set(\"order\", '$.seen', 1000) WHERE stream % 3 = 0;
             UPDATE stock SET sold = sold - 1;",
        )
        .expect("the schema is plain");
    drop(damage);
    assert!(!audit().await.is_clean());
    let began = Instant::now();
    for view in [View::Payments, View::Orders, View::Deliveries, View::Stock] {
        let mode = Mode { diff: true, swap: true };
        let report = offline_replay(folder.path(), view, mode, &|_, _| {}).await.expect("it rebuilds");
        // The replay of payments brought lost orders forward whole, so it left no delivery behind.
        assert_eq!(report.difference_count == 0, view == View::Deliveries, "{view}");
        assert!(report.swapped, "{view}");
    }
    // No bound on speed: two seconds for every one of some hundred wrong rows would be minutes.
    assert!(began.elapsed().as_secs() < 60, "it waited for workers that are not there");
    assert_eq!(audit().await.differences, []);
    let store = EmbeddedStore::open(folder.path()).expect("nobody has it open");
    assert_eq!(store.rows(View::Orders, Copy::Live, None, 1_000).await.expect("it reads").len(), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_was_cut_short_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    a_store(folder.path(), 20).await;
    let store = EmbeddedStore::open(folder.path()).expect("nobody has it open");
    // As a crash would leave it: the first of two segments, which holds all of these streams, is read.
    let read = Progress { began_at: 0, segments: vec![(None, true), (None, false)], events: 7 };
    store
        .put_shadow(View::Orders, Vec::new(), Progress { began_at: 1_000_000, ..read })
        .await
        .expect("it takes it");
    drop(store);
    let rebuild = async || {
        let mode = Mode { diff: true, swap: false };
        offline_replay(folder.path(), View::Orders, mode, &|_, _| {}).await.expect("it rebuilds")
    };
    let went_on = rebuild().await;
    assert_eq!((went_on.events, went_on.rows, went_on.difference_count), (7, 0, 0));
    // That one has ended, so the next begins at the beginning.
    let anew = rebuild().await;
    assert_eq!((anew.events, anew.rows, anew.difference_count), (122, 20, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stopped_store_still_owes_is_stuck_if_nobody_has_patience_with_it() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let store = EmbeddedStore::open(folder.path()).expect("an empty folder");
    let order = r#"{"order_id":"order-1","customer_id":"anna","items":[{"sku":"sku-1","quantity":1}],"total":5,"currency":"EUR"}"#;
    let lot = r#"{"sku":"sku-1","units":5,"lot_id":"lot-1"}"#;
    let mut latest = events::Timestamp::from_millis(0);
    for event in [
        given("OrderPlaced", "EVENTS#ORDER_ID#order-1", "EVENT#OrderPlaced", order),
        given("SkuRestocked", "EVENTS#SKU#sku-1", "EVENT#SkuRestocked#LOT_ID#lot-1", lot),
    ] {
        latest = latest.max(event.occurred_at);
        event_store::EventLog::append(&store, event).await.expect("the store takes it");
    }
    drop(store);
    let stuck = async |patience| {
        let now = events::Timestamp::from_millis(latest.millis() + 1);
        let since = still_since(now, std::time::Duration::from_secs(patience));
        let report = offline_audit(folder.path(), since, &|_, _| {}).await.expect("the store opens");
        let stuck = report.differences.iter().filter(|finding| finding.what == STUCK).count();
        assert_eq!(stuck as u64, report.stuck);
        stuck
    };
    assert_eq!((stuck(0).await, stuck(60).await), (2, 0));
}

#[tokio::test]
async fn looking_at_a_folder_without_a_store_makes_none() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let now = events::Timestamp::from_millis(0);
    let refused = offline_audit(folder.path(), now, &|_, _| {}).await.expect_err("there is nothing to audit");
    assert!(refused.to_string().contains("no store"), "{refused}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);
}
