//! A replay that is swapped in leaves no row of an order behind, and takes no counter away.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::memory::MemoryStore;
use event_store::{
    Copy, OrderRows, OrderViews, Progress, ShadowViews, StockViews, StoreError, View, ViewRow,
};
use events::{EventName, RecordedEvent, StockDelta};
use views::project::order_rows;
use views::replay::Mode;
use views::{Ports, replay};

use crate::audit::{ports, stored};
use crate::given::{event, item, moving, order_id, sku, under, units};

#[tokio::test]
async fn a_swap_that_overtakes_the_orders_worker_leaves_none_of_the_orders_rows_behind_for_good() {
    let stream = story();
    let (early, now) = (order_rows(&stream[..3]).unwrap(), order_rows(&stream).unwrap());
    assert!(early.payment != now.payment && early.delivery != now.delivery, "each view has to move");
    for view in [View::Orders, View::Payments, View::Deliveries] {
        let store = Arc::new(MemoryStore::new());
        stored(&store, &stream).await;
        store.put(early.clone()).await.unwrap();
        let report =
            replay(&ports(&store), view, Mode { diff: true, swap: true }, 1, &|_, _| {}).await.unwrap();
        assert!(report.swapped && report.difference_count > 0, "{view}");
        assert_eq!(shown(&store).await, now, "after a replay of {view}");
        // The worker comes late, and is taken for what it is.
        store.put(now.clone()).await.unwrap();
        assert_eq!(shown(&store).await, now, "after a replay of {view} and the worker");
    }
}

#[tokio::test]
async fn a_replay_whose_shadow_another_one_discarded_takes_no_counter_away() {
    let store = Arc::new(MemoryStore::new());
    let apple = sku("apple");
    let lot = moving(event(EventName::StockReceived), 1, vec![StockDelta::receive(&apple, units(3))]);
    stored(&store, &[lot]).await;
    let counters = store.stock(&apple).await.unwrap();
    assert!(counters.is_some());
    let ports = Ports { rows: Arc::new(DiscardedByAnother(store.clone())), ..ports(&store) };
    let report = replay(&ports, View::Stock, Mode { diff: true, swap: true }, 1, &|_, _| {}).await.unwrap();
    assert_eq!((report.difference_count, store.stock(&apple).await.unwrap()), (0, counters));
}

/// Two writers claimed one decision, one of them by hand and by a clock that is behind: the one that arrived first
/// was shown, and the other one counts.
#[test]
fn a_claim_that_was_made_earlier_and_arrived_later_makes_the_rows_newer() {
    let placed = event(EventName::OrderPlaced);
    let shown = item(placed.clone(), 5);
    let mut earlier = under("EVENT#AnotherSlot", &placed, 3);
    earlier.occurred_at = events::Timestamp::from_millis(1);
    let before = order_rows(std::slice::from_ref(&shown)).unwrap().order;
    let after = order_rows(&[earlier, shown]).unwrap().order;
    assert_ne!(before.created_at, after.created_at);
    assert!(after.seen > before.seen, "a row is written only if it has seen more");
}

/// Rows whose shadow is discarded by a replay that somebody else begins, whenever they are compared.
struct DiscardedByAnother(Arc<MemoryStore>);

#[async_trait]
impl ShadowViews for DiscardedByAnother {
    async fn rows(
        &self,
        view: View,
        copy: Copy,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ViewRow>, StoreError> {
        self.0.discard(view).await?;
        self.0.rows(view, copy, after, limit).await
    }

    async fn row(&self, view: View, copy: Copy, id: &str) -> Result<Option<ViewRow>, StoreError> {
        self.0.row(view, copy, id).await
    }

    async fn put_shadow(&self, view: View, rows: Vec<ViewRow>, progress: Progress) -> Result<(), StoreError> {
        self.0.put_shadow(view, rows, progress).await
    }

    async fn progress(&self, view: View) -> Result<Option<Progress>, StoreError> {
        self.0.progress(view).await
    }

    async fn adopt(&self, rows: Vec<ViewRow>, view: View, gone: Vec<String>) -> Result<(), StoreError> {
        self.0.adopt(rows, view, gone).await
    }

    async fn discard(&self, view: View) -> Result<(), StoreError> {
        self.0.discard(view).await
    }
}

/// An order that is delivered in the end; the first three are what its rows have seen.
fn story() -> Vec<RecordedEvent> {
    let names = [
        EventName::OrderPlaced,
        EventName::ReserveInventory,
        EventName::InventoryReserved,
        EventName::PaymentAttempted,
        EventName::OrderPaymentAccepted,
        EventName::InventoryCommitted,
        EventName::OrderShipped,
        EventName::OrderDelivered,
    ];
    names.into_iter().zip(1..).map(|(name, id)| item(event(name), id)).collect()
}

async fn shown(store: &MemoryStore) -> OrderRows {
    let id = order_id();
    OrderRows {
        order: store.order(&id).await.unwrap().unwrap(),
        payment: store.payment(&id).await.unwrap(),
        delivery: store.delivery(&id).await.unwrap(),
    }
}
